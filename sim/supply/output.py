"""One output of a power supply and what hangs on it: constant voltage, constant current, trips that stay."""

from math import copysign

from sim.clock import Clock
from sim.sockets import Load, voltage_at

SUPPLY_KNOBS = frozenset({"trip", "overrange", "slow_rise", "stuck_on", "power_cycle"})
"""`trip`: over-current protection trips, `=ov`: over-voltage, `=ot`: over-temperature;
`slow_rise=<ms>`: time to the set point;
`stuck_on`: the output stays on though it is switched off, `=lie`: and says that it is off;
`power_cycle`: the power has gone and come back before a message; nothing is as it was set."""

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
        done = min(1.0, round(self.clock.time() - self._begun_at, 9) / self._rise_s)
        return self._from + (self.volts - self._from) * done

    def work(self) -> tuple[float, float]:
        """Find volts and amps, let a protection trip, and tell the load what it gets."""
        volts, amps = self._limited(self.ramp()) if self.delivers else (0.0, 0.0)
        if self.delivers and self.volts > self.ovp:
            self.tripped = "VOLT"
        if self.delivers and self.ocp and abs(amps) >= self.limit:
            self.tripped = "CURR"
        self._tell(volts if self.delivers else None)
        return (volts, amps) if self.delivers else (0.0, 0.0)

    @property
    def delivers(self) -> bool:
        """Whether anything comes out."""
        return self.on and not self.tripped

    def _tell(self, volts: float | None) -> None:
        """Tell the load, if its voltage has changed; on its way it learns of it when somebody looks."""
        if volts != self._told:
            self._told = volts
            self.load.driven(volts)

    def _limited(self, volts: float) -> tuple[float, float]:
        amps = self.load.current(volts)
        if abs(amps) <= self.limit:
            return volts, amps
        limited = copysign(self.limit, amps)
        return voltage_at(self.load, limited, abs(volts)), limited
