"""Interlocks, ionisers and other things of a cell at Modbus, over TCP or a serial line (RTU).

Common knowledge of the trade. Which register means what is told in the station file, from the maker's manual.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from drivers.errors import EquipmentError, ProtocolError, Silent
from drivers.protocols.modbus import Frame, Frames, Framing, Function, Request
from drivers.roles.interlock import Interlock
from drivers.roles.resource import Identity, Machine
from drivers.transports import Stream
from drivers.transports.serial import SerialSettings
from drivers.transports.tcp import TcpStream

TRIES = 3
QUIET_S = 0.005
"""More than 3.5 characters at 9600 baud: what parts two frames of RTU."""
Kind: TypeAlias = Literal["coil", "input", "holding", "register"]
READING: Mapping[Kind, Function] = {
    "coil": Function.READ_COILS,
    "input": Function.READ_INPUTS,
    "holding": Function.READ_HOLDING,
    "register": Function.READ_INPUT_REGISTERS,
}
WRITING: Mapping[Kind, Function] = {"coil": Function.WRITE_COIL, "holding": Function.WRITE_REGISTER}

log = logging.getLogger(__name__)


class Point(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that can be read, and maybe written."""

    kind: Kind
    """`coil` and `holding` can be written, `input` and `register` cannot."""
    address: Annotated[int, Meta(ge=0, le=65535)]
    """As it goes over the wire, counted from 0."""
    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    bit: Annotated[int, Meta(ge=0, le=15)] | None = None
    """Which bit of a register, where it is a switch."""
    inverted: bool = False
    """Whether a switch means the opposite."""
    scale: float = 1.0
    """What a register's number is multiplied by."""
    interlock: bool = False
    """Whether it must be on for the cell to go on."""
    safe: float | None = None
    """What it is set to in the safe state."""

    def __post_init__(self) -> None:
        if self.bit is not None and self.kind in ("coil", "input"):
            raise ValueError(f"bit {self.bit}: a {self.kind} is one bit already")
        if self.safe is not None and (self.kind not in WRITING or self.bit is not None):
            raise ValueError(f"safe {self.safe:g}: only a coil or a whole holding register can be written")
        if self.scale == 0:
            raise ValueError("scale 0: any other number is allowed")

    @property
    def switch(self) -> bool:
        """Whether it is on or off, and no number."""
        return self.kind in ("coil", "input") or self.bit is not None

    def value(self, raw: int) -> float:
        """Return what a raw number means."""
        if not self.switch:
            return raw * self.scale
        on = bool(raw >> self.bit & 1 if self.bit is not None else raw)
        return float(on is not self.inverted)

    def raw(self, value: float) -> int:
        """Return the raw number that means a value; ValueError if none does."""
        number = round(value / self.scale) if not self.switch else int(bool(value) is not self.inverted)
        if not 0 <= number <= 65535:
            raise ValueError(f"{value:g} is {number} in the register; 0 to 65535 are allowed")
        return number


class ModbusOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of the things at one line."""

    points: dict[str, Point]
    reply_timeout_s: Annotated[float, Meta(gt=0, le=10)] = 1.0

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("points: at least one is needed")
        for name, point in self.points.items():
            if point.interlock and not point.switch:
                raise ValueError(f"points.{name}: an interlock is a coil, an input, or a bit of a register")


class Modbus(Machine, Interlock):
    """The things at one line. The interlock is closed while every point marked so is on."""

    Options = ModbusOptions
    port = Stream
    line = SerialSettings(baud=9600, bits=8, parity="E", stop=1)

    def __init__(self, name: str, port: Stream, options: ModbusOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self.points = options.points
        self.contacts = tuple(name for name, point in options.points.items() if point.interlock)
        self._stream = port
        self._timeout_s = options.reply_timeout_s
        self._framing: Framing = "tcp" if isinstance(port, TcpStream) else "rtu"
        self._frames = Frames(self._framing, asks=False)
        self._transaction = 0
        self._turn = asyncio.Lock()
        self.strays = 0
        """How many answers came to other questions than the one that was put."""

    # -- the machine
    async def connect(self) -> None:
        """Open the line, bring what has a safe value to it, and read every point once."""
        self._frames.clear()
        await self._stream.open()
        await self.make_safe()
        for name in self.points:
            await self.measure(name)

    async def identify(self) -> Identity:
        """Name what is configured: Modbus tells no maker that all devices would tell."""
        return Identity(maker="", model=f"Modbus {self._framing.upper()}: {', '.join(self.points)}")

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def make_safe(self) -> None:
        """Set what has a safe value to it, and read it back."""
        for name, point in self.points.items():
            if point.safe is not None:
                await self.set(name, point.safe)

    # -- the points
    async def open_contacts(self) -> tuple[str, ...]:
        found = list[str]()
        for name in self.contacts:
            if not await self.measure(name):
                found.append(name)
        return tuple(found)

    async def measure(self, name: str) -> float:
        """Return a point's value, scaled; a switch is 1 when on."""
        point = self._point(name)
        (raw,) = await self._asked(point.unit, Request(READING[point.kind], point.address))
        return point.value(raw)

    async def set(self, name: str, value: float) -> None:
        """Write a point and read back that it is what was written."""
        point = self._point(name)
        if (writing := WRITING.get(point.kind)) is None or point.bit is not None:
            raise EquipmentError(f"{self.name}: {name} cannot be written")
        try:
            raw = point.raw(value)
        except ValueError as error:
            raise EquipmentError(f"{self.name}: {name}: {error}") from None
        await self._asked(point.unit, Request(writing, point.address, values=(raw,)))
        (found,) = await self._asked(point.unit, Request(READING[point.kind], point.address))
        if found != raw:
            raise EquipmentError(f"{self.name}: {name} was set to {raw} and is {found}")

    def _point(self, name: str) -> Point:
        if (point := self.points.get(name)) is None:
            raise EquipmentError(f"{self.name}: no point {name!r}; there are: {', '.join(self.points)}")
        return point

    # -- the line
    async def _asked(self, unit: int, request: Request) -> tuple[int, ...]:
        """Ask, up to three times: reading, and writing the same value again, may be repeated."""
        fault: EquipmentError | None = None
        async with self._turn:
            for _ in range(TRIES):
                try:
                    return request.answer(await self._exchanged(unit, request))
                except (Silent, ProtocolError) as error:
                    fault = error
                    await self._emptied()
        raise ProtocolError(f"{self.name}: no good answer from unit {unit} in {TRIES} tries: {fault}")

    async def _exchanged(self, unit: int, request: Request) -> bytes:
        self._transaction = self._transaction + 1 & 0xFFFF
        transaction = self._transaction if self._framing == "tcp" else 0
        if await self._stream.discard():  # a frame on a serial line does not say which question it answers
            self.strays += 1
        self._frames.clear()
        await self._stream.write(Frame(unit, request.encode(), transaction).encode(self._framing))
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    for frame in self._frames.feed(await self._stream.receive()):
                        if (frame.unit, frame.transaction) == (unit, transaction):
                            return frame.pdu
                        self.strays += 1
        except TimeoutError:
            raise Silent(f"{self.name}: nothing from unit {unit} within {self._timeout_s:g} s") from None

    async def _emptied(self) -> None:
        """Drop what still comes, until the line is quiet."""
        self._frames.clear()
        await self._stream.until_quiet(QUIET_S)
