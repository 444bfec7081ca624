"""A simulated Keithley 2636B: two channels that speak TSP.

Ref: Series 2600B Reference Manual 2600BS-901-01, sections 2, 7 and 9.
"""

from collections.abc import Callable, Mapping

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import MESSAGE_KNOBS
from sim.smu.output import SETTLING_S, SMU_KNOBS, Output, Quantity, outputs
from sim.sockets import Load
from sim.tsp import TspInstrument, Value, Values, number

MAX: dict[Quantity, float] = {"v": 200.0, "i": 1.5}
MIN_LIMIT: dict[Quantity, float] = {"v": 1e-2, "i": 1e-10}
RESET_LIMIT_V = 20.0
RESET_LIMIT_A = 0.1


class Keithley2600B(TspInstrument):
    """The box; its channels hang on `loads["a"]` and `loads["b"]`."""

    knobs = MESSAGE_KNOBS | SMU_KNOBS

    def __init__(
        self, clock: Clock, loads: Mapping[str, Load], faults: Faults = NO_FAULTS, *, seed: str | None = None
    ) -> None:
        super().__init__(clock, faults)
        self.outputs = outputs(loads, ("a", "b"), seed, limit_v=RESET_LIMIT_V, limit_a=RESET_LIMIT_A)
        self.idn = "Keithley Instruments Inc., Model 2636B, 4046723, 3.2.2"
        self.common["*IDN?"] = lambda: self.idn
        self.calls["reset"] = self._reset_all
        for letter, output in self.outputs.items():
            self._add_channel(f"smu{letter}", output)

    def _add_channel(self, smu: str, output: Output) -> None:
        source, measure = f"{smu}.source", f"{smu}.measure"
        self._add(f"{source}.func", lambda: float(output.forces == "v"), self._setting_function(output))
        self._add(f"{source}.output", lambda: float(output.on), self._switching(output))
        self._add(f"{source}.offmode", lambda: output.off_mode, output.set_off_mode, high=2)
        self._add(f"{smu}.sense", lambda: float(output.four_wire), output.set_four_wire)
        self._add(f"{measure}.nplc", lambda: output.nplc, output.set_nplc, low=0.001, high=25)
        self.gets[f"{source}.compliance"] = lambda: output.at_limit
        self.gets[f"status.measurement.instrument.{smu}.condition"] = lambda: self._condition(output)
        self.gets.update({f"{smu}.OUTPUT_OFF": lambda: 0.0, f"{smu}.OUTPUT_ON": lambda: 1.0})
        self.gets.update({f"{smu}.OUTPUT_DCAMPS": lambda: 0.0, f"{smu}.OUTPUT_DCVOLTS": lambda: 1.0})
        self.calls[f"{smu}.reset"] = lambda: self._reset(output)
        self.calls[f"{measure}.iv"] = lambda: self._measure(output, "i", "v")
        self._add_quantity(smu, output, "v")
        self._add_quantity(smu, output, "i")

    def _add_quantity(self, smu: str, output: Output, quantity: Quantity) -> None:
        top = MAX[quantity]
        level, limit = f"{smu}.source.level{quantity}", f"{smu}.source.limit{quantity}"
        put = self._leveling(output, quantity)
        self._add(level, lambda: output.level[quantity], put, low=-top, high=top)
        put = self._limiting(output, quantity)
        self._add(limit, lambda: output.limit[quantity], put, low=MIN_LIMIT[quantity], high=top)
        self.calls[f"{smu}.measure.{quantity}"] = lambda: self._measure(output, quantity)

    def _add(
        self,
        name: str,
        get: Callable[[], Value],
        put: Callable[[float], None],
        *,
        low: float = 0.0,
        high: float = 1.0,
    ) -> None:
        self.gets[name] = get
        self.sets[name] = lambda value: put(number(value, low=low, high=high))

    # -- what settings do
    def _reset_all(self) -> Values:
        return self._reset(*self.outputs.values())

    def _reset(self, *outputs: Output) -> Values:
        for output in outputs:
            output.reset()
        return []

    def _switching(self, output: Output) -> Callable[[float], None]:
        def put(value: float) -> None:
            output.switch(self.faults, on=value == 1.0)
            self._spend_settling(output)

        return put

    def _setting_function(self, output: Output) -> Callable[[float], None]:
        return lambda value: output.set_function("v" if value == 1.0 else "i")

    def _leveling(self, output: Output, quantity: Quantity) -> Callable[[float], None]:
        def put(value: float) -> None:
            output.set_level(quantity, value)
            self._spend_settling(output)

        return put

    def _limiting(self, output: Output, quantity: Quantity) -> Callable[[float], None]:
        def put(value: float) -> None:
            output.set_limit(quantity, value)
            self._spend_settling(output)

        return put

    def _spend_settling(self, output: Output) -> None:
        if output.on:
            self.spend(SETTLING_S)

    def _measure(self, output: Output, *quantities: Quantity) -> Values:
        self.spend(output.reading_s())
        return [output.reading(quantity, self.faults) for quantity in quantities]

    def _condition(self, output: Output) -> float:
        """Bit 0: voltage limit, bit 1: current limit."""
        if not output.at_limit:
            return 0.0
        return 2.0 if output.forces == "v" else 1.0
