"""What simulated power supplies do, whichever way their outputs are addressed."""

from collections.abc import Mapping
from random import Random
from typing import ClassVar

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.messages import MESSAGE_KNOBS
from sim.scpi import ScpiInstrument, boolean, choice, number
from sim.sockets import Load, OpenCircuit
from sim.supply.output import NOISE, RISE_S, SUPPLY_KNOBS, Output


class SupplyInstrument(ScpiInstrument):
    """A box whose outputs hang on `loads["1"]` and so on; a model has the words and the ranges."""

    knobs = MESSAGE_KNOBS | SUPPLY_KNOBS
    idn: str
    ranges: ClassVar[Mapping[int, tuple[float, float]]]
    """Volts and amps that each output can be set to."""

    def __init__(
        self, clock: Clock, loads: Mapping[str, Load], faults: Faults = NO_FAULTS, *, seed: str | None = None
    ) -> None:
        self.outputs = {
            n: Output(loads.get(str(n), OpenCircuit()), clock, *most) for n, most in self.ranges.items()
        }
        self._random = Random(seed) if seed is not None else None
        super().__init__(clock, faults)

    def obey(self, message: str) -> str | None:
        if self.faults.strikes("power_cycle") is not None:
            self.lose_power()
        return super().obey(message)

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

    def lose_power(self) -> None:
        """Come back with nothing as it was set."""
        self._reset("")

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
