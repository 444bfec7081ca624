"""Keysight B2901, B2902, B2911 and B2912 source-measure units in their own SCPI command set.

Ref: Keysight B2900 Series SCPI Command Reference, subsystems SOURce, SENSe, OUTPut, TRIGger and FETCh.
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.errors import ProtocolError
from drivers.links.machine import PortMachine
from drivers.links.readings import longest_reading
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.protocols.scpi import read_boolean, read_number, read_numbers, write_number
from drivers.roles import Reading
from drivers.smu.channel import OTHER, Function, SmuChannel
from drivers.transports import Conversation, Port

MODELS = {"1": "B29[01]1[AB]", "12": "B29[01]2[AB]"}
PLACES: dict[Function, int] = {"VOLT": 0, "CURR": 1}
"""Where a quantity stands in each entry of a buffer, as `FORM:ELEM:SENS` orders them."""


class KeysightB2900Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a B2900."""

    channels: Literal["1", "12"] = "12"
    """`1` for a B2901 or B2911, which have one channel."""
    nplc: Annotated[float, Meta(ge=0.0004, le=100)] = 1.0
    """Integration time in power-line cycles."""
    four_wire: bool = False
    low: Literal["ground", "float"] = "ground"
    """Whether the low terminal is at ground."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class KeysightB2900Channel(SmuChannel):
    """One of the two outputs."""

    def __init__(self, name: str, port: Port, link: ScpiLink, number: str, *, reading_s: float) -> None:
        """Take `reading_s`, which no reading exceeds."""
        super().__init__(name, port)
        self._link = link
        self._number = number
        self._at = f"(@{number})"
        self._output = f":OUTP{number}?"
        self._reading_s = reading_s

    def _forcing(
        self, function: Function, level: float, limit: float, *, off_first: bool
    ) -> Conversation[None]:
        """Two messages, so that a refused setting leaves the output as it is."""
        n = self._number
        off = (f":OUTP{n} OFF",) if off_first else ()
        yield from self._link.exchange(
            *off,
            f":SOUR{n}:FUNC:MODE {function}",
            f"{self._limit(function)} {write_number(limit)}",
            f":SOUR{n}:{function}:MODE FIX",
            self._leveling(function, level),
        )
        yield from self._link.exchange(f":OUTP{n} ON")

    def _measuring(self, function: Function, *settings: str) -> Conversation[Reading]:
        reading, tripped = f":MEAS:{OTHER[function]}? {self._at}", f"{self._limit(function)}:TRIP?"
        value, at_limit, on = yield from self._link.exchange(
            *settings, reading, tripped, self._output, timeout_s=self._time(1)
        )
        self._check_on(on=parsed(read_boolean, self._output, on))
        return Reading(parsed(read_number, reading, value), parsed(read_boolean, tripped, at_limit))

    def _leveling(self, function: Function, level: float) -> str:
        return f":SOUR{self._number}:{function} {write_number(level)}"

    def _bursting(self, function: Function, count: int) -> Conversation[tuple[Reading, ...]]:
        n, fetch, tripped = self._number, f":FETC:ARR? {self._at}", f"{self._limit(function)}:TRIP?"
        _, values, at_limit, on = yield from self._link.exchange(
            f":TRIG{n}:ALL:SOUR AINT",
            f":TRIG{n}:ALL:COUN {count}",
            f":INIT {self._at}",
            "*OPC?",
            fetch,
            tripped,
            self._output,
            timeout_s=self._time(count),
        )
        self._check_on(on=parsed(read_boolean, self._output, on))
        elements, flag = parsed(read_numbers, fetch, values), parsed(read_boolean, tripped, at_limit)
        if len(elements) != len(PLACES) * count:
            raise ProtocolError(f"{fetch} answered {len(elements)} numbers for {count} readings")
        place = PLACES[OTHER[function]]
        return tuple(Reading(value, flag) for value in elements[place :: len(PLACES)])

    def _switching_off(self, *zero: str) -> Conversation[None]:
        (still_on,) = yield from self._link.exchange(
            f":OUTP{self._number} OFF", *zero, self._output, timeout_s=OFF_TIMEOUT_S
        )
        self._check_off(on=parsed(read_boolean, self._output, still_on))

    def _making_safe(self) -> Conversation[None]:
        return self._switching_off(*(self._leveling(function, 0.0) for function in OTHER))

    def _limit(self, function: Function) -> str:
        return f":SENS{self._number}:{OTHER[function]}:PROT"

    def _time(self, count: int) -> float:
        return TIMEOUT_S + count * self._reading_s


class KeysightB2900(PortMachine):
    """A B2900 with its channels `1` and `2`; autorange."""

    Options: ClassVar[type[KeysightB2900Options]] = KeysightB2900Options
    models = "|".join(MODELS.values())

    def __init__(self, name: str, port: Port, options: KeysightB2900Options) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self.models = MODELS[options.channels]
        self._options = options
        self._link = ScpiLink(options.min_gap_s)
        reading_s = longest_reading(options.nplc)
        self.channels: dict[str, KeysightB2900Channel] = {
            number: KeysightB2900Channel(f"{name}.{number}", port, self._link, number, reading_s=reading_s)
            for number in options.channels
        }

    def _setting_up(self) -> Conversation[None]:
        options = self._options
        nplc, wires = write_number(options.nplc), "ON" if options.four_wire else "OFF"
        low = "GRO" if options.low == "ground" else "FLO"
        settings = [
            setting
            for n in options.channels
            for setting in (
                f":SENS{n}:VOLT:NPLC {nplc}",
                f":SENS{n}:CURR:NPLC {nplc}",
                f":SENS{n}:REM {wires}",
                f":OUTP{n}:LOW {low}",
            )
        ]
        yield from self._link.exchange(
            "*RST", "*CLS", ":FORM:ELEM:SENS VOLT,CURR", *settings, timeout_s=TIMEOUT_S
        )
