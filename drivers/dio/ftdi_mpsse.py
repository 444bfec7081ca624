"""Digital lines of FTDI's FT232H and FT2232H over USB: 16 lines, D0 to D7 and C0 to C7.

No maker's text was at hand; see `drivers.protocols.mpsse`. Levels are written and read by the MPSSE engine,
and every answer ends with the echo of a command that does not exist, so that a lost byte is noticed at once.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from drivers.dio.mpsse_i2c import I2cChannel
from drivers.dio.mpsse_spi import Mode, SpiChannel, clocked, rests_high
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
)
from drivers.roles.dio import Dio, DioStep, Levels, Wait, unknown
from drivers.roles.resource import Identity, Machine, Resource
from drivers.transports import Control, Conversation, Pause, Port, Read, Write

LINES = (*(f"D{n}" for n in range(8)), *(f"C{n}" for n in range(8)))
BITS = {line: 1 << n for n, line in enumerate(LINES)}
LATENCY_MS = 1
ANSWER_S = 1.0
MOST_HZ_OF_THREE_PHASES = 20e6
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
    spi_mode: Mode = 0
    """Where its clock rests, and at which edge bits are taken."""
    i2c: Mapping[str, Annotated[int, Meta(ge=0x08, le=0x77)]] = {}
    """Devices on an I2C bus, name to address; D0 is its clock, D1 and D2, wired together, its data line."""
    i2c_hz: Annotated[float, Meta(ge=1e3, le=1e6)] = 100e3
    """The fastest clock that all of them take."""

    def __post_init__(self) -> None:
        if strange := self.outputs - set(LINES):
            raise ValueError(f"outputs {sorted(strange)}: D0 to D7 and C0 to C7 are allowed")
        if strange := self.resting_high - self.outputs:
            raise ValueError(f"resting_high {sorted(strange)}: only lines of outputs are allowed")
        if self.channel not in (1, 2):
            raise ValueError(f"channel {self.channel}: 1 or 2 is allowed")
        if self.packet not in (64, 512):
            raise ValueError(f"packet {self.packet}: 64 or 512 is allowed")
        select, mode, high, driven = self.spi_select, self.spi_mode, self.resting_high, "D2" in self.outputs
        spi = f"spi_select {select}"
        level, rests = ("high", True) if rests_high(mode) else ("low", False)
        fast = mode in (1, 3) and self.spi_hz > MOST_HZ_OF_THREE_PHASES
        strange = frozenset(name for name in self.i2c if not name.isidentifier())
        for meant, wrong, text in (
            (select, not {"D0", "D1", select} <= self.outputs, f"{spi}: D0, D1 and it must be outputs"),
            (select, driven, f"{spi}: D2 must be an input"),
            (select, select not in high, f"{spi}: it must rest high"),
            (select, ("D0" in high) is not rests, f"{spi}: D0 must rest {level} in mode {mode}"),
            (select, fast, f"spi_hz {self.spi_hz:g}: at most 2e7 in mode {mode}"),
            (self.i2c, bool(select), "i2c, spi_select: an engine does the one or the other"),
            (self.i2c, not {"D0", "D1"} <= high, "i2c: D0 and D1 must be outputs that rest high"),
            (self.i2c, driven, "i2c: D2 must be an input"),
            (self.i2c, bool(strange), f"i2c {sorted(strange)}: letters, digits and _ are allowed"),
        ):
            if meant and wrong:
                raise ValueError(text)


class FtdiMpsse(Machine, Dio):
    """One chip and its lines."""

    Options = FtdiMpsseOptions
    port = Port

    def __init__(self, name: str, port: Port, options: FtdiMpsseOptions) -> None:
        super().__init__(name)
        self.channels: dict[str, Resource] = {"": self}
        if options.spi_select:
            select = BITS[options.spi_select]
            self.channels["spi"] = SpiChannel(f"{name}.spi", port, self, select, options.spi_mode)
        for device, address in options.i2c.items():
            self.channels[device] = I2cChannel(f"{name}.{device}", port, self, address, options.i2c_hz)
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

    # -- the engine, for whoever is at its lines
    def pins(self) -> tuple[int, int]:
        return self._value, self._direction

    def done(self, commands: bytes, size: int) -> Conversation[bytes]:
        yield Write(commands + bytes((SYNC, Code.SEND_NOW)), self._options.out_pipe)
        heard = yield from self._heard(size + len(MARK))
        if len(heard) != size + len(MARK) or not heard.endswith(MARK):
            raise ProtocolError(f"{self.name}: out of step: {size} bytes shifted in, {len(heard)} came")
        return heard[:size]

    # -- conversations
    def _started(self) -> Conversation[None]:
        yield self._request(Request.RESET, Purge.ALL)
        yield self._request(Request.LATENCY, LATENCY_MS)
        yield self._request(Request.BIT_MODE, 0)
        yield self._request(Request.BIT_MODE, MPSSE_MODE << 8)
        yield from self._synchronised()
        begin = Command(Code.LOOP_OFF).encode() + levels(self._value, self._direction)
        if self._options.spi_select:
            begin += clocked(self._options.spi_mode, self._options.spi_hz)
        if self._options.i2c:
            begin += clock(self._options.i2c_hz, three_phases=True)
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
