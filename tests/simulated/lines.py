"""The station's end of a simulated serial line."""

from weakref import finalize

from sim.faults import Faults, parse
from sim.serial.machine import SerialMachine
from sim.tcp.machine import TcpMachine
from tests.dialogue import Dialogue
from tests.player import ANSWER_WITHIN_S, Player
from tests.stepclock import StepClock


class LinePlayer(Player):
    """Bytes to and from a machine on a serial line."""

    def __init__(self, machine: SerialMachine, clock: StepClock) -> None:
        self._machine = machine
        self._clock = clock
        machine.line.open()
        finalize(self, machine.line.close)

    def say(self, data: bytes) -> None:
        self._machine.take(data)

    def hear(self, size: int, endpoint: int) -> bytes:
        del endpoint
        line = self._machine.line
        self._clock.run_until(lambda: len(line.received) >= size, within_s=ANSWER_WITHIN_S)
        return line.taken(size)


def faults(dialogue: Dialogue, knobs: frozenset[str]) -> Faults:
    """`given faults`: what the machine, called `it`, does wrong; several are separated by blanks."""
    wanted = tuple(parse(f"it.{text}") for text in dialogue.given.get("faults", "").split())
    return Faults("it", knobs, wanted, "dialogue")


class TcpPlayer(Player):
    """Bytes to and from a machine at a TCP port."""

    def __init__(self, machine: TcpMachine, clock: StepClock) -> None:
        self._clock = clock
        self._received = bytearray()
        self._connection = machine.connected(self)

    def arrived(self, data: bytes) -> None:
        self._received += data

    def reset(self) -> None:
        """The machine has broken the connection."""

    def say(self, data: bytes) -> None:
        self._connection.take(data)

    def hear(self, size: int, endpoint: int) -> bytes:
        del endpoint
        self._clock.run_until(lambda: len(self._received) >= size, within_s=ANSWER_WITHIN_S)
        heard = bytes(self._received[:size])
        del self._received[:size]
        return heard
