"""Keysight 33500B and 33600A waveform generators.

Ref: Keysight 33500 Series Operating and Service Guide (33500-90901), SCPI programming reference.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.errors import EquipmentError
from drivers.links.machine import PortMachine
from drivers.links.messages import insisting
from drivers.links.power import PowerWatch
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.protocols.scpi import read_boolean, write_number
from drivers.roles import Generator, Shape
from drivers.transports import Conversation, Port

SHAPES: dict[Shape, str] = {"sine": "SIN", "square": "SQU", "ramp": "RAMP", "pulse": "PULS"}
ARBITRARY = "HARDBIN"
"""What its memory calls the samples that were sent."""
SAMPLES = range(8, 65537)


class Keysight33500BOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a 33500B."""

    channels: Literal["1", "12"] = "12"
    """`1` for a 33509B, 33511B, 33519B or 33521B, which have one channel."""
    load: Literal["50_ohm", "high"] = "high"
    """What the output feeds; volts are those at this load."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class Keysight33500BChannel(Generator):
    """One output."""

    def __init__(self, name: str, port: Port, link: ScpiLink, power: PowerWatch, number: str) -> None:
        super().__init__(name)
        self._port = port
        self._link = link
        self._power = power
        self._source = f":SOUR{number}"
        self._output = f":OUTP{number}"
        self._trigger = f":TRIG{number}"

    async def waveform(
        self,
        shape: Shape,
        *,
        frequency_hz: float,
        amplitude_vpp: float,
        offset_v: float = 0.0,
        duty: float | None = None,
    ) -> None:
        at, word = self._source, SHAPES[shape]
        await self._port.run(
            self._link.exchange(
                f"{at}:FUNC {word}",
                f"{at}:FREQ {write_number(frequency_hz)}",
                *self._top(shape, frequency_hz, duty),
                *self._levels(amplitude_vpp, offset_v),
            )
        )

    async def arbitrary(
        self, samples: Sequence[float], *, rate_hz: float, amplitude_vpp: float, offset_v: float = 0.0
    ) -> None:
        if len(samples) not in SAMPLES or not all(-1.0 <= sample <= 1.0 for sample in samples):
            raise ValueError(f"{len(samples)} samples: 8 to 65536 are needed, each between -1 and 1")
        at, data = self._source, ",".join(write_number(sample) for sample in samples)
        await self._port.run(
            self._link.exchange(
                f"{at}:DATA:VOL:CLE",
                f"{at}:DATA:ARB {ARBITRARY},{data}",
                f"{at}:FUNC:ARB {ARBITRARY}",
                f"{at}:FUNC:ARB:SRAT {write_number(rate_hz)}",
                f"{at}:FUNC ARB",
                *self._levels(amplitude_vpp, offset_v),
                timeout_s=TIMEOUT_S + 1e-4 * len(samples),
            )
        )

    async def burst(self, cycles: int | None) -> None:
        at = self._source
        settings = (
            (f"{at}:BURS:STAT OFF",)
            if cycles is None
            else (
                f"{self._trigger}:SOUR BUS",
                f"{at}:BURS:MODE TRIG",
                f"{at}:BURS:NCYC {cycles}",
                f"{at}:BURS:STAT ON",
            )
        )
        await self._port.run(self._link.exchange(*settings))

    async def trigger(self) -> None:
        await self._port.run(self._link.exchange("*TRG"))

    async def switch_on(self) -> None:
        await self._port.run(self._switching_on())

    async def switch_off(self) -> None:
        await self._port.run(self._ending())

    async def make_safe(self) -> None:
        await self._port.run(insisting(self._switching_off))

    def _switching_on(self) -> Conversation[None]:
        """A power that went took the waveform and the load along: ask before anything comes out."""
        (events,) = yield from self._link.exchange("*ESR?")
        self._power.heed(events, self.name)
        yield from self._link.exchange(f"{self._output} ON")

    def _ending(self) -> Conversation[None]:
        """A power that went tells that the block had no waveform to its end."""
        yield from self._switching_off()
        self._power.check(self.name)

    def _switching_off(self) -> Conversation[None]:
        """Switch off, read back, and note what the event status tells, which forgets it."""
        query = f"{self._output}?"
        units = (f"{self._output} OFF", query, "*ESR?")
        still_on, events = yield from self._link.exchange(*units, timeout_s=OFF_TIMEOUT_S)
        self._power.note(events)
        if parsed(read_boolean, query, still_on):
            raise EquipmentError(f"{self.name}: the output was switched off and is still on")

    def _levels(self, amplitude_vpp: float, offset_v: float) -> tuple[str, ...]:
        """The offset is 0 while the amplitude changes: else the old one might not go with it."""
        at = self._source
        offset = (f"{at}:VOLT:OFFS {write_number(offset_v)}",) if offset_v else ()
        return (
            f"{at}:VOLT:UNIT VPP",
            f"{at}:VOLT:OFFS 0",
            f"{at}:VOLT {write_number(amplitude_vpp)}",
            *offset,
        )

    def _top(self, shape: Shape, frequency_hz: float, duty: float | None) -> tuple[str, ...]:
        part = 0.5 if duty is None else duty
        match shape:
            case "square":
                return (f"{self._source}:FUNC:SQU:DCYC {write_number(100 * part)}",)
            case "pulse":
                return (f"{self._source}:FUNC:PULS:WIDT {write_number(part / frequency_hz)}",)
        if duty is not None:
            raise ValueError(f"a {shape} has no duty")
        return ()


class Keysight33500B(PortMachine):
    """A 33500B or 33600A with its outputs `1` and `2`."""

    Options: ClassVar[type[Keysight33500BOptions]] = Keysight33500BOptions
    models = "335[0-2][0-9][AB]|336[12][0-9]A"

    def __init__(self, name: str, port: Port, options: Keysight33500BOptions) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._options = options
        self._link = ScpiLink(options.min_gap_s)
        self._power = PowerWatch()
        self.channels: dict[str, Keysight33500BChannel] = {
            number: Keysight33500BChannel(f"{name}.{number}", port, self._link, self._power, number)
            for number in options.channels
        }

    def _setting_up(self) -> Conversation[None]:
        load = "50" if self._options.load == "50_ohm" else "INF"
        loads = (f":OUTP{number}:LOAD {load}" for number in self._options.channels)
        yield from self._link.exchange("*RST", "*CLS", *loads, timeout_s=TIMEOUT_S)
        self._power.renew()
