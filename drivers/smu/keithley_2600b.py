"""Keithley 2600B series in TSP: one or two channels at one port.

Ref: Series 2600B Reference Manual 2600BS-901-01, sections 2, 3, 4 (trigger model, buffers), 7 and 9.
"""

from struct import iter_unpack
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.errors import EquipmentError, ProtocolError
from drivers.links.machine import PortMachine
from drivers.links.power import PowerWatch
from drivers.links.readings import longest_reading
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, parsed
from drivers.links.tsp import EVENTS, READ_EVENTS, STILL_SET, TspLink
from drivers.protocols.scpi import judged, read_number, read_whole, write_number
from drivers.protocols.tsp import read_boolean
from drivers.roles import Reading
from drivers.smu.channel import OTHER, Function, SmuChannel
from drivers.smu.stairs import Listed, Stairs, Straight
from drivers.transports import Conversation, Port

LETTERS: dict[Function, str] = {"VOLT": "v", "CURR": "i"}
CODES: dict[Function, int] = {"CURR": 0, "VOLT": 1}
TOO_HOT, LIMITED = 0x02, 0x40
"""Status bits of a reading in a buffer: over-temperature, and the limit held the output (9-34)."""
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
    trigger_in: Annotated[int, Meta(ge=1, le=14)] | None = None
    """The digital line whose falling edge each step of a triggered sweep waits for."""
    trigger_out: Annotated[int, Meta(ge=1, le=14)] | None = None
    """The digital line that tells by a low pulse that a reading of channel `a` has been taken in a sweep."""
    trigger_wait_s: Annotated[float, Meta(gt=0, le=60)] = 1.0
    """How long a step of a triggered sweep waits for its edge."""

    def wait_s(self, edge: int | None) -> float:
        """Return how long a step may wait."""
        return 0.0 if edge is None else self.trigger_wait_s


class Keithley2600BChannel(SmuChannel):
    """One of the two outputs."""

    def __init__(
        self,
        name: str,
        port: Port,
        link: TspLink,
        power: PowerWatch,
        smu: str,
        options: Keithley2600BOptions,
    ) -> None:
        super().__init__(name, port, trigger_in=options.trigger_in)
        self._link = link
        self._power = power
        self._smu = smu
        self._buffer = f"{smu}.nvbuffer1"
        self._lines = options
        self._reading_s = longest_reading(options.nplc)

    def _forcing(
        self, function: Function, level: float, limit: float, *, off_first: bool
    ) -> Conversation[None]:
        """One chunk, which switches on only if no setting was refused and the power has not gone."""
        source = f"{self._smu}.source"
        off = (f"{source}.output=0",) if off_first else ()
        self._power.check(self.name)
        (events,) = yield from self._link.exchange(
            READ_EVENTS,
            *off,
            f"{source}.func={CODES[function]}",
            f"{source}.limit{LETTERS[OTHER[function]]}={write_number(limit)}",
            self._leveling(function, level),
            f"if errorqueue.count==0 and {STILL_SET} then {source}.output=1 end",
            values=(EVENTS,),
        )
        self._power.heed(events, self.name)

    def _measuring(self, function: Function) -> Conversation[Reading]:
        reading = f"{self._smu}.measure.{LETTERS[OTHER[function]]}()"
        limited, output = f"{self._smu}.source.compliance", f"{self._smu}.source.output"
        value, at_limit, on = yield from self._link.exchange(
            values=(reading, limited, output), timeout_s=TIMEOUT_S
        )
        self._check_on(on=bool(parsed(read_whole, output, on)))
        return Reading(parsed(read_number, reading, value), parsed(read_boolean, limited, at_limit))

    def _leveling(self, function: Function, level: float) -> str:
        return f"{self._smu}.source.level{LETTERS[function]}={write_number(level)}"

    def _bursting(self, function: Function, count: int) -> Conversation[tuple[Reading, ...]]:
        measure, output = f"{self._smu}.measure", f"{self._smu}.source.output"
        (on,) = yield from self._link.exchange(
            f"{self._buffer}.clear()",
            f"{measure}.count={count}",
            f"{measure}.{LETTERS[OTHER[function]]}({self._buffer})",
            f"{measure}.count=1",
            values=(output,),
            timeout_s=TIMEOUT_S + count * self._reading_s,
        )
        self._check_on(on=bool(parsed(read_whole, output, on)))
        return (yield from self._fetching(count))

    def _sweeping(
        self, function: Function, stairs: Stairs, edge: int | None
    ) -> Conversation[tuple[Reading, ...]]:
        """One chunk sets up and climbs, unless a setting was refused; then the buffer is fetched."""
        output, taken = f"{self._smu}.source.output", f"{self._buffer}.n"
        found, on = yield from self._link.exchange(
            *self._climbing(function, stairs),
            *self._triggering(edge),
            f"if errorqueue.count==0 then {self._smu}.trigger.initiate() waitcomplete() end",
            values=(taken, output),
            timeout_s=TIMEOUT_S + stairs.count * (self._reading_s + self._lines.wait_s(edge)),
        )
        self._check_on(on=bool(parsed(read_whole, output, on)))
        if parsed(read_whole, taken, found) != stairs.count:
            raise ProtocolError(f"{taken} is {found} after a sweep of {stairs.count} levels")
        return (yield from self._fetching(stairs.count))

    def _climbing(self, function: Function, stairs: Stairs) -> tuple[str, ...]:
        trigger, letter = f"{self._smu}.trigger", LETTERS[function]
        match stairs:
            case Listed():
                levels = f"list{letter}({{{','.join(map(write_number, stairs.levels))}}})"
            case Straight():
                ends = f"{write_number(stairs.start)},{write_number(stairs.stop)}"
                levels = f"linear{letter}({ends},{stairs.count})"
        return (
            f"{self._buffer}.clear()",
            f"{self._buffer}.appendmode=1",
            f"{trigger}.source.{levels}",
            f"{trigger}.source.action={self._smu}.ENABLE",
            f"{trigger}.measure.{LETTERS[OTHER[function]]}({self._buffer})",
            f"{trigger}.measure.action={self._smu}.ENABLE",
            f"{trigger}.endpulse.action={self._smu}.SOURCE_HOLD",
            f"{trigger}.endsweep.action={self._smu}.SOURCE_HOLD",
            f"{trigger}.count={stairs.count}",
        )

    def _triggering(self, edge: int | None) -> tuple[str, ...]:
        """An edge from before the sweep starts no step."""
        stimulus = f"{self._smu}.trigger.source.stimulus"
        if edge is None:
            return (f"{stimulus}=0",)
        return f"digio.trigger[{edge}].clear()", f"{stimulus}=digio.trigger[{edge}].EVENT_ID"

    def _aborting(self) -> Conversation[None]:
        yield from self._link.exchange(f"{self._smu}.abort()", f"{self._smu}.measure.count=1")

    def _fetching(self, count: int) -> Conversation[tuple[Reading, ...]]:
        """The buffer comes as a block of floats, a status behind each reading."""
        fetch = (
            "format.data=format.REAL32 format.byteorder=format.BIGENDIAN "
            f"printbuffer(1,{count},{self._buffer}.readings,{self._buffer}.statuses) "
            "format.data=format.ASCII"
        )
        block = yield from self._link.fetch_block(fetch, size=8 * count, timeout_s=TIMEOUT_S + count * 1e-3)
        return tuple(self._read(value, int(status)) for value, status in iter_unpack(">ff", block))

    def _read(self, value: float, status: int) -> Reading:
        if status & TOO_HOT:
            raise EquipmentError(f"{self.name} is too hot: no reading is believed")
        return Reading(judged(value), bool(status & LIMITED))

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
    queue = TspLink

    def __init__(self, name: str, port: Port, options: Keithley2600BOptions) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self.models = MODELS[options.channels]
        self._options = options
        self._link = TspLink(options.min_gap_s)
        self._power = PowerWatch()
        self.channels: dict[str, Keithley2600BChannel] = {
            letter: Keithley2600BChannel(
                f"{name}.{letter}", port, self._link, self._power, f"smu{letter}", options
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
        clean = "reset()", "errorqueue.clear()", "status.reset()"
        yield from self._link.exchange(*clean, *settings, *self._trigger_lines(), timeout_s=TIMEOUT_S)
        self._power.renew()

    def _trigger_lines(self) -> tuple[str, ...]:
        edge, told = self._options.trigger_in, self._options.trigger_out
        waits = () if edge is None else (f"digio.trigger[{edge}].mode=digio.TRIG_FALLING",)
        if told is None:
            return waits
        line = f"digio.trigger[{told}]"
        event = "smua.trigger.MEASURE_COMPLETE_EVENT_ID"
        return (*waits, f"{line}.mode=digio.TRIG_FALLING", f"{line}.stimulus={event}")
