"""A simulated Exatron 3000B or 5000: one site on a serial line, in the mode chosen at the machine.

Follows the Exatron 3000B User's Manual, ch. 3; timings, and what an operator does, are assumed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from drivers.protocols.exatron import HOME_BIN, Info, Light, Mode, Word
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.serial.machine import LINE_KNOBS, SerialMachine
from sim.sockets import Sockets

SITE = 1
DIGITS = b"12345678"
DROPPED_TEXT = "PART DROPPED ?"
EMPTY_TEXT = "EMPTY/LOAD PART"
FULL_TEXT = "OUTPUT FULL"
"""Assumed."""


class State(Enum):
    """Where the part is."""

    IDLE = auto()
    """None at the site."""
    WAIT_R = auto()
    CLOSING = auto()
    TESTING = auto()
    ASKING = auto()
    """Super mode: tested, the sort was asked for."""
    MARKING = auto()
    """Super mode with a laser: sorted, the end of the mark was asked for."""
    SORTING = auto()


class Input(Enum):
    """What comes from the station, and what happens inside."""

    PLACED = auto()
    READY = auto()
    CLOSED = auto()
    TESTED = auto()
    DIGIT = auto()
    ZERO = auto()
    STAR = auto()
    MARKED = auto()
    SORTED = auto()


class Act(Enum):
    """What it does on the way to the next state."""

    ASK_READY = auto()
    CLOSE = auto()
    REOPEN = auto()
    SAY_START = auto()
    SAY_TEST = auto()
    SAY_END = auto()
    SORT = auto()
    HOME = auto()
    LET_GO = auto()
    INDEX = auto()


Table = Mapping[tuple[State, Input], tuple[State, Act]]

TABLE: Table = {
    (State.IDLE, Input.PLACED): (State.WAIT_R, Act.ASK_READY),
    (State.WAIT_R, Input.READY): (State.CLOSING, Act.CLOSE),
    (State.WAIT_R, Input.STAR): (State.SORTING, Act.HOME),
    (State.CLOSING, Input.CLOSED): (State.TESTING, Act.SAY_START),
    (State.CLOSING, Input.STAR): (State.SORTING, Act.HOME),
    (State.TESTING, Input.DIGIT): (State.SORTING, Act.SORT),
    (State.TESTING, Input.ZERO): (State.CLOSING, Act.REOPEN),
    (State.TESTING, Input.STAR): (State.SORTING, Act.HOME),
    (State.SORTING, Input.SORTED): (State.IDLE, Act.INDEX),
}
"""Exatron and HP mode: state and input; the state after it and what is done. Other pairs do nothing."""

SUPER_TABLE: Table = {
    (State.IDLE, Input.PLACED): (State.CLOSING, Act.CLOSE),
    (State.CLOSING, Input.CLOSED): (State.TESTING, Act.SAY_TEST),
    (State.TESTING, Input.TESTED): (State.ASKING, Act.SAY_END),
    (State.ASKING, Input.DIGIT): (State.SORTING, Act.SORT),
    (State.MARKING, Input.MARKED): (State.SORTING, Act.LET_GO),
    (State.SORTING, Input.SORTED): (State.IDLE, Act.INDEX),
}
"""Super mode; a pair that is not here is answered by ERROR if the station sent it."""


@dataclass(frozen=True)
class Timing:
    """Seconds; each is drawn anew, 20 % up or down, or between its two ends."""

    index_s: tuple[float, float] = (1.0, 3.0)
    close_s: float = 0.3
    test_s: float = 0.1
    """Super mode: from TEST to END TEST."""
    enter_s: float = 60.0
    """Until an operator presses [Enter] because nobody answered."""
    operator_s: float = 120.0
    """Until somebody has cleared a jam."""
    boot_s: float = 8.0


class ExatronHandler(SerialMachine):
    """One handler with its parts; `start` is the operator's start key, after which it feeds by itself."""

    knobs = LINE_KNOBS | {
        "drop_rx",
        "jam",
        "manual_start",
        "misread",
        "output_full",
        "part_dropped",
        "power_cycle",
    }

    def __init__(
        self,
        clock: Clock,
        sockets: Sockets,
        *,
        mode: Mode = "exatron",
        retest_sort: int | None = None,
        seed: str = "",
        faults: Faults = NO_FAULTS,
        timing: Timing = Timing(),  # noqa: B008 - frozen
    ) -> None:
        """`mode` and, in Super mode, the sort on which a part is plunged again, once, as chosen on it."""
        super().__init__(clock, faults)
        self.sockets = sockets
        self.mode: Mode = mode
        self.laser = False
        """Super mode: each part is marked after its sort."""
        self.timing = timing
        self.state = State.IDLE
        self.input_empty = False
        self.sorted = 0
        """The machine's own counter of parts."""
        self._retest_sort = retest_sort
        self._table = SUPER_TABLE if mode == "super" else TABLE
        self._again = False
        self._digit = 0
        self._command: bytearray | None = None
        self._memory = dict.fromkeys(range(0x90, 0x100), 0x01)
        self._started = False
        self._asked = 0
        self._draw = Random(f"{seed}:exatron")
        self._acts: Mapping[Act, Callable[[], None]] = {
            Act.ASK_READY: self._ask_ready,
            Act.CLOSE: self._close,
            Act.REOPEN: self._reopen,
            Act.SAY_START: self._say_start,
            Act.SAY_TEST: self._say_test,
            Act.SAY_END: self._say_end,
            Act.SORT: self._sort,
            Act.HOME: self._home,
            Act.LET_GO: self._let_go,
            Act.INDEX: self._index,
        }

    # -- what people do at the machine
    def start(self) -> None:
        """Press the start key: feed from the input until it is empty."""
        if not self._started or self.input_empty:
            self._started = True
            self.input_empty = False
            self._tell(Light.RUNNING)
            self._index()

    # -- what the station says
    def on_data(self, data: bytes) -> None:
        for byte in data:
            if byte == 0x0A or self._strikes("drop_rx"):
                continue
            if self.mode == "super":
                self._take_super(byte)
            elif byte != 0x0D:
                self._take(byte)

    def _take(self, byte: int) -> None:
        words = {0x52: Input.READY, 0x30: Input.ZERO, 0x2A: Input.STAR} | dict.fromkeys(DIGITS, Input.DIGIT)
        if (word := words.get(byte)) is not None:
            self._digit = byte - 0x30
            self._do(word)

    def _take_super(self, byte: int) -> None:
        if self._command is not None:
            self._command_byte(byte)
        elif byte == 0x2B:
            self._command = bytearray()
            self.send(Word.ATTENTION.encode())
        elif byte != 0x0D and not self._understood(byte):
            self.send(Word.ERROR.encode())

    def _understood(self, byte: int) -> bool:
        what = Input.DIGIT if byte in DIGITS else Input.MARKED if byte == 0x5A else None
        if what is None or (self.state, what) not in self._table or self._strikes("misread"):
            return False
        self._digit = byte - 0x30 if what is Input.DIGIT else self._digit
        self._do(what)
        return True

    def _command_byte(self, byte: int) -> None:
        command = self._command or bytearray()
        if byte != 0x0D:
            self._command = command + bytes((byte,))
            return
        self._command = None
        self._obey(command.decode("ascii", "replace"))

    def _obey(self, command: str) -> None:
        """Do a command of Super mode; of those whose answers the manual shows, the memory is simulated."""
        match command[:1], command[1:].split():
            case "G", []:
                self.start()
            case "B", []:
                self.sorted = 0
            case "A", [address] if _hex(address) in self._memory:
                self.send(f"{address} ROM 01 RAM {self._memory[_hex(address)]:02X}\r".encode("ascii"))
            case "C", [address, value] if _hex(address) in self._memory and 0 <= _hex(value) <= 0xFF:
                self._memory[_hex(address)] = _hex(value)
            case "D", []:
                self._memory = dict.fromkeys(self._memory, 0x01)
            case _:
                self.send(Word.ERROR.encode())

    def _do(self, what: Input) -> None:
        if (row := self._table.get((self.state, what))) is not None:
            self.state, act = row
            self._acts[act]()

    # -- what it does by the table
    def _ask_ready(self) -> None:
        """Say that a part is there, and again when an operator makes it do so; or be started by hand."""
        if self._strikes("manual_start"):
            self.state = State.CLOSING
            self._close()
            return
        self._asked += 1
        self.send(Word.PART.encode())
        self.clock.call_later(self.timing.enter_s, self._press_enter, self._asked)

    def _press_enter(self, asked: int) -> None:
        if self.state is State.WAIT_R and self._asked == asked:
            self._ask_ready()

    def _close(self) -> None:
        self.clock.call_later(self._about(self.timing.close_s), self._closed)

    def _reopen(self) -> None:
        self.sockets.lift()
        self._close()

    def _closed(self) -> None:
        if self.state is State.CLOSING:
            self.sockets.land()
            self._do(Input.CLOSED)

    def _say_start(self) -> None:
        self.send(Word.START.encode())
        if self._strikes("power_cycle"):
            self._power_cycle()
        if self._strikes("part_dropped"):
            self._tell(Light.DROPPED, DROPPED_TEXT)

    def _say_test(self) -> None:
        if self.laser and not self._again:
            self.send(Word.MARK.encode())
        self.send((Word.RETEST if self._again else Word.TEST).encode())
        self.clock.call_later(self._about(self.timing.test_s), self._do, Input.TESTED)

    def _say_end(self) -> None:
        self.send((Word.END_RETEST if self._again else Word.END_TEST).encode())

    def _sort(self) -> None:
        self.sockets.lift()
        if self._digit == self._retest_sort and not self._again:
            self._again = True
            self.state = State.CLOSING
            self._close()
            return
        if self.laser:
            self.state = State.MARKING
            self.send(Word.END_LASER.encode())
            return
        self._let_go()

    def _home(self) -> None:
        self._digit = HOME_BIN
        self._let_go()

    def _let_go(self) -> None:
        self._again = False
        self.sockets.lift()
        self.sockets.sort({SITE: self._digit})
        self.sorted += 1
        self._do(Input.SORTED)

    def _index(self) -> None:
        seconds = self._draw.uniform(*self.timing.index_s)
        if (code := self.faults.strikes("jam")) is not None:
            self._tell(Light.ERROR, f"JAM {code}".strip())
            seconds += self._about(self.timing.operator_s)
        if self._strikes("output_full"):
            self._tell(Light.ERROR, FULL_TEXT)
            seconds += self._about(self.timing.operator_s)
        self.clock.call_later(seconds, self._place)

    def _place(self) -> None:
        if self.sockets.load():
            self._do(Input.PLACED)
        else:
            self.input_empty = True
            self._tell(Light.EMPTY, EMPTY_TEXT)

    def _power_cycle(self) -> None:
        """Lose power with a part in contact; after the start it is offered anew."""
        self.state = State.IDLE
        self.sockets.lift()
        self.clock.call_later(self.timing.boot_s, self._do, Input.PLACED)

    # -- how it says so
    def _tell(self, light: Light, text: str = "") -> None:
        """Inform the station, in the one mode that does; the display shows it in all."""
        if self.mode == "hp":
            self.send(Info(light, text).encode())

    def _strikes(self, knob: str) -> bool:
        return self.faults.strikes(knob) is not None

    def _about(self, seconds: float) -> float:
        return seconds * self._draw.uniform(0.8, 1.2)


def _hex(text: str) -> int:
    """Return what a memory address or value says, -1 if it is none."""
    try:
        return int(text, 16)
    except ValueError:
        return -1
