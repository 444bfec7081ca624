"""Device handlers with SECS/GEM over HSMS: the station is the host, the handler the equipment.

Ref: secsgem, message and data-item definitions; the course of a lot is common knowledge (SEMI E30).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.errors import EquipmentError, InstrumentError, ProtocolError
from drivers.links import gem_recipes
from drivers.links.gem_maps import MapDesk
from drivers.links.hsms import HsmsLink, Timers
from drivers.protocols import gem
from drivers.protocols.gem import Alarm, Event, GemProfile
from drivers.protocols.hsms import Message
from drivers.protocols.secs import array, binary, text
from drivers.roles.feeder import Touchdown
from drivers.roles.handler import Handler
from drivers.roles.happening import (
    AlarmRaised,
    DoorOpened,
    Happening,
    Jammed,
    LotEnded,
    OutputFull,
    PartDropped,
    Warned,
)
from drivers.roles.resource import Identity, Machine
from drivers.transports import Stream

ONLINE = (0, 2)
TOLD: Mapping[str, Callable[[str, str], Happening]] = {
    "alarm": AlarmRaised,
    "warning": Warned,
    "jam": Jammed,
    "part dropped": PartDropped,
    "output full": OutputFull,
    "door": DoorOpened,
}
"""ONLACK: on-line, or already so."""

log = logging.getLogger(__name__)


class GemOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file says of one handler."""

    sites: frozenset[int]
    """The sites that are wired; a device at another one is an alarm."""
    profile: GemProfile
    device: Annotated[int, Meta(ge=0, le=32767)] = 0
    timers: Timers = Timers()
    bins: Annotated[int, Meta(ge=1, le=255)] = 15
    """The highest hard bin."""
    sort_s: Annotated[float, Meta(gt=0, le=600)] = 60.0
    """How long a sort may take that is only accepted at first."""
    quiet_s: Annotated[float, Meta(ge=0)] = 0.0
    """How long no devices may be presented; 0: for ever. An event that is lost shows in nothing else."""
    linktest_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """How often the handler must show that it is there while devices are waited for."""
    recipe_file: str = ""
    """The file with the body of the profile's recipe: the handler gets it, and must have it so."""
    spool: Literal["leave", "purge"] = "leave"
    """What becomes of events that the handler kept while nobody was connected, if it can."""
    map_folder: str = ""
    """Where maps are that the handler sends and asks for; empty: its messages about maps are aborted."""

    def __post_init__(self) -> None:
        if self.recipe_file and not self.profile.recipe:
            raise ValueError("recipe_file: the profile names no recipe")
        if not self.sites or min(self.sites) < 1:
            raise ValueError(f"sites {sorted(self.sites)}: one or more, from 1, are needed")


class GemHandler(Machine, Handler):
    """One handler. A sort is one remote command, which is never said again."""

    Options = GemOptions
    port = Stream

    def __init__(self, name: str, port: Stream, options: GemOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self._options = options
        self._profile = options.profile
        self.hard_bins = frozenset(range(1, options.bins + 1))
        self.can_replunge = bool(options.profile.retest)
        self._link = HsmsLink(name, port, device=options.device, timers=options.timers, told=self._told)
        self._link.on_loss(self._lose)
        self._identity = Identity(maker="", model="SECS/GEM handler")
        self._recipe: bytes | None = None
        self._maps = MapDesk(name, Path(options.map_folder)) if options.map_folder else None
        self._news = asyncio.Event()
        self.repeated = 0
        """How many events came twice."""
        self._forget()

    def _forget(self) -> None:
        self._contact: frozenset[int] = frozenset()
        self._presented: frozenset[int] | None = None
        self._over = False
        self._sorted = False
        self._last: tuple[int, Event] | None = None
        self._fault: EquipmentError | None = None
        self._lost: EquipmentError | None = None

    # -- the machine
    async def connect(self) -> None:
        """Select, establish communication, go on-line, and have exactly our events and all alarms told."""
        self._forget()
        self._recipe = self._read_recipe()
        if self._maps is not None:
            self._maps.check()
        await self._link.open()
        await self._introduced()
        await self._agreed(gem.go_online(), ONLINE, "going on-line")
        if self._options.spool == "purge":
            await gem_recipes.forget_spool(self._link)
        await self._agreed(gem.silence(), (0,), "switching events off")
        await self._agreed(gem.forget_reports(), (0,), "deleting reports")
        await self._agreed(gem.define_reports(self._profile), (0,), "defining reports")
        await self._agreed(gem.link_reports(self._profile), (0,), "linking reports")
        await self._agreed(gem.enable_events(self._profile), (0,), "enabling events")
        await self._agreed(gem.enable_alarms(), (0,), "enabling alarms")

    def _read_recipe(self) -> bytes | None:
        if not (path := self._options.recipe_file):
            return None
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise EquipmentError(f"{self.name}: recipe_file {path}: {error}") from error

    async def _introduced(self) -> None:
        reply = await self._agreed(gem.establish(), (0,), "establishing communication")
        match reply.item.items if reply.item is not None else ():
            case (_, names) if len(names.items) == 2:
                model, revision = names.items
                self._identity = Identity(maker="", model=model.text, firmware=revision.text)

    async def _agreed(self, message: Message, good: tuple[int, ...], what: str) -> Message:
        reply = await self._link.ask(message)
        if (code := gem.acknowledged(reply)) not in good:
            raise InstrumentError(code, f"{self.name}: {what} ({message}) is refused")
        return reply

    async def identify(self) -> Identity:
        """Return model and revision that the handler gave when communication was established."""
        return self._identity

    async def aclose(self) -> None:
        await self._link.aclose()

    async def make_safe(self) -> None:
        """Say nothing: without a sort the handler moves nothing."""

    # -- the handler
    async def start_lot(self, lot: str) -> None:
        """Choose recipe and lot, and start, as far as the profile has commands for it."""
        self._contact, self._over = frozenset(), False
        if self._recipe is not None:
            await gem_recipes.provide(self._link, self._profile.recipe, self._recipe)
        if self._profile.select:
            parameters = {"PPID": text(self._profile.recipe), "LOTID": text(lot)}
            await self._ordered(gem.command(self._profile.select, parameters))
        if self._profile.start:
            await self._ordered(gem.command(self._profile.start))

    async def end_lot(self) -> None:
        """Have the lot ended, if the profile has a command for that, and wait until the handler says so."""
        if not self._profile.end or self._over:
            return
        await self._ordered(gem.command(self._profile.end))
        await self._until(lambda: self._over, "the lot did not end")

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        if self._presented is None:  # those whose bins it waits for are presented once
            self._presented = self._contact or None
        self._contact = frozenset()
        while (sites := await self._next()) is not None:
            if strange := sorted(sites - self._options.sites):
                raise EquipmentError(
                    f"{self.name}: devices at sites {strange}, configured are "
                    f"{sorted(self._options.sites)}: no test"
                )
            self._contact = sites
            yield Touchdown(sites)
            if self._contact:
                raise EquipmentError(f"{self.name}: the devices were neither sorted nor plunged again")

    async def sort(self, bins: Mapping[int, int]) -> None:
        self._need_contact()
        if bins.keys() != self._contact:
            raise EquipmentError(
                f"{self.name}: bins for sites {sorted(bins)}, in contact are {sorted(self._contact)}: "
                "nothing was said"
            )
        if strange := set(bins.values()) - self.hard_bins:
            raise EquipmentError(
                f"{self.name}: no hard bin {sorted(strange)}; 1 to {self._options.bins} are: nothing was said"
            )
        profile = self._profile
        parameters = {
            profile.sort_parameter.format(site=site): gem.number(bins[site], profile.bin_as)
            for site in sorted(bins)
        }
        await self._moved(gem.command(profile.sort, parameters))

    async def replunge(self) -> None:
        self._need_contact()
        if not self.can_replunge:
            raise EquipmentError(f"{self.name}: the profile has no command that plunges again")
        await self._moved(gem.command(self._profile.retest))

    def _need_contact(self) -> None:
        if not self._contact:
            raise EquipmentError(f"{self.name}: no devices in contact that wait for bins: nothing was said")
        if self._presented is not None:
            self._contact = frozenset()
            raise EquipmentError(
                f"{self.name}: other devices were presented during the test: no bin was said"
            )
        self._raise()

    async def _moved(self, message: Message) -> None:
        """Say a command that moves devices, once; what is not known to be done leaves their bins unknown."""
        contact, self._contact = self._contact, frozenset()
        self._sorted = False
        unknown = f"{self.name}: bins of sites {sorted(contact)} unknown"
        try:
            code = await self._ordered(message)
        except InstrumentError:
            raise  # refused: nothing moved
        except EquipmentError as error:
            raise EquipmentError(f"{unknown}: {error}") from error
        if code == gem.LATER and self._profile.sorted is not None:
            try:
                await self._until(lambda: self._sorted, "not sorted")
            except EquipmentError as error:
                raise EquipmentError(f"{unknown}: {error}") from error

    async def _until(self, done: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(self._options.sort_s):
                while not done():
                    self._raise()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise EquipmentError(f"{self.name}: {what} within {self._options.sort_s:g} s") from None

    async def _ordered(self, message: Message) -> int:
        """Say a remote command; InstrumentError if it is refused, and so did nothing."""
        code = gem.acknowledged(await self._link.ask(message))
        if code not in (gem.DONE, gem.LATER, gem.ALREADY):
            why = gem.REFUSALS.get(code, "refused")
            raise InstrumentError(code, f"{self.name}: {message.item}: {why}; nothing was done")
        return code

    async def _next(self) -> frozenset[int] | None:
        """Wait for devices in contact; None when the lot is over."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._presented is None:
            self._raise()
            if self._over:
                return None
            if self._options.quiet_s and loop.time() - began >= self._options.quiet_s:
                raise EquipmentError(f"{self.name}: no devices presented for {self._options.quiet_s:g} s")
            self._news.clear()
            try:
                async with asyncio.timeout(self._options.linktest_s):
                    await self._news.wait()
            except TimeoutError:
                await self._link.test()
        self._raise()
        presented, self._presented = self._presented, None
        return presented

    def _raise(self) -> None:
        """Raise an alarm once, a lost connection for ever."""
        fault, self._fault = self._fault or self._lost, None
        if fault is not None:
            raise fault

    def _lose(self, error: EquipmentError) -> None:
        self._lost = error
        self._news.set()

    # -- what the handler says
    def _told(self, message: Message, system: int) -> Message | None:
        """Take what is said unasked; return the reply; what is not known is aborted (function 0)."""
        match message.stream, message.function:
            case 6, 11:
                self._happened(Event.of(message), system)
                return Message(6, 12, binary(0))
            case 5, 1:
                self._alarmed(Alarm.of(message))
                return Message(5, 2, binary(0))
            case 1, 1:
                return Message(1, 2, array())
            case 1, 13:
                return Message(1, 14, array(binary(0), array()))
            case 10, 1:
                log.info("%s: says %s", self.name, message.item)
                return Message(10, 2, binary(0))
            case 7, _:
                return gem_recipes.answered(message, self._profile.recipe, self._recipe)
            case 12, _ if self._maps is not None:
                return self._maps.answered(message)
            case 9, _:
                self._fault = ProtocolError(f"{self.name}: did not take what was said ({message})")
                self._news.set()
        return None

    def _happened(self, event: Event, system: int) -> None:
        """Take an event, once for each transaction: its DATAID need not count, and often does not."""
        if (system, event) == self._last:
            self.repeated += 1
            log.warning("%s: event %d came twice", self.name, event.ceid)
            return
        self._last = system, event
        profile = self._profile
        if event.ceid == profile.presented.ceid:
            if self._presented is not None:
                self._fault = ProtocolError(f"{self.name}: presents devices again that nobody has taken")
            values = event.reports.get(profile.presented.rptid, ())
            self._presented = gem.sites_of(values, profile.sites_as)
        elif event.ceid == profile.lot_ended.ceid:
            self._over = True
            self.heard(LotEnded())
        elif profile.sorted is not None and event.ceid == profile.sorted.ceid:
            self._sorted = True
        self._news.set()

    def _alarmed(self, alarm: Alarm) -> None:
        log.warning(
            "%s: alarm %d %s: %s", self.name, alarm.alid, "set" if alarm.on else "cleared", alarm.text
        )
        grave = alarm.alid not in self._profile.warnings
        if alarm.on:
            kind = self._profile.kinds.get(str(alarm.alid), "alarm")
            self.heard(TOLD[kind if grave else "warning"](str(alarm.alid), alarm.text))
        if alarm.on and grave:
            self._fault = InstrumentError(alarm.alid, f"{self.name}: {alarm.text or 'no text'}")
            self._news.set()
