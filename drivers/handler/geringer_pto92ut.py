"""Geringer PTO92UT handlers on a serial line: the handler commands, the station answers.

Ref: the handler application of Semi-ATE, with its tests.

Whether the handler acknowledges an end of test is not known, so it is said once and never again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from math import isfinite, nan
from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.errors import EquipmentError, InstrumentError, ProtocolError
from drivers.protocols.geringer import (
    ALREADY_ACTIVE,
    HANDLER_BUSY,
    HANDLER_OK,
    Line,
    Lines,
    Part,
    Status,
    ended,
    started,
    status,
)
from drivers.roles.feeder import Touchdown
from drivers.roles.handler import Handler
from drivers.roles.happening import AlarmRaised, LotEnded
from drivers.roles.resource import Identity, Machine
from drivers.transports import Stream
from drivers.transports.serial import SerialSettings

GIVEN_S, BITS = 0.05, 11
"""Bins that the handler does not confirm count as given when the line, of so many bits a character, has
surely left this computer: a station that is killed before has told nobody that devices are sorted."""
MOST_BAD = 3
"""Unreadable lines in a row after which the line counts as down."""

log = logging.getLogger(__name__)


class GeringerOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file says of one PTO92UT."""

    sites: frozenset[int]
    """The sites that are wired; a device at another one is an alarm."""
    station_id: str = "hardbin"
    """What the station answers when it is asked for its name."""
    any_lot: bool = False
    """Whether the handler may load a lot of another name than the station's."""
    bins: Annotated[int, Meta(ge=1, le=999)] = 15
    """The highest hard bin."""
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["N", "E", "O"] = "N"

    def __post_init__(self) -> None:
        if not self.sites or min(self.sites) < 1:
            raise ValueError(f"sites {sorted(self.sites)}: one or more, from 1, are needed")
        if not self.station_id.isascii() or "|" in self.station_id:
            raise ValueError(f"station_id {self.station_id!r}: ASCII without | is allowed")

    @property
    def line(self) -> SerialSettings:
        """How the line is set: the handler's texts do not say, so the station file does."""
        return SerialSettings(baud=self.baud, parity=self.parity)


class GeringerPto92ut(Machine, Handler):
    """One handler. While it is connected it is answered at any time, also during a test."""

    Options = GeringerOptions
    port = Stream
    line = SerialSettings()

    def __init__(self, name: str, port: Stream, options: GeringerOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self.hard_bins = frozenset(range(1, options.bins + 1))
        self.temperature: float | None = None
        """What the handler said last, in degrees Celsius."""
        self.dropped = 0
        """How many lines could not be read."""
        self._stream = port
        self._options = options
        self._name = ""
        self._lines = Lines()
        self._bad = 0
        self._listener: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._forget()

    def _forget(self) -> None:
        self._wanted = ""
        """The lot that the station runs."""
        self._asked = ""
        """The lot that the handler wants to load, and waits for."""
        self._loaded = False
        self._over = False
        self._parts: Mapping[int, Part] = {}
        self._testing = False
        self._fault: EquipmentError | None = None
        self._deaf: EquipmentError | None = None

    # -- the machine
    async def connect(self) -> None:
        """Open the line, begin to answer, and ask the handler for its name and state."""
        self._forget()
        self._lines = Lines()
        self._bad = 0
        await self._stream.open()
        self._listener = asyncio.get_running_loop().create_task(self._listening())
        await self._say(Line("ID?"))
        await self._say(Line("HS?"))

    async def identify(self) -> Identity:
        """Return the name that the handler has given when it was asked."""
        return Identity(maker="Geringer", model=self._name or "PTO92UT")

    async def aclose(self) -> None:
        if (listener := self._listener) is not None:
            self._listener = None
            listener.cancel()
            await asyncio.wait([listener])
        await self._stream.aclose()

    async def make_safe(self) -> None:
        """Say nothing: without an end of test the handler moves nothing."""

    # -- the handler
    async def start_lot(self, lot: str) -> None:
        """Take the lot that the handler loads, or has asked for already, if it is this one."""
        self._wanted, self._over = lot, False
        self._parts, self._testing, self._loaded = {}, False, False
        if self._asked:
            await self._load(self._asked)

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        while await self._started():
            parts = self._parts
            here = {site: part.id for site, part in parts.items() if part.here}
            yield Touchdown(frozenset(here), here)
            if self._testing and self._parts is parts:
                raise EquipmentError(f"{self.name}: the devices got no bins")

    async def sort(self, bins: Mapping[int, int]) -> None:
        here = {site for site, part in self._parts.items() if part.here}
        if not self._testing:
            raise EquipmentError(f"{self.name}: no devices in contact that wait for bins: nothing was said")
        if bins.keys() != here:
            raise EquipmentError(
                f"{self.name}: bins for sites {sorted(bins)}, in contact are {sorted(here)}: nothing was said"
            )
        if strange := set(bins.values()) - self.hard_bins:
            raise EquipmentError(
                f"{self.name}: no hard bin {sorted(strange)}; 1 to {self._options.bins} are: nothing was said"
            )
        self._raise()
        line, self._testing = ended(self._parts, bins), False
        try:
            await self._say(line)
            await asyncio.sleep(GIVEN_S + BITS * len(line.encode()) / self._options.baud)
        except EquipmentError as error:
            raise EquipmentError(f"{self.name}: bins of sites {sorted(here)} unknown: {error}") from error

    async def replunge(self) -> None:
        raise EquipmentError(f"{self.name}: this handler has no word for plunging again")

    async def _started(self) -> bool:
        """Wait for the start of a test; false when the lot is over."""
        while True:
            self._raise()
            if self._testing:
                return True
            if self._over:
                return False
            self._news.clear()
            await self._news.wait()

    def _raise(self) -> None:
        """Raise what the listener has met, once; for ever if it hears no more."""
        fault, self._fault = self._fault or self._deaf, None
        if fault is not None:
            raise fault

    # -- what the handler says
    async def _listening(self) -> None:
        try:
            while True:
                for raw in self._lines.feed(await self._stream.receive()):
                    await self._heard(raw)
        except EquipmentError as error:
            self._go_deaf(error)
        except Exception as error:
            log.exception("%s: what it said cannot be dealt with", self.name)
            self._go_deaf(EquipmentError(f"{self.name}: what it said cannot be dealt with: {error!r}"))

    def _go_deaf(self, error: EquipmentError) -> None:
        self._deaf = error
        self._news.set()

    async def _heard(self, raw: bytes) -> None:
        try:
            await self._answer(Line.decode(raw))
        except ProtocolError as error:
            self.dropped += 1
            self._bad += 1
            log.warning("%s: dropped: %s", self.name, error)
            if self._bad >= MOST_BAD:
                raise ProtocolError(f"{self.name}: {MOST_BAD} unreadable lines in a row: {error}") from error
        else:
            self._bad = 0

    async def _answer(self, line: Line) -> None:
        match line.head, line.fields:
            case "LL", (lot, _, _):
                await self._load(lot)
            case "ST", _:
                await self._start(line)
            case "LE", ():
                await self._end()
            case "ID?", ():
                await self._say(Line("ID", (self._options.station_id,)))
            case "TS?", ():
                await self._say(status(self._standing()))
            case "ID", (name,):
                self._name = name
            case "HS", (code, text):
                self._heed(code, text)
            case "TE", (celsius,):
                self.temperature = _number(celsius)
            case _:
                raise ProtocolError(f"{line.head!r} with {len(line.fields)} fields is not known")

    def _standing(self) -> Status:
        if self._testing:
            return Status.BUSY
        return Status.LOT_LOADED if self._loaded else Status.INITIALISED

    async def _load(self, lot: str) -> None:
        """Load the lot when the station runs it; until then the handler waits for the answer."""
        if self._testing:
            await self._say(status(Status.BUSY))
        elif self._loaded:
            await self._say(status(Status.LOT_LOADED, ALREADY_ACTIVE))
        elif not self._wanted:
            self._asked = lot
        elif lot == self._wanted or self._options.any_lot:
            self._asked, self._loaded = "", True
            await self._say(status(Status.LOT_LOADED))
        else:
            self._asked = ""
            await self._say(status(Status.INVALID_LOT))
            self._fail(
                EquipmentError(f"{self.name}: wants to load lot {lot!r}, the station runs {self._wanted!r}")
            )

    async def _start(self, line: Line) -> None:
        parts = started(line)
        if self._testing or not self._loaded:
            await self._say(status(Status.BUSY if self._testing else Status.NO_LOT))
            return
        here = {site for site, part in parts.items() if part.here}
        if strange := sorted(here - self._options.sites):
            self._fail(
                EquipmentError(
                    f"{self.name}: devices at sites {strange}, configured are "
                    f"{sorted(self._options.sites)}: no test"
                )
            )
            return
        self._parts, self._testing = parts, bool(here)
        self._news.set()

    async def _end(self) -> None:
        if self._testing or not self._loaded:
            await self._say(status(Status.BUSY if self._testing else Status.NO_LOT))
            return
        self._loaded, self._wanted = False, ""
        await self._say(status(Status.OK))
        self._over = True
        self.heard(LotEnded())
        self._news.set()

    def _heed(self, code: str, text: str) -> None:
        number = round(_number(code))
        if number not in (HANDLER_OK, HANDLER_BUSY):
            self.heard(AlarmRaised(str(number), text))
            self._fail(InstrumentError(number, f"{self.name}: {text or 'no text'}"))

    def _fail(self, error: EquipmentError) -> None:
        self._fault = error
        self._news.set()

    async def _say(self, line: Line) -> None:
        await self._stream.write(line.encode())


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise ProtocolError(f"{text!r} is no number")
    return number
