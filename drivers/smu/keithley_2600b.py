"""Keithley 2600B series in TSP: one or two channels at one port.

Ref: Series 2600B Reference Manual 2600BS-901-01, sections 2, 7 and 9.
"""

from collections.abc import Sequence
from struct import iter_unpack
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.errors import EquipmentError
from drivers.links.machine import PortMachine
from drivers.links.messages import insisting
from drivers.links.readings import longest_reading
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, parsed
from drivers.links.tsp import TspLink
from drivers.protocols.scpi import judged, read_number, read_whole, write_number
from drivers.protocols.tsp import read_boolean
from drivers.roles import Reading, Smu
from drivers.transports import Conversation, Port

Function = Literal["v", "i"]

CODES: dict[Function, int] = {"i": 0, "v": 1}
OTHER: dict[Function, Function] = {"v": "i", "i": "v"}
OFF_MODES = {"normal": 0, "high_impedance": 2}
MODELS = {"a": "26(01|11|35)B", "ab": "26(02|04|12|14|34|36)B"}


class Keithley2600BOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a 2600B."""

    channels: Literal["a", "ab"] = "ab"
    """`a` for a 2601B, 2611B or 2635B, which have one channel."""
    nplc: Annotated[float, Meta(ge=0.001, le=25)] = 1.0
    """Integration time in power-line cycles."""
    four_wire: bool = False
    off: Literal["high_impedance", "normal"] = "high_impedance"
    """How an output is off: relay open, or 0 V, which spares the relay and its time."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class Keithley2600BChannel(Smu):
    """One of the two outputs."""

    def __init__(self, name: str, port: Port, link: TspLink, smu: str, *, reading_s: float) -> None:
        """Take `reading_s`, which no reading exceeds."""
        super().__init__(name)
        self._reading_s = reading_s
        self._port = port
        self._link = link
        self._smu = smu
        self._function: Function | None = None
        self._off = True

    async def force_voltage(self, volts: float, *, limit_a: float) -> None:
        await self._force("v", volts, limit_a)

    async def force_current(self, amps: float, *, limit_v: float) -> None:
        await self._force("i", amps, limit_v)

    async def switch_off(self) -> None:
        self._function = None
        await self._port.run(self._switching_off())
        self._off = True

    async def measure(self) -> float:
        self._readings = (await self._port.run(self._reading(self._forced())),)
        return self._readings[0].value

    async def sweep(self, levels: Sequence[float]) -> tuple[Reading, ...]:
        self._readings = await self._port.run(self._sweeping(self._forced(), levels))
        return self._readings

    async def burst(self, count: int) -> tuple[Reading, ...]:
        self._readings = await self._port.run(self._bursting(self._forced(), count))
        return self._readings

    async def make_safe(self) -> None:
        self._function = None
        source = f"{self._smu}.source"
        zero = (f"{source}.levelv=0", f"{source}.leveli=0")
        await self._port.run(insisting(lambda: self._switching_off(*zero)))
        self._off = True

    def _forced(self) -> Function:
        if self._function is None:
            raise EquipmentError(f"{self.name} forces nothing: there is nothing to measure")
        return self._function

    async def _force(self, function: Function, level: float, limit: float) -> None:
        off_first = not self._off and self._function != function
        self._function, self._off = None, False
        await self._port.run(self._forcing(function, level, limit, off_first=off_first))
        self._function = function

    def _forcing(
        self, function: Function, level: float, limit: float, *, off_first: bool
    ) -> Conversation[None]:
        """One chunk, which switches on only if no setting was refused."""
        source = f"{self._smu}.source"
        off = (f"{source}.output=0",) if off_first else ()
        yield from self._link.exchange(
            *off,
            f"{source}.func={CODES[function]}",
            f"{source}.limit{OTHER[function]}={write_number(limit)}",
            f"{source}.level{function}={write_number(level)}",
            f"if errorqueue.count==0 then {source}.output=1 end",
        )

    def _reading(self, function: Function, *settings: str) -> Conversation[Reading]:
        reading = f"{self._smu}.measure.{OTHER[function]}()"
        limited = f"{self._smu}.source.compliance"
        value, at_limit = yield from self._link.exchange(
            *settings, values=(reading, limited), timeout_s=TIMEOUT_S
        )
        return Reading(parsed(read_number, reading, value), parsed(read_boolean, limited, at_limit))

    def _sweeping(self, function: Function, levels: Sequence[float]) -> Conversation[tuple[Reading, ...]]:
        """One chunk a level: so each reading has the flag of its own level."""
        readings = list[Reading]()
        for level in levels:
            setting = f"{self._smu}.source.level{function}={write_number(level)}"
            readings.append((yield from self._reading(function, setting)))
        return tuple(readings)

    def _bursting(self, function: Function, count: int) -> Conversation[tuple[Reading, ...]]:
        """The readings come as a block of floats; all of them bear the flag that the last one left."""
        buffer, measure = f"{self._smu}.nvbuffer1", f"{self._smu}.measure"
        limited = f"{self._smu}.source.compliance"
        (at_limit,) = yield from self._link.exchange(
            f"{buffer}.clear()",
            f"{measure}.count={count}",
            f"{measure}.{OTHER[function]}({buffer})",
            f"{measure}.count=1",
            values=(limited,),
            timeout_s=TIMEOUT_S + count * self._reading_s,
        )
        fetch = (
            "format.data=format.REAL32 format.byteorder=format.BIGENDIAN "
            f"printbuffer(1,{count},{buffer}.readings) format.data=format.ASCII"
        )
        block = yield from self._link.fetch_block(fetch, size=4 * count, timeout_s=TIMEOUT_S)
        flag = parsed(read_boolean, limited, at_limit)
        return tuple(Reading(judged(value), flag) for (value,) in iter_unpack(">f", block))

    def _switching_off(self, *zero: str) -> Conversation[None]:
        output = f"{self._smu}.source.output"
        (still_on,) = yield from self._link.exchange(
            f"{output}=0", *zero, values=(output,), timeout_s=OFF_TIMEOUT_S
        )
        if parsed(read_whole, output, still_on):
            raise EquipmentError(f"{self.name}: the output was switched off and is still on")


class Keithley2600B(PortMachine):
    """A 2600B with its channels `a` and `b`; autorange."""

    Options: ClassVar[type[Keithley2600BOptions]] = Keithley2600BOptions

    def __init__(self, name: str, port: Port, options: Keithley2600BOptions) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self.models = MODELS[options.channels]
        self._options = options
        self._link = TspLink(options.min_gap_s)
        reading_s = longest_reading(options.nplc)
        self.channels: dict[str, Keithley2600BChannel] = {
            letter: Keithley2600BChannel(
                f"{name}.{letter}", port, self._link, f"smu{letter}", reading_s=reading_s
            )
            for letter in options.channels
        }

    def _setting_up(self) -> Conversation[None]:
        options = self._options
        settings = [
            statement
            for letter in options.channels
            for statement in (
                f"smu{letter}.sense={int(options.four_wire)}",
                f"smu{letter}.measure.nplc={write_number(options.nplc)}",
                f"smu{letter}.source.offmode={OFF_MODES[options.off]}",
            )
        ]
        yield from self._link.exchange("reset()", "errorqueue.clear()", *settings, timeout_s=TIMEOUT_S)
