"""A simulated PATLITE tower at its TCP port, as the makers' sample programs talk to it."""

from drivers.errors import ProtocolError
from drivers.protocols.patlite import ACK, KEEP, LAMPS, MOST, NAK, Model, Request, taken
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.tcp.machine import TCP_KNOBS, Connection, TcpMachine

ANSWER_S = 0.005
INPUTS = bytes(8)
SIGNAL_LIGHT_MODE = b"\0"


class Patlite(TcpMachine):
    """Lamps and a buzzer, in the order of the protocol."""

    knobs = TCP_KNOBS | {"nak", "stuck"}
    """`stuck` takes the number of a stage that does not change."""

    def __init__(
        self, clock: Clock, *, model: Model = "lr5", prefix: str = "AB", faults: Faults = NO_FAULTS
    ) -> None:
        super().__init__(clock, faults)
        self.model: Model = model
        self.states = bytearray(LAMPS + 1)
        """Five lamps, then the buzzer."""
        self._prefix = prefix
        self._parts: dict[Connection, bytearray] = {}

    def on_data(self, connection: Connection, data: bytes) -> None:
        part = self._parts.setdefault(connection, bytearray())
        part += data
        while part:
            try:
                if (request := taken(part, self._prefix)) is None:
                    return
            except ProtocolError:
                connection.send(bytes((NAK,)), after_s=ANSWER_S)
                continue
            connection.send(self._done(request), after_s=ANSWER_S)

    def left(self, connection: Connection) -> None:
        super().left(connection)
        self._parts.pop(connection, None)

    def _done(self, request: Request) -> bytes:
        if self.faults.strikes("nak") is not None:
            return bytes((NAK,))
        match request.letter:
            case "G":
                head = INPUTS + SIGNAL_LIGHT_MODE if self.model == "la6" else b""
                return head + bytes(self.states)
            case "C":
                self.states[:] = bytes(LAMPS + 1)
            case "S":
                if any(state > MOST[self.model] and state != KEEP for state in request.data[:LAMPS]):
                    return bytes((NAK,))
                self._set(request.data)
        return bytes((ACK,))

    def _set(self, data: bytes) -> None:
        stuck = self.faults.strikes("stuck")
        for stage, state in enumerate(data):
            if state != KEEP and not (stuck is not None and stage + 1 == int(stuck or 1)):
                self.states[stage] = state
