"""A simulated handler that speaks BINON: feeds sockets, presents parts, sorts as it is told.

What it does in a state is the table below; what the protocol's sources leave open is assumed, and said there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from random import Random

from drivers.errors import ProtocolError
from drivers.protocols.binon import BinLine, IdsReply, Profile, SitesReply, StartupStep
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.instrument import Instrument
from sim.sockets import Sockets

ALARM_STB = 0x48
"""Status byte of an alarm, unless the knob says another; which one a maker uses is open."""
NOBODY = 0
"""The hard bin, that no dialect has, of devices that an operator took out."""


class State(Enum):
    """Where the handler is in its cycle."""

    IDLE = auto()
    """Moving, or out of parts."""
    READY = auto()
    """Parts in contact, not yet asked for."""
    ASKED = auto()
    BINNED = auto()
    """Bins echoed, not yet confirmed."""


class Word(Enum):
    """What the station can say, and what happens inside."""

    PLUNGED = auto()
    SITES = auto()
    BINS = auto()
    OK = auto()
    BAD = auto()


class Act(Enum):
    """What it does on the way to the next state."""

    ANNOUNCE = auto()
    TELL_SITES = auto()
    ECHO = auto()
    SORT = auto()
    REFUSE = auto()
    NOTHING = auto()


TABLE: Mapping[tuple[State, Word], tuple[State, Act]] = {
    (State.IDLE, Word.PLUNGED): (State.READY, Act.ANNOUNCE),
    (State.IDLE, Word.SITES): (State.IDLE, Act.TELL_SITES),  # an empty mask (assumed)
    (State.READY, Word.SITES): (State.ASKED, Act.TELL_SITES),
    (State.ASKED, Word.SITES): (State.ASKED, Act.TELL_SITES),
    (State.BINNED, Word.SITES): (State.BINNED, Act.TELL_SITES),
    (State.IDLE, Word.BINS): (State.IDLE, Act.REFUSE),
    (State.READY, Word.BINS): (State.READY, Act.REFUSE),
    (State.ASKED, Word.BINS): (State.BINNED, Act.ECHO),
    (State.BINNED, Word.BINS): (State.BINNED, Act.ECHO),
    (State.BINNED, Word.BAD): (State.ASKED, Act.NOTHING),
    (State.BINNED, Word.OK): (State.IDLE, Act.SORT),
}
"""State and word: the state after it and what is done. A pair that is not here does nothing."""


@dataclass(frozen=True)
class Timing:
    """Seconds; each is drawn anew, 20 % up or down, or between its two ends."""

    first_index_s: float = 0.5
    """Index with one site."""
    site_s: float = 1.5 / 31
    """What each further site adds."""
    plunge_s: float = 0.15
    request_s: tuple[float, float] = (0.001, 0.02)
    """From contact to the service request."""
    reply_s: tuple[float, float] = (0.005, 0.3)
    operator_s: float = 120.0
    """Until somebody has cleared a jam."""


class BinonHandler(Instrument):
    """One handler with its parts; `start` is the operator's start key, after which it feeds by itself."""

    knobs = frozenset(
        {
            "announce_end",
            "drop_srq",
            "dup_srq",
            "late_srq",
            "truncate",
            "drop_reply",
            "empty_check",
            "empty_reply",
            "corrupt_echo",
            "extra_site",
            "spurious_stb",
            "strict_sites",
            "jam",
            "operator_skip",
            "manual_start",
        }
    )

    def __init__(  # noqa: PLR0913 - what a machine and its setting are
        self,
        clock: Clock,
        sockets: Sockets,
        profile: Profile,
        *,
        sites: int,
        seed: str = "",
        faults: Faults = NO_FAULTS,
        timing: Timing = Timing(),  # noqa: B008 - frozen
        refeeds: frozenset[int] = frozenset(),
    ) -> None:
        """`sites`: how many contact sites it has, from 1 up; `refeeds`: hard bins that it feeds once more."""
        super().__init__(clock, faults)
        self.sockets = sockets
        self.profile = profile
        self.sites = sites
        self.refeeds = refeeds
        self.timing = timing
        self.state = State.IDLE
        self.in_contact: frozenset[int] = frozenset()
        self.input_empty = False
        self.stopped = False
        """By an alarm that only an operator ends."""
        self._started = False
        self._paused = False
        self._unchecked = any(step.stb is not None for step in profile.startup)
        self._check_answer: str | None = None
        self._held_up = False
        self._order = BinLine({})
        self._numbers = {code: number for number, code in profile.codes.items()}
        self._ids: dict[int, str] = {}
        self._random = Random(f"{seed}:binon")
        self._texts = self._fixed_texts()
        self._acts: Mapping[Act, Callable[[], None]] = {
            Act.ANNOUNCE: self._announce,
            Act.TELL_SITES: self._tell_sites,
            Act.ECHO: self._echo,
            Act.SORT: self._sort,
            Act.REFUSE: self._refuse,
            Act.NOTHING: lambda: None,
        }

    # -- what people do at the machine
    def start(self) -> None:
        """Press the start key: feed from the input until it is empty."""
        if not self._started or self.input_empty:
            self._started = True
            self.input_empty = False
            self._index()

    # -- what the station says
    def handle(self, message: bytes) -> None:
        text = message.decode("ascii", "backslashreplace").strip()
        if text and text == self._check_answer:
            self._checked()
        elif text in self._texts:
            self._texts[text]()
        elif text == self.profile.sites_query:
            self._do(Word.SITES)
        elif text == self.profile.echo_ok:
            self._do(Word.OK)
        elif text == self.profile.echo_bad:
            self._do(Word.BAD)
        elif text.startswith(self.profile.bin_prefix):
            self._take_bins(text)

    def bus_status(self) -> int:
        """Serial poll: a service request has its byte and no more, for these machines have no conditions."""
        with self.condition:
            return self._statuses.popleft() if self._statuses else 0

    def cleared(self) -> None:
        """Device clear: an echo that was not confirmed is forgotten."""
        if self.state is State.BINNED:
            self.state = State.ASKED

    def _do(self, word: Word) -> None:
        if (row := TABLE.get((self.state, word))) is not None:
            self.state, act = row
            self._acts[act]()

    def _take_bins(self, text: str) -> None:
        try:
            self._order = BinLine.decode(text, self.profile)
        except ProtocolError:
            return
        self._do(Word.BINS)

    def _fixed_texts(self) -> dict[str, Callable[[], None]]:
        """Return what is answered in any state."""
        profile = self.profile
        texts: dict[str, Callable[[], None]] = {}
        for step in profile.startup:
            texts[step.send] = partial(self._startup, step)
        if profile.ids_query is not None:
            texts[profile.ids_query] = self._tell_ids
        if profile.lot_query is not None:
            texts[profile.lot_query] = self._tell_lot
        if profile.run_query is not None:
            texts[profile.run_query] = lambda: self._reply(profile.line("1"))
        if profile.pause is not None and profile.resume is not None:
            texts[profile.pause] = self._pause
            texts[profile.resume] = self._resume
        return texts

    def _startup(self, step: StartupStep) -> None:
        if step.expect:
            self._reply(self.profile.line(step.expect))
        if step.stb is not None:
            self._ask_empty_check(step.stb, step.read, step.answer)

    def _ask_empty_check(self, stb: int, text: str, answer: str) -> None:
        """Have the station say that all sockets are empty, and move nothing until then."""
        self._unchecked = True
        self._check_answer = answer
        self.clock.call_later(self._between(self.timing.request_s), self._ask, stb, text)

    def _ask(self, stb: int, text: str) -> None:
        self.respond(self.profile.line(text))
        self.request_service(stb)

    def _checked(self) -> None:
        self._check_answer = None
        self._unchecked = False
        self._go_on()

    def _go_on(self) -> None:
        if self._held_up and not self._paused and not self._unchecked:
            self._held_up = False
            self._index()

    # -- what it does by the table
    def _tell_sites(self) -> None:
        sites = self.in_contact if self.state is not State.IDLE else frozenset()
        if sites and self._strikes("extra_site"):
            sites = sites.union({self.sites + 1})
        reply = SitesReply(sites).encode(self.profile)
        if (length := self.faults.strikes("truncate")) is not None:
            reply = reply[: int(length or 1)]
        if self._strikes("empty_reply"):
            reply = self.profile.line("")
        self._reply(reply)
        if sites and (after_s := self.faults.strikes("operator_skip")) is not None:
            self.clock.call_later(float(after_s or 0.5), self._skip, self.in_contact)

    def _echo(self) -> None:
        if self.profile.echo == "none":
            self._do(Word.OK)
            return
        echo = self._order.echo(self.profile)
        if self._strikes("corrupt_echo"):
            at = len(self.profile.echo_prefix)
            echo = echo[:at] + bytes((echo[at] ^ 0x01,)) + echo[at + 1 :]
        self._reply(echo)

    def _refuse(self) -> None:
        """Bins when none were due: ignored, with an alarm (assumed)."""
        self.request_service(ALARM_STB)

    def _announce(self) -> None:
        late_ms = self.faults.strikes("late_srq")
        after_s = self._between(self.timing.request_s) + float(late_ms or 0) / 1000
        if (lost := self.faults.strikes("drop_srq")) is not None:
            if lost == "line":
                self.clock.call_later(after_s, self._ask_unheard, self.profile.ready_stb[0])
            return
        if (stb := self.faults.strikes("spurious_stb")) is not None:
            self.clock.call_later(after_s / 2, self._ask_unheard, int(stb or "0x10", 0))
        times = 1
        if (more := self.faults.strikes("dup_srq")) is not None:
            times += int(more or 1)
        for _ in range(times):
            self.clock.call_later(after_s, self.request_service, self.profile.ready_stb[0])

    def _ask_unheard(self, stb: int) -> None:
        """Have a status byte ready though nobody saw the line pulled: `drop_srq=line`."""
        with self.condition:
            self._statuses.append(stb)

    def _sort(self) -> None:
        codes = dict(self._order.codes)
        if codes.keys() != self.in_contact and self._strikes("strict_sites"):
            self.state = State.BINNED
            self.stopped = True
            self.request_service(ALARM_STB)
            return
        again = {site for site, code in codes.items() if code == self.profile.retest_code}
        bins = {site: self._numbers.get(code, NOBODY) for site, code in codes.items() if site not in again}
        bins = {site: number for site, number in bins.items() if site in self.in_contact}
        self.sockets.promised(bins)
        after = self._plunge_again if again else self._index
        self.clock.call_later(self._about(self.timing.plunge_s), self._let_go, bins, after)

    # -- what moves; planned by the clock, so on the loop's thread
    def _let_go(self, bins: Mapping[int, int], then: Callable[[], None]) -> None:
        self.sockets.lift()
        if bins:
            self.sockets.sort(bins)
            self.in_contact = self.in_contact.difference(bins)
        then()

    def _plunge_again(self) -> None:
        self.clock.call_later(self._about(self.timing.plunge_s), self._plunge)

    def _index(self) -> None:
        stb = self.profile.empty_check_stb
        if stb is not None and not self._unchecked and self._strikes("empty_check"):
            self._ask_empty_check(stb, self.profile.empty_check_text, self.profile.empty_check_answer)
        if self._paused or self._unchecked:
            self._held_up = True
            return
        seconds = self._about(self.timing.first_index_s + self.timing.site_s * (self.sites - 1))
        if (code := self.faults.strikes("jam")) is not None:
            self.request_service(int(code, 0) if code else ALARM_STB)
            seconds += self._about(self.timing.operator_s)
        if self._strikes("manual_start"):
            self.clock.call_later(seconds / 2, self.request_service, self.profile.ready_stb[0])
        self.clock.call_later(seconds, self._place)

    def _place(self) -> None:
        new = self.sockets.load()
        if not new and not self.in_contact and self.sockets.refeed(self.refeeds):
            new = self.sockets.load()
        if not new:
            self.input_empty = True
            if (stb := self.faults.strikes("announce_end")) is not None:
                self.request_service(int(stb, 0) if stb else ALARM_STB)
            return
        for site in sorted(new):
            self._ids[site] = self.sockets.code(site)
        self.in_contact = self.in_contact.union(new)
        self.clock.call_later(self._about(self.timing.plunge_s), self._plunge)

    def _plunge(self) -> None:
        self.sockets.land()
        self._do(Word.PLUNGED)

    def _skip(self, sites: frozenset[int]) -> None:
        """Take the parts out by hand and go on with the next, if they are still the same."""
        if self.state is State.ASKED and self.in_contact == sites:
            self.state = State.IDLE
            self._let_go(dict.fromkeys(sites, NOBODY), self._index)

    # -- answers of any state
    def _tell_ids(self) -> None:
        self._reply(IdsReply({site: self._ids[site] for site in self.in_contact}).encode(self.profile))

    def _tell_lot(self) -> None:
        ended = self.input_empty and self.state is State.IDLE
        self._reply(self.profile.line((self.profile.lot_ended if ended else self.profile.lot_running) or ""))

    def _pause(self) -> None:
        self._paused = True

    def _resume(self) -> None:
        self._paused = False
        self._go_on()

    # -- chance
    def _reply(self, message: bytes) -> None:
        if self._strikes("drop_reply"):
            return
        self.respond(message, after_s=self._between(self.timing.reply_s))

    def _strikes(self, knob: str) -> bool:
        return self.faults.strikes(knob) is not None

    def _between(self, ends: tuple[float, float]) -> float:
        return self._random.uniform(*ends)

    def _about(self, seconds: float) -> float:
        return seconds * self._random.uniform(0.8, 1.2)
