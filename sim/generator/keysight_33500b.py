"""A simulated Keysight 33512B: two outputs that nothing is wired to, and what was set of them.

Ref: Keysight 33500 Series Operating and Service Guide (33500-90901), SCPI programming reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from drivers.protocols.scpi import ErrorEntry
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import MESSAGE_KNOBS, CommandError
from sim.scpi import Action, boolean, choice, number
from sim.scpi_status import POWER_KNOBS, StatusInstrument

GENERATOR_KNOBS = frozenset({"stuck_on"})
"""`stuck_on`: the output stays on though it is switched off."""

MOST_HZ = {"SIN": 20e6, "SQU": 20e6, "RAMP": 200e3, "PULS": 20e6, "ARB": 20e6}
MOST_V = {"50": 5.0, "INF": 10.0}
"""How far from 0 V an output goes, by its load."""


@dataclass
class Output:
    """One output."""

    shape: str = "SIN"
    frequency_hz: float = 1000.0
    amplitude_vpp: float = 0.1
    offset_v: float = 0.0
    load: str = "50"
    on: bool = False
    bursts: bool = False
    cycles: int = 1
    source: str = "IMM"
    begun: int = 0
    """How many bursts were begun."""
    memory: dict[str, list[float]] = field(default_factory=dict)
    chosen: str = ""


class Keysight33500B(StatusInstrument):
    """The box."""

    knobs = MESSAGE_KNOBS | POWER_KNOBS | GENERATOR_KNOBS
    told_by_status = True

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        self.outputs = {"1": Output(), "2": Output()}
        self.idn = "Agilent Technologies,33512B,MY52000123,2.03-1.19-2.00-52-00"
        super().__init__(clock, faults)

    def commands(self) -> Mapping[str, Action]:
        table: dict[str, Action] = {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset,
            "*TRG": self._trigger,
        }
        for n in self.outputs:
            table |= self._table_of(n)
        return table

    def _table_of(self, n: str) -> Mapping[str, Action]:
        source = f":SOURce{n}"
        return {
            f":OUTPut{n}[:STATe]": partial(self._switch, n),
            f":OUTPut{n}[:STATe]?": lambda _: str(int(self.outputs[n].on)),
            f":OUTPut{n}:LOAD": partial(self._set_load, n),
            f"{source}:FUNCtion": partial(self._set_shape, n),
            f"{source}:FUNCtion?": lambda _: self.outputs[n].shape,
            f"{source}:FUNCtion:SQUare:DCYCle": lambda text: self._check(text, 0.01, 99.99),
            f"{source}:FUNCtion:PULSe:WIDTh": lambda text: self._check(text, 16e-9, 1e6),
            f"{source}:FUNCtion:ARBitrary": partial(self._choose_arbitrary, n),
            f"{source}:FUNCtion:ARBitrary:SRATe": lambda text: self._check(text, 1e-6, 160e6),
            f"{source}:DATA:VOLatile:CLEar": lambda _: self.outputs[n].memory.clear(),
            f"{source}:DATA:ARBitrary": partial(self._load, n),
            f"{source}:FREQuency": partial(self._set_frequency, n),
            f"{source}:FREQuency?": lambda _: f"{self.outputs[n].frequency_hz:+.15E}",
            f"{source}:VOLTage:UNIT": lambda text: self._choose(text, VPP=""),
            f"{source}:VOLTage": partial(self._set_amplitude, n),
            f"{source}:VOLTage?": lambda _: f"{self.outputs[n].amplitude_vpp:+.15E}",
            f"{source}:VOLTage:OFFSet": partial(self._set_offset, n),
            f"{source}:PHASe": lambda text: self._check(text, -360.0, 360.0),
            f"{source}:BURSt:STATe": partial(self._set_burst, n),
            f"{source}:BURSt:MODE": lambda text: self._choose(text, TRIGgered=""),
            f"{source}:BURSt:NCYCles": partial(self._set_cycles, n),
            f":TRIGger{n}:SOURce": partial(self._set_source, n),
        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        return '+0,"No error"' if entry is None else entry.encode()

    # -- what commands do
    def _reset(self, _: str) -> None:
        self.outputs.update({n: Output() for n in self.outputs})

    def _choose(self, argument: str, **words: str) -> None:
        choice(argument, **words)

    def _check(self, argument: str, low: float, high: float) -> None:
        number(argument, low=low, high=high)

    def _switch(self, n: str, argument: str) -> None:
        on, output = boolean(argument), self.outputs[n]
        if on or not output.on or self.faults.strikes("stuck_on") is None:
            output.on = on

    def _set_load(self, n: str, argument: str) -> None:
        infinite = argument.strip().upper() in ("INF", "INFINITY")
        self.outputs[n].load = "INF" if infinite else "50"
        if not infinite:
            number(argument, low=1.0, high=10e3)

    def _set_shape(self, n: str, argument: str) -> None:
        words = {"SINusoid": "SIN", "SQUare": "SQU", "RAMP": "RAMP", "PULSe": "PULS", "ARB": "ARB"}
        shape, output = choice(argument, **words), self.outputs[n]
        if shape == "ARB" and not output.chosen:
            raise CommandError(-221)
        output.shape = shape

    def _set_frequency(self, n: str, argument: str) -> None:
        output = self.outputs[n]
        output.frequency_hz = number(argument, low=1e-6, high=MOST_HZ[output.shape])

    def _set_amplitude(self, n: str, argument: str) -> None:
        output = self.outputs[n]
        amplitude = number(argument, low=1e-3, high=2 * MOST_V[output.load])
        self._within(output, amplitude, output.offset_v)
        output.amplitude_vpp = amplitude

    def _set_offset(self, n: str, argument: str) -> None:
        output = self.outputs[n]
        offset = number(argument, low=-MOST_V[output.load], high=MOST_V[output.load])
        self._within(output, output.amplitude_vpp, offset)
        output.offset_v = offset

    @staticmethod
    def _within(output: Output, amplitude_vpp: float, offset_v: float) -> None:
        """Refuse what would go beyond the output's volts."""
        if abs(offset_v) + amplitude_vpp / 2 > MOST_V[output.load]:
            raise CommandError(-221)

    def _load(self, n: str, argument: str) -> None:
        name, *values = argument.split(",")
        self.outputs[n].memory[name.strip().upper()] = [number(v, low=-1.0, high=1.0) for v in values]

    def _choose_arbitrary(self, n: str, argument: str) -> None:
        name, output = argument.strip('" ').upper(), self.outputs[n]
        if name not in output.memory:
            raise CommandError(-224)
        output.chosen = name

    def _set_burst(self, n: str, argument: str) -> None:
        self.outputs[n].bursts = boolean(argument)

    def _set_cycles(self, n: str, argument: str) -> None:
        self.outputs[n].cycles = int(number(argument, low=1, high=1e8))

    def _set_source(self, n: str, argument: str) -> None:
        self.outputs[n].source = choice(argument, IMMediate="IMM", EXTernal="EXT", BUS="BUS")

    def _trigger(self, _: str) -> None:
        waiting = [output for output in self.outputs.values() if output.bursts and output.source == "BUS"]
        if not waiting:
            raise CommandError(-211)
        for output in waiting:
            output.begun += 1

    def triggered(self) -> None:
        self._trigger("")
