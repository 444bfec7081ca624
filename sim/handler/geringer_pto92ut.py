"""A simulated Geringer PTO92UT: loads its lot, starts tests, takes bins, ends the lot.

As the handler application of Semi-ATE meets it; timings, and what it does without an answer, are assumed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from drivers.errors import ProtocolError
from drivers.protocols.geringer import Line, Lines, Part, Status, bins_of, start
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.serial.machine import LINE_KNOBS, SerialMachine
from sim.sockets import Sockets


class State(Enum):
    """Where the handler is."""

    OFF = auto()
    """Not started, or the lot is over."""
    LOADING = auto()
    """Waits for the station to load the lot."""
    READY = auto()
    TESTING = auto()
    """Waits for bins."""
    ENDING = auto()
    """Has said that the lot is over."""


@dataclass(frozen=True)
class Timing:
    """Seconds."""

    index_s: tuple[float, float] = (0.5, 2.0)
    plunge_s: float = 0.15
    reply_s: float = 0.02
    patience_s: float = 30.0
    """Until it says again what was not answered."""
    operator_s: float = 120.0


class GeringerPto92ut(SerialMachine):
    """One handler with its devices; `start` is the operator's start key."""

    knobs = LINE_KNOBS | {"bad_checksum", "jam", "asks", "drop_rx", "extra_site"}
    """`jam` takes the code that it reports; `asks` has it ask for the station's state during a test."""

    def __init__(
        self,
        clock: Clock,
        sockets: Sockets,
        *,
        lot: str,
        sites: int,
        seed: str = "",
        faults: Faults = NO_FAULTS,
        timing: Timing = Timing(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(clock, faults)
        self.sockets = sockets
        self.lot = lot
        self.sites = sites
        self.timing = timing
        self.state = State.OFF
        self.said: list[Line] = []
        """What the station has said and nobody waited for."""
        self._lines = Lines()
        self._in_contact: frozenset[int] = frozenset()
        self._parts: Mapping[int, Part] = {}
        self._made = 0
        self._draw = Random(f"{seed}:geringer")

    # -- what people do at the machine
    def start(self) -> None:
        """Press the start key: load the lot."""
        if self.state is State.OFF:
            self._tell(Line("TE", ("25.0",)))
            self._insist(State.LOADING, Line("LL", (self.lot, "SE1", "25")))

    def _insist(self, state: State, line: Line) -> None:
        """Say a line, and again as long as nobody answers."""
        self.state = state
        self._tell(line)
        self.clock.call_later(self.timing.patience_s, self._again, state, line)

    def _again(self, state: State, line: Line) -> None:
        if self.state is state and state is not State.TESTING:
            self._insist(state, line)

    # -- what the station says
    def on_data(self, data: bytes) -> None:
        for raw in self._lines.feed(data):
            if self.faults.strikes("drop_rx") is not None:
                continue
            try:
                self._take(Line.decode(raw))
            except ProtocolError:
                self._tell(Line("HS", ("-10", "checksum error")))

    def _take(self, line: Line) -> None:
        match line.head:
            case "ID?":
                self._tell(Line("ID", ("HTO92-17",)))
            case "HS?":
                self._tell(Line("HS", ("1", "busy") if self.state is State.TESTING else ("0", "OK")))
            case "TS":
                self._stands(int(line.fields[0]))
            case "ET" if self.state is State.TESTING:
                self._sort(bins_of(line))
            case _:
                self.said.append(line)

    def _stands(self, code: int) -> None:
        refused = self.state is State.LOADING and code == Status.INVALID_LOT
        ended = self.state is State.ENDING and code in (Status.OK, Status.NO_LOT)
        if self.state is State.LOADING and code == Status.LOT_LOADED:
            self._index()
        elif refused or ended:
            self.state = State.OFF

    # -- what moves
    def _index(self) -> None:
        self.state = State.READY
        seconds = self._draw.uniform(*self.timing.index_s)
        if (code := self.faults.strikes("jam")) is not None:
            self._tell(Line("HS", (code or "-64", "JAM")))
            seconds += self.timing.operator_s
        self.clock.call_later(seconds, self._place)

    def _place(self) -> None:
        self._in_contact = self._in_contact.union(self.sockets.load())
        if not self._in_contact:
            self._insist(State.ENDING, Line("LE"))
            return
        self.clock.call_later(self.timing.plunge_s, self._plunge)

    def _plunge(self) -> None:
        self.sockets.land()
        here = set(self._in_contact)
        if self.faults.strikes("extra_site") is not None:
            here.add(self.sites + 1)
            self.clock.call_later(self.timing.operator_s, self._offer, set(self._in_contact))
        self._offer(here)
        if self.faults.strikes("asks") is not None:
            self._tell(Line("TS?"))

    def _offer(self, here: set[int]) -> None:
        """Say which sites hold a device."""
        parts = dict[int, Part]()
        for site in range(1, max(self.sites, max(here)) + 1):
            self._made += site in here  # it numbers what it offers
            parts[site] = Part(site in here, str(self._made if site in here else 0), "002", "000")
        self._parts = parts
        self.state = State.TESTING
        self._tell(start(parts))

    def _sort(self, bins: Sequence[int]) -> None:
        self.sockets.lift()
        wanted = {site: number for site, number in enumerate(bins, 1) if site in self._in_contact}
        self.sockets.sort(wanted)
        self._in_contact = self._in_contact.difference(wanted)
        self._index()

    # -- how it says so
    def _tell(self, line: Line) -> None:
        raw = line.encode()
        if self.faults.strikes("bad_checksum") is not None:
            raw = raw[:-4] + b"%03d\n" % ((int(raw[-4:-1]) + 1) % 256)
        self.send(raw, after_s=self.timing.reply_s)
