"""A simulated Velleman K8090: eight relays behind a serial line, and buttons that somebody may press."""

from drivers.protocols.k8090 import Code, Frame, Frames
from sim.clock import Clock
from sim.dio.lines import Lines
from sim.faults import NO_FAULTS, Faults
from sim.serial.machine import LINE_KNOBS, SerialMachine

ANSWER_S = 0.004
YEAR, WEEK = 10, 1


class VellemanK8090(SerialMachine):
    """The board; line "1" is high while relay 1 is on."""

    knobs = LINE_KNOBS | {"stuck", "button", "bad_checksum", "silent"}
    """`stuck` and `button` take the number of a relay."""

    def __init__(self, clock: Clock, *, lines: Lines | None = None, faults: Faults = NO_FAULTS) -> None:
        super().__init__(clock, faults)
        self.lines = lines or Lines()
        self.timers = 0
        self.on = 0
        self.before = 0
        """The relays before the last change."""
        for number in range(1, 9):
            self.lines.drive(str(number), high=False)
        self._frames = Frames()

    def press(self, number: int) -> None:
        """Press a button of the board: its relay changes."""
        self._switch(self.on ^ 1 << number - 1)

    def on_data(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        if (number := self.faults.strikes("button")) is not None:
            self.press(int(number or 1))
        stuck = self.faults.strikes("stuck")
        held = 1 << int(stuck or 1) - 1 if stuck is not None else 0
        match frame.code:
            case Code.ON:
                self._switch(self.on | frame.mask & ~held)
            case Code.OFF:
                self._switch(self.on & ~(frame.mask & ~held))
            case Code.ASK_STATUS:
                self._tell(Frame(Code.STATUS, self.before, self.on, self.timers))
            case Code.VERSION:
                self._tell(Frame(Code.VERSION, 0xFF, YEAR, WEEK))

    def _switch(self, on: int) -> None:
        if self.on != on:
            self.before, self.on = self.on, on
            for number in range(1, 9):
                self.lines.drive(str(number), high=bool(on >> number - 1 & 1))
            self._tell(Frame(Code.STATUS, self.before, on, self.timers))

    def _tell(self, frame: Frame) -> None:
        raw = frame.encode()
        if self.faults.strikes("silent") is not None:
            return
        if self.faults.strikes("bad_checksum") is not None:
            raw = raw[:5] + bytes((raw[5] ^ 0x01,)) + raw[6:]
        self.send(raw, after_s=ANSWER_S)
