"""Keithley 2450, 2460 and 2470 in their SCPI command set.

Ref: Model 2450 Reference Manual 2450-901-01, section 6; the 2460 and 2470 manuals have the same commands.
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.errors import EquipmentError
from drivers.links.machine import PortMachine
from drivers.links.messages import hear, say
from drivers.links.readings import longest_reading
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.protocols.scpi import read_boolean, read_number, read_numbers, write_number
from drivers.roles import Reading
from drivers.smu.channel import OTHER, Function, SmuChannel
from drivers.transports import Conversation, Port

LIMITS: dict[Function, str] = {"VOLT": ":SOUR:VOLT:ILIM", "CURR": ":SOUR:CURR:VLIM"}


class Keithley2450Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a 2450."""

    model: Literal["2450", "2460", "2470"] = "2450"
    """Which one it is; another one is refused, since its ranges are others."""
    nplc: Annotated[float, Meta(ge=0.01, le=10)] = 1.0
    """Integration time in power-line cycles."""
    four_wire: bool = False
    off: Literal["high_impedance", "normal"] = "high_impedance"
    """How an output is off: relay open, or 0 V, which spares the relay and its time."""
    terminals: Literal["front", "rear"] = "front"
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class Keithley2450Channel(SmuChannel):
    """The one output."""

    def __init__(self, name: str, port: Port, link: ScpiLink, *, reading_s: float) -> None:
        """Take `reading_s`, which no reading exceeds."""
        super().__init__(name, port)
        self._link = link
        self._reading_s = reading_s

    def _forcing(
        self, function: Function, level: float, limit: float, *, off_first: bool
    ) -> Conversation[None]:
        """Two messages, so that a refused setting leaves the output as it is."""
        off = (":OUTP OFF",) if off_first else ()
        yield from self._link.exchange(
            *off,
            f":SOUR:FUNC {function}",
            f"{LIMITS[function]} {write_number(limit)}",
            f':SENS:FUNC "{OTHER[function]}"',
            f":SOUR:{function} {write_number(level)}",
        )
        yield from self._link.exchange(":OUTP ON")

    def _measuring(self, function: Function, *settings: str) -> Conversation[Reading]:
        tripped = f"{LIMITS[function]}:TRIP?"
        value, at_limit, on = yield from self._link.exchange(
            *settings, ":READ?", tripped, ":OUTP?", timeout_s=TIMEOUT_S
        )
        self._check_on(on=parsed(read_boolean, ":OUTP?", on))
        return Reading(parsed(read_number, ":READ?", value), parsed(read_boolean, tripped, at_limit))

    def _leveling(self, function: Function, level: float) -> str:
        return f":SOUR:{function} {write_number(level)}"

    def _bursting(self, function: Function, count: int) -> Conversation[tuple[Reading, ...]]:
        """The readings come out of the machine's buffer; all of them bear the flag that the last one left."""
        tripped, fetch = f"{LIMITS[function]}:TRIP?", f':TRAC:DATA? 1,{count},"defbuffer1",READ'
        _, at_limit, on, values = yield from self._link.exchange(
            ':TRAC:CLE "defbuffer1"',
            f":SENS:COUN {count}",
            ":READ?",
            ":SENS:COUN 1",
            tripped,
            ":OUTP?",
            fetch,
            timeout_s=TIMEOUT_S + count * self._reading_s,
        )
        self._check_on(on=parsed(read_boolean, ":OUTP?", on))
        flag = parsed(read_boolean, tripped, at_limit)
        return tuple(Reading(value, flag) for value in parsed(read_numbers, fetch, values))

    def _switching_off(self, *zero: str) -> Conversation[None]:
        (still_on,) = yield from self._link.exchange(":OUTP OFF", *zero, ":OUTP?", timeout_s=OFF_TIMEOUT_S)
        self._check_off(on=parsed(read_boolean, ":OUTP?", still_on))

    def _making_safe(self) -> Conversation[None]:
        return self._switching_off(":SOUR:VOLT 0", ":SOUR:CURR 0")


class Keithley2450(PortMachine):
    """A 2450, 2460 or 2470; autorange, one channel."""

    Options: ClassVar[type[Keithley2450Options]] = Keithley2450Options
    models = r"\b24[567]0\b"

    def __init__(self, name: str, port: Port, options: Keithley2450Options) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self.models = rf"\b{options.model}\b"
        self._options = options
        self._link = ScpiLink(options.min_gap_s)
        reading_s = longest_reading(options.nplc)
        self.channels: dict[str, Keithley2450Channel] = {
            "": Keithley2450Channel(name, port, self._link, reading_s=reading_s)
        }

    def _setting_up(self) -> Conversation[None]:
        yield from say("*LANG?", gap_s=self._options.min_gap_s)
        language = yield from hear(timeout_s=TIMEOUT_S)
        if language.strip() != "SCPI":
            raise EquipmentError(
                f"{self.name} speaks {language}: set its command set to SCPI and power-cycle it"
            )
        nplc = write_number(self._options.nplc)
        off = "NORM" if self._options.off == "normal" else "HIMP"
        wires = "ON" if self._options.four_wire else "OFF"
        yield from self._link.exchange(
            "*RST",
            ":STAT:PRES",
            "*CLS",
            f":ROUT:TERM {'FRON' if self._options.terminals == 'front' else 'REAR'}",
            *(f":OUTP:{function}:SMOD {off}" for function in OTHER),
            *(f":SENS:{function}:NPLC {nplc}" for function in OTHER),
            *(f":SENS:{function}:RSEN {wires}" for function in OTHER),
            timeout_s=TIMEOUT_S,
        )
