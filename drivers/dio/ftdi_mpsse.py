"""Digital lines of FTDI's FT232H and FT2232H over USB: 16 lines, D0 to D7 and C0 to C7.

No maker's text was at hand; see `drivers.protocols.mpsse`. Levels are written and read by the MPSSE engine,
and every answer ends with the echo of a command that does not exist, so that a lost byte is noticed at once.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from drivers.dio.mpsse_spi import SpiChannel
from drivers.errors import EquipmentError, ProtocolError, Silent
from drivers.protocols.mpsse import (
    ANSWER_BYTES,
    MARK,
    MPSSE_MODE,
    QUESTION,
    SYNC,
    VENDOR_OUT,
    Code,
    Command,
    Purge,
    Request,
    answered,
    clock,
    levels,
    payload_of,
    shift,
)
from drivers.roles.dio import Dio, DioStep, Levels, Wait, unknown
from drivers.roles.resource import Identity, Machine, Resource
from drivers.transports import Control, Conversation, Pause, Port, Read, Write

LINES = (*(f"D{n}" for n in range(8)), *(f"C{n}" for n in range(8)))
BITS = {line: 1 << n for n, line in enumerate(LINES)}
LATENCY_MS = 1
ANSWER_S = 1.0
MOST_PACKETS = 64
"""Packets without the end of an answer after which the chip counts as out of step."""


class FtdiMpsseOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of the lines."""

    outputs: frozenset[str] = frozenset()
    """The lines that the station drives; all others are inputs."""
    resting_high: frozenset[str] = frozenset()
    """The outputs that are high in the safe state, as those that are active low must be."""
    channel: int = 1
    """Which engine of the chip: 1 (A), or 2 (B) of an FT2232H."""
    out_pipe: int = 0x02
    in_pipe: int = 0x81
    packet: int = 512
    """Bytes a packet of the bulk pipes."""
    spi_select: str = ""
    """The output that selects a device on SPI, active low; D0 is its clock, D1 leads to it, D2 from it."""
    spi_hz: Annotated[float, Meta(ge=458, le=30e6)] = 1e6
    """The fastest clock that the device takes."""

    def __post_init__(self) -> None:
        if strange := self.outputs - set(LINES):
            raise ValueError(f"outputs {sorted(strange)}: D0 to D7 and C0 to C7 are allowed")
        if strange := self.resting_high - self.outputs:
            raise ValueError(f"resting_high {sorted(strange)}: only lines of outputs are allowed")
        if self.channel not in (1, 2):
            raise ValueError(f"channel {self.channel}: 1 or 2 is allowed")
        if self.spi_select and (not {"D0", "D1", self.spi_select} <= self.outputs or "D2" in self.outputs):
            raise ValueError(f"spi_select {self.spi_select}: D0, D1 and it must be outputs, and D2 an input")
        if self.spi_select and (self.spi_select not in self.resting_high or "D0" in self.resting_high):
            raise ValueError(f"spi_select {self.spi_select}: it must rest high, and D0 low")
        if self.packet not in (64, 512):
            raise ValueError(f"packet {self.packet}: 64 or 512 is allowed")


class FtdiMpsse(Machine, Dio):
    """One chip and its lines."""

    Options = FtdiMpsseOptions
    port = Port

    def __init__(self, name: str, port: Port, options: FtdiMpsseOptions) -> None:
        super().__init__(name)
        self.channels: dict[str, Resource] = {"": self}
        if options.spi_select:
            self.channels["spi"] = SpiChannel(f"{name}.spi", port, self._shifted)
        self._port = port
        self._options = options
        self.outputs = options.outputs
        self.inputs = frozenset(LINES) - options.outputs
        self.resting: Mapping[str, bool] = {line: line in options.resting_high for line in LINES}
        self.resting = {line: self.resting[line] for line in sorted(self.outputs)}
        self._direction = sum(BITS[line] for line in self.outputs)
        self._value = sum(BITS[line] for line in options.resting_high)
        self.resynchronised = 0
        """How often an answer was out of step, and asked for again."""

    # -- the machine
    async def connect(self) -> None:
        """Open the port, start the engine, bring the outputs to their resting levels and read them back."""
        await self._port.open()
        self._value = sum(BITS[line] for line in self._options.resting_high)
        await self._port.run(self._started())

    async def identify(self) -> Identity:
        """Name the chip's family: the strings of the bridge are whatever its board's maker wrote."""
        return Identity(maker="FTDI", model="MPSSE bridge")

    async def aclose(self) -> None:
        await self._port.aclose()

    # -- the lines
    async def read(self) -> Mapping[str, bool]:
        found = await self._port.run(self._asked())
        return {line: bool(found & bit) for line, bit in BITS.items()}

    async def play(self, steps: Sequence[DioStep]) -> None:
        lines = {line for step in steps if isinstance(step, Levels) for line in step.high}
        if (fault := unknown(self, lines, among=self.outputs, what="output")) is not None:
            raise EquipmentError(f"{fault}: nothing was driven")
        await self._port.run(self._played(steps))

    # -- conversations
    def _started(self) -> Conversation[None]:
        yield self._request(Request.RESET, Purge.ALL)
        yield self._request(Request.LATENCY, LATENCY_MS)
        yield self._request(Request.BIT_MODE, 0)
        yield self._request(Request.BIT_MODE, MPSSE_MODE << 8)
        yield from self._synchronised()
        begin = Command(Code.LOOP_OFF).encode() + levels(self._value, self._direction)
        if self._options.spi_select:
            begin += clock(self._options.spi_hz)
        yield Write(begin, self._options.out_pipe)
        yield from self._followed()

    def _synchronised(self) -> Conversation[None]:
        """Forget what is under way and make sure that the chip takes commands."""
        yield self._request(Request.RESET, Purge.RECEIVED)
        yield self._request(Request.RESET, Purge.SENT)
        yield Write(bytes((SYNC, Code.SEND_NOW)), self._options.out_pipe)
        if not (heard := (yield from self._heard(len(MARK)))).endswith(MARK):
            raise ProtocolError(f"the chip answered {heard.hex(' ')} to a command that it cannot know")

    def _played(self, steps: Sequence[DioStep]) -> Conversation[None]:
        for step in steps:
            match step:
                case Wait(seconds):
                    yield Pause(seconds)
                case Levels(high):
                    for line, level in high.items():
                        self._value = self._value | BITS[line] if level else self._value & ~BITS[line]
                    yield Write(levels(self._value, self._direction), self._options.out_pipe)
                    yield from self._followed()

    def _shifted(self, data: bytes) -> Conversation[bytes]:
        """Shift with the device selected, in one transfer; never said again, since it may have effects."""
        select = BITS[self._options.spi_select]
        selected = levels(self._value & ~select, self._direction)
        rests = levels(self._value | select, self._direction)
        mark = bytes((SYNC, Code.SEND_NOW))
        yield Write(selected + shift(data) + rests + mark, self._options.out_pipe)
        heard = yield from self._heard(len(data) + len(MARK))
        if len(heard) != len(data) + len(MARK) or not heard.endswith(MARK):
            raise ProtocolError(f"{self.name}: {len(data)} bytes shifted, {len(heard)} came: out of step")
        return heard[: len(data)]

    def _followed(self) -> Conversation[None]:
        """Read back that the outputs are where they were driven."""
        found = yield from self._asked()
        if wrong := (found ^ self._value) & self._direction:
            stuck = ", ".join(line for line, bit in BITS.items() if wrong & bit)
            raise EquipmentError(f"{self.name}: {stuck} does not follow: stuck, or driven from outside")

    def _asked(self) -> Conversation[int]:
        """Read all lines; once more after an answer that is out of step, since reading moves nothing."""
        for _ in range(2):
            yield Write(QUESTION, self._options.out_pipe)
            heard = yield from self._heard(ANSWER_BYTES)
            if (found := answered(heard)) is not None:
                return found
            self.resynchronised += 1
            yield from self._synchronised()
        raise ProtocolError(f"{self.name}: two answers out of step, the last {heard.hex(' ') or 'empty'}")

    def _heard(self, size: int) -> Conversation[bytes]:
        """Read on until the mark has come; what came if it does not."""
        heard = b""
        for _ in range(MOST_PACKETS):
            try:
                raw = yield Read(ANSWER_S, self._options.in_pipe)
            except Silent:
                break
            heard += payload_of(raw if isinstance(raw, bytes) else b"", self._options.packet)
            if len(heard) >= size and heard.endswith(MARK):
                break
        return heard

    def _request(self, request: Request, value: int) -> Control:
        return Control(VENDOR_OUT, request, value, self._options.channel)
