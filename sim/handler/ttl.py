"""A simulated handler with a parallel port: pulls start lines, takes bins when end of test is pulled.

Common knowledge of the trade; it checks what its makers ask for (set-up, hold, one bin) and stops where that
is not kept. Timings are assumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from drivers.protocols.ttl import Active, Coding, Sensing, Signals
from sim.clock import Clock
from sim.dio.lines import Lines
from sim.faults import NO_FAULTS, Faults
from sim.sockets import Sockets


class State(Enum):
    """Where the devices are."""

    IDLE = auto()
    TESTING = auto()
    """In contact, and the start lines were pulled."""
    RELEASED = auto()
    """Bins were taken; moving."""
    STOPPED = auto()
    """What the station said cannot be done; an operator must come."""


@dataclass(frozen=True)
class Port:
    """How the handler's port is set."""

    coding: Coding = "one_hot"
    sensing: Sensing = "pulse"
    sot_active: Active = "low"
    outputs_active: Active = "low"
    error_active: Active = "low"


@dataclass(frozen=True)
class Timing:
    """Seconds."""

    index_s: tuple[float, float] = (0.5, 2.0)
    plunge_s: float = 0.15
    pulse_s: float = 0.02
    """Length of a start pulse."""
    setup_s: float = 0.001
    hold_s: float = 0.005
    rest_s: float = 0.02
    """From the end of test to the next start, at the least."""
    operator_s: float = 120.0


class TtlHandler:
    """One handler with its devices; `start` is the operator's start key."""

    knobs = frozenset({"bounce", "early_sot", "error", "no_sot", "short_sot", "stuck"})
    """`bounce` takes ms between two bounces, `short_sot` the ms of a pulse, `stuck` a line of ours."""

    def __init__(  # noqa: PLR0913 - wires besides what every handler has
        self,
        clock: Clock,
        sockets: Sockets,
        lines: Lines,
        signals: Mapping[int, Signals],
        *,
        port: Port = Port(),  # noqa: B008 - frozen
        seed: str = "",
        faults: Faults = NO_FAULTS,
        timing: Timing = Timing(),  # noqa: B008 - frozen
    ) -> None:
        self.clock = clock
        self.sockets = sockets
        self.lines = lines
        self.signals = dict(signals)
        self.port = port
        self.faults = faults
        self.timing = timing
        self.state = State.IDLE
        self.alarm = ""
        """Why it stopped."""
        self._in_contact: frozenset[int] = frozenset()
        self._taken: dict[int, int] = {}
        """Bins of this contact; 0: plunge again."""
        self._changed: dict[str, float] = {}
        self._held: dict[int, float] = {}
        self._started = False
        self._draw = Random(f"{seed}:ttl")
        for one in self.signals.values():
            self._pull(one.sot, port.sot_active, active=False)
            if one.error:
                self._pull(one.error, port.error_active, active=False)
        lines.watch(self._on_line)

    # -- what people do at the machine
    def start(self) -> None:
        """Press the start key: feed from the input until it is empty."""
        if not self._started:
            self._started = True
            self._index()

    # -- what moves
    def _index(self) -> None:
        self.state = State.IDLE
        seconds = self._draw.uniform(*self.timing.index_s)
        if self.faults.strikes("error") is not None:
            self._alarm_on()
            seconds += self.timing.operator_s
        self.clock.call_later(seconds, self._place)

    def _place(self) -> None:
        self._alarm_off()
        self._in_contact = self._in_contact.union(self.sockets.load())
        if self._in_contact:
            self.clock.call_later(self.timing.plunge_s, self._plunge)

    def _plunge(self) -> None:
        self.sockets.land()
        self._taken.clear()
        self.state = State.TESTING
        for site in sorted(self._in_contact):
            self._start(site)

    def _start(self, site: int) -> None:
        if self.faults.strikes("no_sot") is not None:
            return
        width_s = self.timing.pulse_s
        if (ms := self.faults.strikes("short_sot")) is not None:
            self._pulse(site, float(ms or 1) / 1000)
            return
        if (ms := self.faults.strikes("bounce")) is not None:
            gap_s = float(ms or 1) / 1000
            self._pulse(site, gap_s / 2)
            self.clock.call_later(gap_s, self._pulse, site, width_s)
        else:
            self._pulse(site, width_s)
        if self.faults.strikes("early_sot") is not None:
            self.clock.call_later(4 * width_s, self._pulse, site, width_s)

    def _pulse(self, site: int, width_s: float) -> None:
        self._sot(site, active=True)
        if self.port.sensing == "pulse":
            self.clock.call_later(width_s, self._release, site)

    def _release(self, site: int) -> None:
        self._sot(site, active=False)

    def _sot(self, site: int, *, active: bool) -> None:
        line = self.signals[site].sot
        if self.faults.strikes("stuck") != line:
            self._pull(line, self.port.sot_active, active=active)

    # -- what the station says
    def _on_line(self, line: str, high: bool) -> None:  # noqa: FBT001 - as the lines tell it
        now = self.clock.time()
        active = high is (self.port.outputs_active == "high")
        for site, one in self.signals.items():
            if line == one.eot and active:
                self._take(site, one, now)
            elif line == one.eot:
                self._held[site] = now
            elif line in one.bins and not active and self.state is State.RELEASED:
                self._check_hold(site, now)
        self._changed[line] = now

    def _take(self, site: int, one: Signals, now: float) -> None:
        """End of test is pulled: read the bin of this site."""
        if self.state is not State.TESTING or site not in self._in_contact or site in self._taken:
            self._stop(f"end of test of site {site} when none was due")
            return
        active = {line: self._active(line) for line in (*one.bins, *filter(None, (one.retest,)))}
        fresh = [line for line in active if now - self._changed.get(line, 0.0) < self.timing.setup_s - 1e-9]
        if fresh and any(active[line] for line in fresh):
            self._stop(f"bins of site {site} changed less than {self.timing.setup_s:g} s before end of test")
            return
        if one.retest and active[one.retest]:
            self._taken[site] = 0
        else:
            try:
                self._taken[site] = one.decoded(active, self.port.coding)
            except ValueError as error:
                self._stop(f"site {site}: {error}")
                return
        if self._taken.keys() == self._in_contact:
            self.state = State.RELEASED
            self.sockets.promised({site: number for site, number in self._taken.items() if number})
            self.clock.call_later(self.timing.plunge_s, self._let_go)

    def _check_hold(self, site: int, now: float) -> None:
        if now - self._held.get(site, now) < self.timing.hold_s - 1e-9:
            self._stop(f"bins of site {site} taken back less than {self.timing.hold_s:g} s after end of test")

    def _let_go(self) -> None:
        if self.state is not State.RELEASED:
            return
        self.sockets.lift()
        for site in self._taken:
            self._sot(site, active=False)
        bins = {site: number for site, number in self._taken.items() if number}
        if bins:
            self.sockets.sort(bins)
            self._in_contact = self._in_contact.difference(bins)
        if self._in_contact:
            self.clock.call_later(max(self.timing.plunge_s, self.timing.rest_s), self._plunge)
        else:
            self._index()

    # -- alarms
    def _stop(self, why: str) -> None:
        self.state = State.STOPPED
        self.alarm = why
        self._alarm_on()

    def _alarm_on(self) -> None:
        self._alarmed(active=True)

    def _alarm_off(self) -> None:
        self._alarmed(active=False)

    def _alarmed(self, *, active: bool) -> None:
        for one in self.signals.values():
            if one.error:
                self._pull(one.error, self.port.error_active, active=active)

    # -- levels
    def _pull(self, line: str, when: Active, *, active: bool) -> None:
        self.lines.drive(line, high=active is (when == "high"))

    def _active(self, line: str) -> bool:
        return self.lines.high(line) is (self.port.outputs_active == "high")
