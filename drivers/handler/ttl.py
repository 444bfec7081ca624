"""Device handlers with a parallel port: start of test, bins and end of test as levels of digital lines.

Common knowledge of the trade (see `drivers.protocols.ttl`); compare with the handler ports that instruments
publish: GW Instek GOM-802 (manual p. 37), Chroma 19020 (manual p. 57). The handler answers nothing: what it
took is not known, so bins and end of test are driven once and never again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress

from msgspec import Struct

from drivers.errors import EquipmentError
from drivers.protocols.ttl import Active, Coding, Sensing, Signals, Spurious, Started, StartLine, Stuck, span
from drivers.roles.dio import Dio, DioStep, Levels, Wait, unknown
from drivers.roles.feeder import Touchdown
from drivers.roles.handler import Handler
from drivers.roles.happening import AlarmRaised
from drivers.roles.resource import Identity, Machine

log = logging.getLogger(__name__)


class TtlOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file says of one handler on digital lines."""

    lines: dict[str, Signals]
    """The lines of each site, by its number."""
    coding: Coding = "one_hot"
    sensing: Sensing = "pulse"
    """Whether a start is a pulse, or a level that stays until the end of test."""
    sot_active: Active = "low"
    outputs_active: Active = "low"
    """Bins, end of test, busy and retest."""
    error_active: Active = "low"
    debounce_s: float = 0.002
    longest_s: float = 1.0
    """What a start pulse may last."""
    gather_s: float = 0.02
    """How long after the first start those of the other sites belong to the same contact."""
    setup_s: float = 0.001
    """From the bins to the end of test."""
    eot_s: float = 0.02
    hold_s: float = 0.005
    """From the end of the end of test until the bins are taken back."""
    rest_s: float = 0.02
    """After the end of test no start counts for so long."""
    bin_timeout_s: float = 0.0
    """After how long the handler takes no more bins; 0: it waits for ever."""
    quiet_s: float = 0.0
    """How long no start may come; 0: for ever."""
    sample_s: float = 0.001

    def __post_init__(self) -> None:
        if not self.lines or not all(site.isdigit() and int(site) for site in self.lines):
            raise ValueError(f"lines of sites {sorted(self.lines)}: one site or more, from 1, is needed")
        used = [line for one in self.lines.values() for line in (*one.inputs, *one.outputs)]
        if twice := sorted({line for line in used if used.count(line) > 1}):
            raise ValueError(f"line {', '.join(twice)} is used twice")
        bounds = {"debounce_s": 0.1, "longest_s": 10, "gather_s": 10, "setup_s": 1, "eot_s": 1, "hold_s": 1}
        for field, most in {**bounds, "rest_s": 1, "sample_s": 0.1}.items():
            if not 0 < (value := getattr(self, field)) <= most:
                raise ValueError(f"{field} {value:g}: more than 0, at most {most:g} is allowed")
        for field in ("bin_timeout_s", "quiet_s"):
            if (value := getattr(self, field)) < 0:
                raise ValueError(f"{field} {value:g}: 0 (for ever) or more is allowed")


class TtlHandler(Machine, Handler):
    """One handler. While it is connected its start lines are looked at without a pause."""

    Options = TtlOptions
    port = Dio

    def __init__(self, name: str, port: Dio, options: TtlOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self._dio = port
        self._options = options
        self._lines = {int(site): one for site, one in options.lines.items()}
        common = [one.hard_bins(options.coding) for one in self._lines.values()]
        self.hard_bins = frozenset.intersection(*common)
        self.can_replunge = all(one.retest for one in options.lines.values())
        self.ignored = 0
        """How many times a start line was active for nothing: bounces, and starts during a test."""
        self._starts: dict[int, float] = {}
        self._contact: Mapping[int, float] = {}
        self._released_at = float("-inf")
        self._alarmed: frozenset[int] = frozenset()
        self._fault: EquipmentError | None = None
        self._blind: EquipmentError | None = None
        self._news = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    # -- the machine
    async def connect(self) -> None:
        """Check that the lines are there, release all of ours, and begin to look at the handler's."""
        self._check()
        await self._dio.write(self._levels(dict.fromkeys(self._outputs(), False)))
        self._starts.clear()
        self._contact, self._fault, self._blind = {}, None, None
        self._alarmed = frozenset()
        self._released_at = float("-inf")
        self._watch = asyncio.get_running_loop().create_task(self._watching())

    def _outputs(self) -> list[str]:
        return [line for one in self._lines.values() for line in one.outputs]

    def _check(self) -> None:
        signals = tuple(self._lines.values())
        outputs = {line for one in signals for line in one.outputs}
        faults = (
            unknown(self._dio, span(signals) - outputs, among=self._dio.inputs, what="input"),
            unknown(self._dio, outputs, among=self._dio.outputs, what="output"),
        )
        for fault in filter(None, faults):
            raise EquipmentError(f"{self.name}: {fault}")
        active = self._options.outputs_active == "high"
        if wrong := sorted(line for line in outputs if self._dio.resting[line] is active):
            raise EquipmentError(
                f"{self.name}: {', '.join(wrong)} of {self._dio.name} would be active in its safe state"
            )

    async def identify(self) -> Identity:
        """Name what is configured: lines tell no maker."""
        return Identity(maker="", model=f"handler on the lines of {self._dio.name}")

    async def aclose(self) -> None:
        if (watch := self._watch) is not None:
            self._watch = None
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    async def make_safe(self) -> None:
        """Say nothing: a device in contact stays there. A handler that sees no end of test moves nothing."""

    # -- the handler
    async def start_lot(self, lot: str) -> None:
        """Forget the contact of the lot before; a start that came meanwhile is kept."""
        log.info("%s: lot %s begins", self.name, lot)
        self._contact = {}

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        self._starts |= self._contact  # those that wait for their bins started once
        self._contact = {}
        while True:
            await self._started()
            self._contact, self._starts = self._starts, {}
            await self._say("busy", self._contact, active=True)
            yield Touchdown(frozenset(self._contact))
            if self._contact:
                raise EquipmentError(f"{self.name}: the devices were neither sorted nor plunged again")

    async def sort(self, bins: Mapping[int, int]) -> None:
        self._need_contact()
        if bins.keys() != self._contact.keys():
            raise EquipmentError(
                f"{self.name}: bins for sites {sorted(bins)}, in contact are {sorted(self._contact)}: "
                "nothing was said"
            )
        if strange := set(bins.values()) - self.hard_bins:
            allowed = ", ".join(map(str, sorted(self.hard_bins)))
            raise EquipmentError(
                f"{self.name}: no hard bin {sorted(strange)}; {allowed} are: nothing was said"
            )
        coded = {line: active for site, number in bins.items() for line, active in self._coded(site, number)}
        await self._end(coded)

    async def replunge(self) -> None:
        self._need_contact()
        if not self.can_replunge:
            raise EquipmentError(f"{self.name}: plunges again only with a retest line at each site")
        await self._end({self._lines[site].retest: True for site in self._contact})

    def _coded(self, site: int, number: int) -> list[tuple[str, bool]]:
        return list(self._lines[site].coded(number, self._options.coding).items())

    def _need_contact(self) -> None:
        if not self._contact:
            raise EquipmentError(f"{self.name}: no devices in contact that wait for bins: nothing was said")

    async def _end(self, said: Mapping[str, bool]) -> None:
        """Drive bins, then the end of test, once for this contact, and take them back in this order."""
        options, contact = self._options, self._contact
        self._raise()
        loop = asyncio.get_running_loop()
        late_s = loop.time() - min(contact.values())
        self._contact, self._released_at = {}, float("inf")
        if options.bin_timeout_s and late_s + options.setup_s > options.bin_timeout_s:
            raise EquipmentError(
                f"{self.name}: {late_s:.1f} s since the start, the handler takes bins for "
                f"{options.bin_timeout_s:g} s: nothing was said"
            )
        ends = [self._lines[site].eot for site in contact]
        idle = [*said, *(line for site in contact if (line := self._lines[site].busy))]
        steps: tuple[DioStep, ...] = (
            Levels(self._levels(said)),
            Wait(options.setup_s),
            Levels(self._levels(dict.fromkeys(ends, True))),
            Wait(options.eot_s),
            Levels(self._levels(dict.fromkeys(ends, False))),
            Wait(options.hold_s),
            Levels(self._levels(dict.fromkeys(idle, False))),
        )
        try:
            await self._dio.play(steps)
        except EquipmentError as error:
            raise EquipmentError(f"{self.name}: bins of sites {sorted(contact)} unknown: {error}") from error
        self._released_at = loop.time()

    async def _say(self, signal: str, sites: Mapping[int, float], *, active: bool) -> None:
        lines = [line for site in sites if (line := getattr(self._lines[site], signal))]
        if lines:
            await self._dio.write(self._levels(dict.fromkeys(lines, active)))

    def _levels(self, active: Mapping[str, bool]) -> dict[str, bool]:
        high = self._options.outputs_active == "high"
        return {line: on is high for line, on in active.items()}

    # -- starts of test
    async def _started(self) -> None:
        """Wait for a start, and a moment longer for those of the other sites."""
        try:
            async with asyncio.timeout(self._options.quiet_s or None):
                while not self._starts:
                    self._raise()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise EquipmentError(
                f"{self.name}: no start of test for {self._options.quiet_s:g} s; is the input empty?"
            ) from None
        await asyncio.sleep(self._options.gather_s)
        self._raise()

    def _raise(self) -> None:
        """Raise what the watch has found, once; for ever if it can look no more."""
        fault, self._fault = self._fault or self._blind, None
        if fault is not None:
            raise fault

    async def _watching(self) -> None:
        """Look at the handler's lines until closed; what is wrong is for whoever waits or sorts next."""
        options = self._options
        watched = {
            site: StartLine(
                debounce_s=options.debounce_s, longest_s=options.longest_s, sensing=options.sensing
            )
            for site in self._lines
        }
        loop = asyncio.get_running_loop()
        while True:
            try:
                high = await self._dio.read()
            except EquipmentError as error:
                self._blind = error
                self._news.set()
                return
            self._look(high, watched, loop.time())
            await asyncio.sleep(options.sample_s)

    def _look(self, high: Mapping[str, bool], watched: Mapping[int, StartLine], at: float) -> None:
        options = self._options
        for site, lines in self._lines.items():
            match watched[site].sample(active=high[lines.sot] is (options.sot_active == "high"), at=at):
                case Started(since):
                    self._take(site, since)
                case Spurious(why):
                    self.ignored += 1
                    log.info("%s: start of site %d %s", self.name, site, why)
                case Stuck(why):
                    self._fail(EquipmentError(f"{self.name}: start of site {site} {why}: the line is stuck"))
            self._heed(
                site, active=bool(lines.error) and high[lines.error] is (options.error_active == "high")
            )

    def _heed(self, site: int, *, active: bool) -> None:
        """Take an error of the handler, once for as long as it is signalled."""
        if active and site not in self._alarmed:
            self.heard(AlarmRaised("", f"error at site {site}"))
            self._fail(EquipmentError(f"{self.name}: the handler signals an error at site {site}"))
        self._alarmed = self._alarmed | {site} if active else self._alarmed - {site}

    def _take(self, site: int, since: float) -> None:
        if self._contact or since < self._released_at + self._options.rest_s:
            self.ignored += 1
            log.warning("%s: start of site %d during a test: ignored", self.name, site)
            return
        self._starts[site] = since
        self._news.set()

    def _fail(self, error: EquipmentError) -> None:
        self._fault = error
        self._news.set()
