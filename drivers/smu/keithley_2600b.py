"""Keithley 2600B series in TSP: one or two channels at one port.

Ref: Series 2600B Reference Manual 2600BS-901-01, sections 2, 7 and 9.
"""

from struct import iter_unpack
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.links.machine import PortMachine
from drivers.links.readings import longest_reading
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, parsed
from drivers.links.tsp import TspLink
from drivers.protocols.scpi import judged, read_number, read_whole, write_number
from drivers.protocols.tsp import read_boolean
from drivers.roles import Reading
from drivers.smu.channel import OTHER, Function, SmuChannel
from drivers.transports import Conversation, Port

LETTERS: dict[Function, str] = {"VOLT": "v", "CURR": "i"}
CODES: dict[Function, int] = {"CURR": 0, "VOLT": 1}
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


class Keithley2600BChannel(SmuChannel):
    """One of the two outputs."""

    def __init__(self, name: str, port: Port, link: TspLink, smu: str, *, reading_s: float) -> None:
        """Take `reading_s`, which no reading exceeds."""
        super().__init__(name, port)
        self._link = link
        self._smu = smu
        self._reading_s = reading_s

    def _forcing(
        self, function: Function, level: float, limit: float, *, off_first: bool
    ) -> Conversation[None]:
        """One chunk, which switches on only if no setting was refused."""
        source = f"{self._smu}.source"
        off = (f"{source}.output=0",) if off_first else ()
        yield from self._link.exchange(
            *off,
            f"{source}.func={CODES[function]}",
            f"{source}.limit{LETTERS[OTHER[function]]}={write_number(limit)}",
            self._leveling(function, level),
            f"if errorqueue.count==0 then {source}.output=1 end",
        )

    def _measuring(self, function: Function, *settings: str) -> Conversation[Reading]:
        reading = f"{self._smu}.measure.{LETTERS[OTHER[function]]}()"
        limited, output = f"{self._smu}.source.compliance", f"{self._smu}.source.output"
        value, at_limit, on = yield from self._link.exchange(
            *settings, values=(reading, limited, output), timeout_s=TIMEOUT_S
        )
        self._check_on(on=bool(parsed(read_whole, output, on)))
        return Reading(parsed(read_number, reading, value), parsed(read_boolean, limited, at_limit))

    def _leveling(self, function: Function, level: float) -> str:
        return f"{self._smu}.source.level{LETTERS[function]}={write_number(level)}"

    def _bursting(self, function: Function, count: int) -> Conversation[tuple[Reading, ...]]:
        """The readings come as a block of floats; all of them bear the flag that the last one left."""
        buffer, measure = f"{self._smu}.nvbuffer1", f"{self._smu}.measure"
        limited, output = f"{self._smu}.source.compliance", f"{self._smu}.source.output"
        at_limit, on = yield from self._link.exchange(
            f"{buffer}.clear()",
            f"{measure}.count={count}",
            f"{measure}.{LETTERS[OTHER[function]]}({buffer})",
            f"{measure}.count=1",
            values=(limited, output),
            timeout_s=TIMEOUT_S + count * self._reading_s,
        )
        self._check_on(on=bool(parsed(read_whole, output, on)))
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
        self._check_off(on=bool(parsed(read_whole, output, still_on)))

    def _making_safe(self) -> Conversation[None]:
        source = f"{self._smu}.source"
        return self._switching_off(f"{source}.levelv=0", f"{source}.leveli=0")


class Keithley2600B(PortMachine):
    """A 2600B with its channels `a` and `b`; autorange."""

    Options: ClassVar[type[Keithley2600BOptions]] = Keithley2600BOptions
    models = "|".join(MODELS.values())

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
