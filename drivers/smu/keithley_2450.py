"""Keithley 2450, 2460 and 2470 in their SCPI command set.

Ref: Model 2450 Reference Manual 2450-901-01, section 6 (trigger model from 6-128 on), and 8-29 (status of the
source); the 2460 and 2470 manuals have the same commands.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.errors import EquipmentError, ProtocolError
from drivers.links.machine import PortMachine
from drivers.links.messages import hear, say
from drivers.links.power import PowerWatch
from drivers.links.readings import longest_reading
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.protocols.scpi import read_boolean, read_number, read_numbers, write_number
from drivers.roles import Reading
from drivers.smu.channel import OTHER, Function, SmuChannel
from drivers.smu.stairs import Listed, Stairs, Straight
from drivers.transports import Conversation, Port

LIMITS: dict[Function, str] = {"VOLT": ":SOUR:VOLT:ILIM", "CURR": ":SOUR:CURR:VLIM"}


BUFFER = '"defbuffer1"'
LISTS: dict[Function, str] = {"VOLT": "VoltCustomSweepList", "CURR": "CurrCustomSweepList"}
"""What the machine calls the lists that `:SOUR:LIST` makes."""
LIST_PART = 100
"""How many levels one message brings into a list (6-78)."""
TOO_HOT, LIMITED, OUTPUT_ON = 0x10, 0x20, 0x80
"""Status bits of the source beside a reading in a buffer (8-29)."""


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
    trigger_in: Annotated[int, Meta(ge=1, le=6)] | None = None
    """The digital line whose falling edge each step of a triggered sweep waits for."""
    trigger_out: Annotated[int, Meta(ge=1, le=6)] | None = None
    """The digital line that tells that a reading of a sweep has been taken."""
    trigger_wait_s: Annotated[float, Meta(gt=0, le=60)] = 1.0
    """How long a step of a triggered sweep waits for its edge."""

    def __post_init__(self) -> None:
        if self.trigger_in is not None and self.trigger_in == self.trigger_out:
            raise ValueError(f"trigger_in, trigger_out {self.trigger_in}: a line does the one or the other")


class Keithley2450Channel(SmuChannel):
    """The one output."""

    def __init__(
        self, name: str, port: Port, link: ScpiLink, power: PowerWatch, options: Keithley2450Options
    ) -> None:
        super().__init__(name, port, trigger_in=options.trigger_in)
        self._link = link
        self._power = power
        self._options = options
        self._reading_s = longest_reading(options.nplc)

    def _forcing(
        self, function: Function, level: float, limit: float, *, off_first: bool
    ) -> Conversation[None]:
        """Two messages: a refused setting leaves the output as it is, and so does a power that went."""
        off = (":OUTP OFF",) if off_first else ()
        (events,) = yield from self._link.exchange(
            "*ESR?",
            *off,
            f":SOUR:FUNC {function}",
            f"{LIMITS[function]} {write_number(limit)}",
            f':SENS:FUNC "{OTHER[function]}"',
            f":SOUR:{function} {write_number(level)}",
        )
        self._power.heed(events, self.name)
        (events,) = yield from self._link.exchange(":OUTP ON", "*ESR?")  # it may have gone between them
        self._power.heed(events, self.name)

    def _measuring(self, function: Function) -> Conversation[Reading]:
        tripped = f"{LIMITS[function]}:TRIP?"
        value, at_limit, on = yield from self._link.exchange(":READ?", tripped, ":OUTP?", timeout_s=TIMEOUT_S)
        self._check_on(on=parsed(read_boolean, ":OUTP?", on))
        return Reading(parsed(read_number, ":READ?", value), parsed(read_boolean, tripped, at_limit))

    def _bursting(self, function: Function, count: int) -> Conversation[tuple[Reading, ...]]:
        del function
        _, told = yield from self._link.exchange(
            f":TRAC:CLE {BUFFER}",
            f":SENS:COUN {count}",
            ":READ?",
            ":SENS:COUN 1",
            _fetch(count),
            timeout_s=TIMEOUT_S + count * self._reading_s,
        )
        return self._read(count, told)

    def _sweeping(
        self, function: Function, stairs: Stairs, edge: int | None
    ) -> Conversation[tuple[Reading, ...]]:
        """By the machine's own sweep, which ends with the output off; with trigger lines by blocks."""
        told = self._options.trigger_out
        if edge is None and told is None:
            settings = _climbing(function, stairs)
            on_again: tuple[str, ...] = (f":SOUR:{function} {write_number(stairs.last)}", ":OUTP ON")
        else:
            settings = _by_blocks(function, stairs, edge, told)
            on_again = ()
        for message in settings:
            yield from self._link.exchange(*message)
        wait_s = 0.0 if edge is None else self._options.trigger_wait_s
        answer, on = yield from self._link.exchange(
            f":TRAC:CLE {BUFFER}",
            ":INIT",
            "*WAI",
            _fetch(stairs.count),
            *on_again,
            ":OUTP?",
            timeout_s=TIMEOUT_S + stairs.count * (self._reading_s + wait_s),
        )
        self._check_on(on=parsed(read_boolean, ":OUTP?", on))
        return self._read(stairs.count, answer)

    def _aborting(self) -> Conversation[None]:
        yield from self._link.exchange(":ABOR", ":SENS:COUN 1")

    def _read(self, count: int, told: str) -> tuple[Reading, ...]:
        """Take readings, a status of the source behind each."""
        numbers = parsed(read_numbers, _fetch(count), told)
        if len(numbers) != 2 * count:
            raise ProtocolError(f"{_fetch(count)} answered {len(numbers)} numbers")
        statuses = [int(status) for status in numbers[1::2]]
        self._check_on(on=all(status & OUTPUT_ON for status in statuses))
        if any(status & TOO_HOT for status in statuses):
            raise EquipmentError(f"{self.name} is too hot: no reading is believed")
        flags = (bool(status & LIMITED) for status in statuses)
        return tuple(Reading(value, flag) for value, flag in zip(numbers[::2], flags, strict=True))

    def _switching_off(self, *zero: str) -> Conversation[None]:
        (still_on,) = yield from self._link.exchange(":OUTP OFF", *zero, ":OUTP?", timeout_s=OFF_TIMEOUT_S)
        self._check_off(on=parsed(read_boolean, ":OUTP?", still_on))

    def _making_safe(self) -> Conversation[None]:
        return self._switching_off(":SOUR:VOLT 0", ":SOUR:CURR 0")


def _fetch(count: int) -> str:
    return f":TRAC:DATA? 1,{count},{BUFFER},READ,SOURSTAT"


def _listing(function: Function, levels: tuple[float, ...]) -> Iterator[tuple[str, ...]]:
    """Name the levels, as many in a message as it takes."""
    for begin in range(0, len(levels), LIST_PART):
        part = ",".join(map(write_number, levels[begin : begin + LIST_PART]))
        yield (f":SOUR:LIST:{function}{':APP' if begin else ''} {part}",)


def _climbing(function: Function, stairs: Stairs) -> Iterator[tuple[str, ...]]:
    """The settings of a sweep, message by message; a limit that is reached ends none."""
    sweep = f":SOUR:SWE:{function}"
    match stairs:
        case Listed():
            yield from _listing(function, stairs.levels)
            yield (f"{sweep}:LIST 1,0,1,OFF,{BUFFER}",)
        case Straight():
            ends = f"{write_number(stairs.start)},{write_number(stairs.stop)}"
            yield (f"{sweep}:LIN {ends},{stairs.count},0,1,AUTO,OFF,OFF,{BUFFER}",)


def _by_blocks(
    function: Function, stairs: Stairs, edge: int | None, told: int | None
) -> Iterator[tuple[str, ...]]:
    """A trigger model that waits at line `edge` before each level, and tells at line `told` of each reading.

    The levels are the list that the machine keeps for its own sweeps. The output stays on.
    """
    yield from _listing(function, stairs.levels)
    levels = f'"{LISTS[function]}"'
    wait = [] if edge is None else [f"WAIT {{}},DIG{edge}"]
    tell = [] if told is None else ["NOT {},1"]
    first = [*wait, f"CONF:REC {{}},{levels},1"]
    others = [*wait, f"CONF:NEXT {{}},{levels}"]
    again = len(first) + 2
    skip = f"BRAN:ALW {{}},{again + len(others)}"
    blocks = [*first, skip, *others, f"MEAS {{}},{BUFFER}", *tell, f"BRAN:COUN {{}},{stairs.count},{again}"]
    yield (':TRIG:LOAD "Empty"', *(f":TRIG:BLOC:{block.format(at)}" for at, block in enumerate(blocks, 1)))


class Keithley2450(PortMachine):
    """A 2450, 2460 or 2470; autorange, one channel."""

    Options: ClassVar[type[Keithley2450Options]] = Keithley2450Options
    models = r"\b24[567]0\b"

    def __init__(self, name: str, port: Port, options: Keithley2450Options) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self.models = rf"\b{options.model}\b"
        self._options = options
        self._link = ScpiLink(options.min_gap_s)
        self._power = PowerWatch()
        self.channels: dict[str, Keithley2450Channel] = {
            "": Keithley2450Channel(name, port, self._link, self._power, options)
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
            *self._trigger_lines(),
            timeout_s=TIMEOUT_S,
        )
        self._power.renew()

    def _trigger_lines(self) -> Iterator[str]:
        edge, told = self._options.trigger_in, self._options.trigger_out
        if edge is not None:
            yield f":DIG:LINE{edge}:MODE TRIG,IN"
            yield f":TRIG:DIG{edge}:IN:EDGE FALL"
        if told is not None:
            yield f":DIG:LINE{told}:MODE TRIG,OUT"
            yield f":TRIG:DIG{told}:OUT:STIM NOT1"
