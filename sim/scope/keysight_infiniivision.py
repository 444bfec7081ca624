"""A simulated Keysight DSO-X 3034T: four channels that see what they are told, and one trigger.

Ref: Keysight InfiniiVision 3000T X-Series Programmer's Guide.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from struct import pack
from typing import TypeAlias

from drivers.protocols.scpi import ErrorEntry
from drivers.protocols.waveform import BYTE, WORD, Preamble
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import BLOCK_KNOBS, MESSAGE_KNOBS, CommandError
from sim.scpi import Action, boolean, choice, number
from sim.scpi_status import POWER_KNOBS, StatusInstrument

Signal: TypeAlias = Callable[[float], float]
"""Volts by seconds from the trigger."""

SCOPE_KNOBS = frozenset({"no_trigger", "overrange"})
"""`no_trigger`: it waits for ever; `overrange`: the first sample is beyond the screen."""

RUNNING = 8
OVERHEAD_S = 0.02
BYTES_PER_S = 5e6
DIVISIONS = 10


def nothing(_: float) -> float:
    """No signal."""
    return 0.0


@dataclass
class Channel:
    """How one channel is set."""

    signal: Signal
    full_scale_v: float = 40.0
    offset_v: float = 0.0
    shown: bool = False


class KeysightInfiniiVision(StatusInstrument):
    """The box; nothing is wired to its channels but the signals that it is given."""

    knobs = MESSAGE_KNOBS | BLOCK_KNOBS | POWER_KNOBS | SCOPE_KNOBS
    told_by_status = True

    def __init__(
        self, clock: Clock, faults: Faults = NO_FAULTS, signals: Mapping[int, Signal] | None = None
    ) -> None:
        self.signals = signals or {}
        self.idn = "KEYSIGHT TECHNOLOGIES,DSO-X 3034T,MY58000123,07.50.2021102830"
        self._settle()
        super().__init__(clock, faults)

    def _settle(self) -> None:
        self.inputs = {n: Channel(self.signals.get(n, nothing)) for n in range(1, 5)}
        self.scale_s, self.position_s, self.points = 1e-4, 0.0, 1000
        self._source, self._format = 1, BYTE
        self._automatic, self._trigger_on, self._level_v = True, 1, 0.0
        self._recorded: frozenset[int] = frozenset()

    def commands(self) -> Mapping[str, Action]:
        table: dict[str, Action] = {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset,
            ":SINGle": lambda _: self._arm(),
            ":DIGitize": lambda _: self._arm(),
            ":RUN": lambda _: self.begin(inf),
            ":STOP": lambda _: self.give_up(),
            ":OPERegister:CONDition?": lambda _: f"{RUNNING if self.under_way else 0:+d}",
            ":OPER:CONDition?": lambda _: f"{RUNNING if self.under_way else 0:+d}",
            ":TIMebase:MODE": lambda text: self._choose(text, MAIN=""),
            ":TIMebase:REFerence": lambda text: self._choose(text, CENTer=""),
            ":TIMebase:SCALe": self._set_scale,
            ":TIMebase:POSition": self._set_position,
            ":TRIGger:SWEep": self._set_sweep,
            ":TRIGger[:EDGE]:SOURce": self._set_trigger_source,
            ":TRIGger[:EDGE]:LEVel": self._set_level,
            ":TRIGger[:EDGE]:SLOPe": lambda text: self._choose(text, POSitive="", NEGative=""),
            ":WAVeform:SOURce": self._set_source,
            ":WAVeform:FORMat": self._set_format,
            ":WAVeform:POINts": self._set_points,
            ":WAVeform:POINts:MODE": lambda text: self._choose(text, NORMal="", RAW="", MAXimum=""),
            ":WAVeform:PREamble?": lambda _: self._preamble().encode(),
            ":WAVeform:DATA?": lambda _: self._data(),
        }
        for n in self.inputs:
            table |= self._table_of(n)
        return table

    def _table_of(self, n: int) -> Mapping[str, Action]:
        at = f":CHANnel{n}"
        return {
            f"{at}:DISPlay": partial(self._show, n),
            f"{at}:PROBe": lambda text: self._check(text, 0.001, 10000),
            f"{at}:RANGe": partial(self._set_range, n),
            f"{at}:OFFSet": partial(self._set_offset, n),
            f"{at}:COUPling": lambda text: self._choose(text, DC="", AC=""),
        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        return '+0,"No error"' if entry is None else entry.encode()

    # -- settings
    def _reset(self, _: str) -> None:
        self.give_up()
        self._settle()

    def _choose(self, argument: str, **words: str) -> None:
        choice(argument, **words)

    def _check(self, argument: str, low: float, high: float) -> None:
        number(argument, low=low, high=high)

    def _show(self, n: int, argument: str) -> None:
        self.inputs[n].shown = boolean(argument)

    def _set_range(self, n: int, argument: str) -> None:
        self.inputs[n].full_scale_v = number(argument, low=8e-3, high=4e5)

    def _set_offset(self, n: int, argument: str) -> None:
        self.inputs[n].offset_v = number(argument, low=-1e5, high=1e5)

    def _set_scale(self, argument: str) -> None:
        self.scale_s = number(argument, low=1e-9, high=50.0)

    def _set_position(self, argument: str) -> None:
        self.position_s = number(argument, low=-500.0, high=500.0)

    def _set_sweep(self, argument: str) -> None:
        self._automatic = choice(argument, AUTO="auto", NORMal="") == "auto"

    def _set_trigger_source(self, argument: str) -> None:
        self._trigger_on = self._channel(argument)

    def _set_level(self, argument: str) -> None:
        self._level_v = number(argument, low=-1e5, high=1e5)

    def _set_source(self, argument: str) -> None:
        self._source = self._channel(argument)

    def _set_format(self, argument: str) -> None:
        self._format = WORD if choice(argument, BYTE="", WORD="w") else BYTE

    def _set_points(self, argument: str) -> None:
        self.points = int(number(argument, low=1, high=8e6))

    def _channel(self, argument: str) -> int:
        digits = argument.upper().removeprefix("CHAN").removeprefix("NEL")
        if not digits.isdigit() or int(digits) not in self.inputs:
            raise CommandError(-224)
        return int(digits)

    # -- records
    def _arm(self) -> None:
        """Wait for the trigger, then for the record; without a crossing there is none."""
        self._recorded = frozenset()
        if self.faults.strikes("no_trigger") is not None or not (self._automatic or self._crossed()):
            self.begin(inf)
        else:
            self.begin(DIVISIONS * self.scale_s + OVERHEAD_S)

    def _crossed(self) -> bool:
        seen = self._sampled(self._trigger_on, 1000)
        return min(seen) < self._level_v < max(seen)

    def _sampled(self, n: int, points: int) -> list[float]:
        step, signal = DIVISIONS * self.scale_s / points, self.inputs[n].signal
        start = self.position_s - DIVISIONS * self.scale_s / 2
        return [signal(start + i * step) for i in range(points)]

    def ended(self) -> None:
        """The trigger has come: the channels that are shown have a record."""
        self._recorded = frozenset(n for n, channel in self.inputs.items() if channel.shown)

    def _preamble(self) -> Preamble:
        channel, levels = self.inputs[self._source], 1 << (16 if self._format == WORD else 8)
        points = len(self._record())
        record_s = DIVISIONS * self.scale_s
        return Preamble(
            format=self._format,
            points=points,
            x_increment_s=record_s / points,
            x_origin_s=self.position_s - record_s / 2,
            x_reference=0,
            y_increment_v=channel.full_scale_v / levels,
            y_origin_v=channel.offset_v,
            y_reference=levels // 2,
        )

    def _record(self) -> list[float]:
        """As many samples of the record as are asked for."""
        if self._source not in self._recorded:
            raise CommandError(-230)
        return self._sampled(self._source, self.points)

    def _data(self) -> str:
        preamble, size = self._preamble(), 2 if self._format == WORD else 1
        top = (1 << 8 * size) - 1
        raw = [self._raw(volts, preamble, top) for volts in self._record()]
        if self.faults.strikes("overrange") is not None:
            raw[0] = top
        data = pack(f">{len(raw)}{'H' if size == 2 else 'B'}", *raw)
        self.spend(len(data) / BYTES_PER_S)
        return self.shortened(b"#8%08d" % len(data) + data).decode("latin-1")

    @staticmethod
    def _raw(volts: float, preamble: Preamble, top: int) -> int:
        level = round((volts - preamble.y_origin_v) / preamble.y_increment_v) + preamble.y_reference
        return min(max(level, 1), top)
