"""A simulated Keysight E36312A: constant voltage until the limit, then constant current, and trips that stay.

Ref: Keysight E36300 Series Programming Guide (E36311-90008).
"""

from collections.abc import Callable, Mapping
from math import copysign
from random import Random
from typing import ClassVar

from drivers.protocols.scpi import ErrorEntry
from sim.channels import cut
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import MESSAGE_KNOBS, CommandError
from sim.scpi import Action, ScpiInstrument, boolean, choice, number
from sim.sockets import Load, OpenCircuit, voltage_at

SUPPLY_KNOBS = frozenset({"trip", "overrange", "slow_rise", "stuck_on"})
"""`trip`: over-current protection trips, `=ov`: over-voltage, `=ot`: over-temperature;
`slow_rise=<ms>`: time to the set point;
`stuck_on`: the output stays on though it is switched off, `=lie`: and says that it is off."""

RISE_S = 0.01
QUERY_S = 0.002
NOISE = {"VOLT": 2e-4, "CURR": 2e-6}


class Output:
    """One output: what was set, what the load makes of it, and whether a protection holds it off."""

    def __init__(self, load: Load, clock: Clock, max_v: float, max_a: float) -> None:
        self.load = load
        self.clock = clock
        self.max_v = max_v
        self.max_a = max_a
        self._told: float | None = None
        self.reset()

    def reset(self) -> None:
        """Off, 0 V, protections as after *RST."""
        self.volts, self.limit = 0.0, self.max_a
        self.ovp, self.ocp = self.max_v * 1.1, False
        self.on, self.says_on, self.tripped, self.four_wire = False, False, "", False
        self._from, self._begun_at, self._rise_s = 0.0, 0.0, RISE_S
        self._tell(None)

    def switch(self, *, on: bool, rise_s: float) -> None:
        """Begin to rise to the set point, or cut off."""
        if on and not self.on:
            self._from, self._begun_at, self._rise_s = 0.0, self.clock.time(), rise_s
        self.on = self.says_on = on
        self.work()

    def set_volts(self, volts: float, *, rise_s: float) -> None:
        """Change the set point; an output that is on goes there in `rise_s`."""
        self._from, self._begun_at, self._rise_s = self.ramp(), self.clock.time(), rise_s
        self.volts = volts
        self.work()

    def ramp(self) -> float:
        """Where the way to the set point is now."""
        done = min(1.0, (self.clock.time() - self._begun_at) / self._rise_s)
        return self._from + (self.volts - self._from) * done

    def work(self) -> tuple[float, float]:
        """Find volts and amps, let a protection trip, and tell the load what it gets."""
        volts, amps = self._limited(self.ramp()) if self.delivers else (0.0, 0.0)
        if self.delivers and self.volts > self.ovp:
            self.tripped = "VOLT"
        if self.delivers and self.ocp and abs(amps) >= self.limit:
            self.tripped = "CURR"
        self._tell(self._limited(self.volts)[0] if self.delivers else None)
        return (volts, amps) if self.delivers else (0.0, 0.0)

    @property
    def delivers(self) -> bool:
        """Whether anything comes out."""
        return self.on and not self.tripped

    def _tell(self, volts: float | None) -> None:
        """Tell the load, if its voltage has changed; it learns of a rise when that begins."""
        if volts != self._told:
            self._told = volts
            self.load.driven(volts)

    def _limited(self, volts: float) -> tuple[float, float]:
        amps = self.load.current(volts)
        if abs(amps) <= self.limit:
            return volts, amps
        limited = copysign(self.limit, amps)
        return voltage_at(self.load, limited, abs(volts)), limited


class KeysightE36300(ScpiInstrument):
    """The box; its outputs hang on `loads["1"]` to `loads["3"]`."""

    knobs = MESSAGE_KNOBS | SUPPLY_KNOBS
    idn = "Keysight Technologies,E36312A,MY59002318,2.1.1-1.0.4-1.12"
    ranges: ClassVar[Mapping[int, tuple[float, float]]] = {
        1: (6.18, 5.15),
        2: (25.75, 1.03),
        3: (25.75, 1.03),
    }
    """Volts and amps that each output can be set to."""

    def __init__(
        self, clock: Clock, loads: Mapping[str, Load], faults: Faults = NO_FAULTS, *, seed: str | None = None
    ) -> None:
        self.outputs = {
            n: Output(loads.get(str(n), OpenCircuit()), clock, *most) for n, most in self.ranges.items()
        }
        self._random = Random(seed) if seed is not None else None
        super().__init__(clock, faults)

    def table(self) -> Mapping[str, Action]:
        volt, curr = "[:SOURce]:VOLTage", "[:SOURce]:CURRent"
        level = "[:LEVel][:IMMediate][:AMPLitude]"
        return {
            "*IDN?": lambda _: self.idn,
            "*RST": self._reset,
            "*CLS": lambda _: self.errors.clear(),
            "*OPC?": lambda _: "1",
            ":SYSTem:ERRor[:NEXT]?": self.read_error,
            volt + level: self._each(self._set_volts),
            volt + level + "?": self._ask(lambda output: f"{output.volts:+.8E}"),
            curr + level: self._each(self._set_limit),
            curr + level + "?": self._ask(lambda output: f"{output.limit:+.8E}"),
            volt + ":PROTection[:LEVel]": self._each(self._set_ovp),
            volt + ":PROTection[:LEVel]?": self._ask(lambda output: f"{output.ovp:+.8E}"),
            volt + ":PROTection:TRIPped?": self._ask(lambda output: self._trip(output, "VOLT")),
            volt + ":SENSe:SOURce": self._each(self._set_sense),
            curr + ":PROTection:STATe": self._each(self._set_ocp),
            curr + ":PROTection:STATe?": self._ask(lambda output: str(int(output.ocp))),
            curr + ":PROTection:TRIPped?": self._ask(lambda output: self._trip(output, "CURR")),
            ":OUTPut[:STATe]": self._each(self._switch),
            ":OUTPut[:STATe]?": self._ask(self._is_on),
            ":OUTPut:PROTection:CLEar": self._each(self._clear_protection),
            ":STATus:QUEStionable:CONDition?": self._ask(self._condition),
            ":MEASure[:SCALar]:VOLTage[:DC]?": self._ask(lambda output: self._measure(output, "VOLT")),
            ":MEASure[:SCALar]:CURRent[:DC]?": self._ask(lambda output: self._measure(output, "CURR")),
        }

    def write_error(self, entry: ErrorEntry | None) -> str:
        return '+0,"No error"' if entry is None else entry.encode()

    # -- channel lists
    def _each(self, action: Callable[[Output, str], None]) -> Action:
        def each(argument: str) -> None:
            text, found = self._at(argument)
            for output in found:
                action(output, text)

        return each

    def _ask(self, query: Callable[[Output], str]) -> Action:
        def ask(argument: str) -> str:
            self.spend(QUERY_S)
            return ",".join(query(output) for output in self._at(argument)[1])

        return ask

    def _at(self, argument: str) -> tuple[str, list[Output]]:
        """Cut `3.3,(@1,2)` or `(@1:3)` into parameter and outputs; CommandError if there is no list."""
        text, numbers = cut(argument)
        if not numbers or not set(numbers) <= set(self.outputs):
            raise CommandError(-222)
        return text, [self.outputs[n] for n in numbers]

    # -- what commands do
    def _reset(self, _: str) -> None:
        for output in self.outputs.values():
            output.reset()

    def _rise_s(self) -> float:
        slow_ms = self.faults.strikes("slow_rise")
        return RISE_S if slow_ms is None else float(slow_ms or 500) / 1000

    def _set_volts(self, output: Output, text: str) -> None:
        rise_s = self._rise_s() if output.on else RISE_S
        output.set_volts(number(text, low=0.0, high=output.max_v), rise_s=rise_s)

    def _set_limit(self, output: Output, text: str) -> None:
        output.limit = number(text, low=0.0, high=output.max_a)
        output.work()

    def _set_ovp(self, output: Output, text: str) -> None:
        output.ovp = number(text, low=0.0, high=output.max_v * 1.1)
        output.work()

    def _set_ocp(self, output: Output, text: str) -> None:
        output.ocp = boolean(text)
        output.work()

    def _set_sense(self, output: Output, text: str) -> None:
        output.four_wire = choice(text, INTernal="", EXTernal="ext") == "ext"

    def _switch(self, output: Output, text: str) -> None:
        on = boolean(text)
        if not on and output.on and (stuck := self.faults.strikes("stuck_on")) is not None:
            output.says_on = stuck != "lie"
            return
        output.switch(on=on, rise_s=self._rise_s() if on else RISE_S)

    def _clear_protection(self, output: Output, _: str) -> None:
        output.tripped = ""
        output.work()

    def _condition(self, output: Output) -> str:
        """Bit 0: over-voltage, bit 1: over-current, bit 4: over-temperature; as on an N6700."""
        output.work()
        return str({"": 0, "VOLT": 1, "CURR": 2, "TEMP": 16}[output.tripped])

    def _is_on(self, output: Output) -> str:
        output.work()
        return str(int(output.says_on and not output.tripped))

    def _trip(self, output: Output, which: str) -> str:
        output.work()
        return str(int(output.tripped == which))

    def _measure(self, output: Output, what: str) -> str:
        if output.delivers and (trip := self.faults.strikes("trip")) is not None:
            output.tripped = {"ov": "VOLT", "ot": "TEMP"}.get(trip, "CURR")
        volts, amps = output.work()
        value = volts if what == "VOLT" else amps
        if self.faults.strikes("overrange") is not None:
            value = 9.9e37
        elif self._random is not None:
            value += self._random.gauss(0.0, NOISE[what])
        return f"{value:+.8E}"
