"""Keysight B2901, B2902, B2911 and B2912 source-measure units in their own SCPI command set.

Ref: Keysight B2900 Series SCPI Command Reference, subsystems SOURce, SENSe, OUTPut, TRIGger and FETCh.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from drivers.errors import EquipmentError, ProtocolError
from drivers.links.machine import PortMachine
from drivers.links.power import PowerWatch
from drivers.links.readings import longest_reading
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.protocols.scpi import judged, read_boolean, read_number, write_number
from drivers.roles import Reading
from drivers.smu.channel import OTHER, Function, SmuChannel
from drivers.smu.stairs import Listed, Stairs, Straight
from drivers.transports import Conversation, Port

MODELS = {"1": "B29[01]1[AB]", "12": "B29[01]2[AB]"}
ENTRY = Struct(">fff")
"""An entry of a buffer, as `FORM:ELEM:SENS` orders it: volts, amps, status."""
LIMITED, FAILED = 0x06, 0x38
"""Status bits of a reading (table 1-2): at a limit; over-voltage, over-current or too hot."""
LIST_PART = 100


class KeysightB2900Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a B2900."""

    channels: Literal["1", "12"] = "12"
    """`1` for a B2901 or B2911, which have one channel."""
    nplc: Annotated[float, Meta(ge=0.0004, le=100)] = 1.0
    """Integration time in power-line cycles."""
    four_wire: bool = False
    low: Literal["ground", "float"] = "ground"
    """Whether the low terminal is at ground."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0
    trigger_in: Annotated[int, Meta(ge=1, le=14)] | None = None
    """The digital pin whose edge each step of a triggered sweep waits for."""
    trigger_out: Annotated[int, Meta(ge=1, le=14)] | None = None
    """The digital pin that tells that a reading has been taken."""
    trigger_wait_s: Annotated[float, Meta(gt=0, le=60)] = 1.0
    """How long a step of a triggered sweep waits for its edge."""


class KeysightB2900Channel(SmuChannel):
    """One of the two outputs."""

    def __init__(
        self,
        name: str,
        port: Port,
        link: ScpiLink,
        power: PowerWatch,
        number: str,
        options: KeysightB2900Options,
    ) -> None:
        super().__init__(name, port, trigger_in=options.trigger_in)
        self._options = options
        self._link = link
        self._power = power
        self._number = number
        self._at = f"(@{number})"
        self._output = f":OUTP{number}?"
        self._reading_s = longest_reading(options.nplc)

    def _forcing(
        self, function: Function, level: float, limit: float, *, off_first: bool
    ) -> Conversation[None]:
        """Two messages: a refused setting leaves the output as it is, and so does a power that went."""
        n = self._number
        off = (f":OUTP{n} OFF",) if off_first else ()
        (events,) = yield from self._link.exchange(
            "*ESR?",
            *off,
            f":SOUR{n}:FUNC:MODE {function}",
            f"{self._limit(function)} {write_number(limit)}",
            f":SOUR{n}:{function}:MODE FIX",
            self._leveling(function, level),
        )
        self._power.heed(events, self.name)
        (events,) = yield from self._link.exchange(f":OUTP{n} ON", "*ESR?")  # it may have gone between them
        self._power.heed(events, self.name)

    def _measuring(self, function: Function) -> Conversation[Reading]:
        reading, tripped = f":MEAS:{OTHER[function]}? {self._at}", f"{self._limit(function)}:TRIP?"
        value, at_limit, on = yield from self._link.exchange(
            reading, tripped, self._output, timeout_s=self._time(1)
        )
        self._check_on(on=parsed(read_boolean, self._output, on))
        return Reading(parsed(read_number, reading, value), parsed(read_boolean, tripped, at_limit))

    def _leveling(self, function: Function, level: float) -> str:
        return f":SOUR{self._number}:{function} {write_number(level)}"

    def _bursting(self, function: Function, count: int) -> Conversation[tuple[Reading, ...]]:
        return (yield from self._triggered(function, count, "AINT", 0.0))

    def _sweeping(
        self, function: Function, stairs: Stairs, edge: int | None
    ) -> Conversation[tuple[Reading, ...]]:
        """After it the level is fixed again, at the last one."""
        mode = f":SOUR{self._number}:{function}:MODE"
        for settings in self._climbing(function, stairs):
            yield from self._link.exchange(*settings)
        source, wait_s = ("AINT", 0.0) if edge is None else (f"EXT{edge}", self._options.trigger_wait_s)
        readings = yield from self._triggered(function, stairs.count, source, wait_s)
        yield from self._link.exchange(self._leveling(function, stairs.last), f"{mode} FIX")
        return readings

    def _climbing(self, function: Function, stairs: Stairs) -> Iterator[tuple[str, ...]]:
        """The settings of a sweep, message by message."""
        n = self._number
        match stairs:
            case Listed():
                for begin in range(0, stairs.count, LIST_PART):
                    part = ",".join(map(write_number, stairs.levels[begin : begin + LIST_PART]))
                    yield (f":SOUR{n}:LIST:{function}{':APP' if begin else ''} {part}",)
                yield (f":SOUR{n}:{function}:MODE LIST",)
            case Straight():
                swept = f":SOUR{n}:{function}"
                yield (
                    f"{swept}:STAR {write_number(stairs.start)}",
                    f"{swept}:STOP {write_number(stairs.stop)}",
                    f"{swept}:POIN {stairs.count}",
                    f"{swept}:MODE SWE",
                )

    def _triggered(
        self, function: Function, count: int, source: str, wait_s: float
    ) -> Conversation[tuple[Reading, ...]]:
        """Take `count` readings, one a trigger, and fetch them as a block of floats."""
        n = self._number
        _, on = yield from self._link.exchange(
            f":TRIG{n}:ALL:SOUR {source}",
            f":TRIG{n}:ALL:COUN {count}",
            f":INIT {self._at}",
            "*OPC?",
            self._output,
            timeout_s=self._time(count) + count * wait_s,
        )
        self._check_on(on=parsed(read_boolean, self._output, on))
        fetch = f":FORM REAL,32;:FETC:ARR? {self._at};:FORM ASC"
        block = yield from self._link.fetch_block(fetch, timeout_s=TIMEOUT_S + count * 1e-3)
        if len(block) != ENTRY.size * count:
            raise ProtocolError(f"{fetch} brought {len(block)} bytes for {count} readings")
        entries = ENTRY.iter_unpack(block)
        return tuple(self._read(function, volts, amps, int(status)) for volts, amps, status in entries)

    def _read(self, function: Function, volts: float, amps: float, status: int) -> Reading:
        if status & FAILED:
            raise EquipmentError(f"{self.name}: status {status:#x}: no reading is believed")
        return Reading(judged(amps if function == "VOLT" else volts), bool(status & LIMITED))

    def _aborting(self) -> Conversation[None]:
        fixed = (f":SOUR{self._number}:{function}:MODE FIX" for function in OTHER)
        yield from self._link.exchange(f":ABOR:ALL {self._at}", *fixed)

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
        self._power = PowerWatch()
        self.channels: dict[str, KeysightB2900Channel] = {
            number: KeysightB2900Channel(f"{name}.{number}", port, self._link, self._power, number, options)
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
            "*RST",
            "*CLS",
            ":FORM:ELEM:SENS VOLT,CURR,STAT",
            *settings,
            *self._trigger_lines(),
            timeout_s=TIMEOUT_S,
        )
        self._power.renew()

    def _trigger_lines(self) -> Iterator[str]:
        options = self._options
        if options.trigger_in is not None:
            yield f":SOUR:DIG:EXT{options.trigger_in}:FUNC TINP"
        if options.trigger_out is not None:
            yield f":SOUR:DIG:EXT{options.trigger_out}:FUNC TOUT"
            for n in options.channels:
                yield f":TRIG{n}:ACQ:TOUT:SIGN EXT{options.trigger_out}"
                yield f":TRIG{n}:ACQ:TOUT ON"
