"""One output of a source-measure unit and what hangs on it: where it settles, and what a reading shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import copysign
from random import Random
from typing import Literal

from sim.faults import Faults
from sim.messages import CommandError
from sim.sockets import Load, OpenCircuit, voltage_at

Quantity = Literal["v", "i"]

SMU_KNOBS = frozenset(
    {"trip", "overrange", "stuck_on", "interlock_open", "power_cycle", "hot", "lost_reading"}
)
"""`trip`: a reading is taken at the limit; `overrange`: it is beyond all ranges (`=nan`: there is none);
`stuck_on`: the output stays on though it is switched off; `interlock_open`: no output beyond 42 V is
switched on, and one that is on goes off at its next reading; `power_cycle`: the power has gone and come
back before a message, and nothing is as it was set; `hot`: a reading of a buffer was taken too hot;
`lost_reading`: a buffer has one reading less than was asked for."""

INTERLOCK_V = 42.0
INTERLOCK = CommandError(802, "OUTPUT blocked by interlock")

OPEN = OpenCircuit()
LINE_HZ = 50.0
OVERHEAD_S = 1e-3
SETTLING_S = 0.2e-3
REACH_V = 20.0
"""How far the voltage of a source goes when the load drives its current beyond the limit."""
NOISE = {"v": 2e-6, "i": 1e-12}
GAIN_NOISE = 2e-5


@dataclass(frozen=True, slots=True)
class Point:
    """Where an output has settled."""

    volts: float
    amps: float
    at_limit: bool


@dataclass
class Output:
    """Level and limit of both functions, as the machine was told; volts and amps."""

    load: Load
    reset_limit: Mapping[Quantity, float]
    """The limits after a reset, by what is limited: `limit["i"]` holds while voltage is forced."""
    random: Random | None = None
    level: dict[Quantity, float] = field(default_factory=dict)
    limit: dict[Quantity, float] = field(default_factory=dict)
    forces: Quantity = "v"
    on: bool = False
    nplc: float = 1.0
    count: float = 1.0
    """How many readings one measurement into a buffer takes."""
    four_wire: bool = False
    off_mode: float = 0.0
    """How the output is off, in the code of the 2600B; the load is disconnected in any of them."""
    at_limit: bool = False
    hot: bool = False
    """Whether the last reading was taken too hot."""
    _told: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Off, voltage forced, everything else as the machine has it after a reset."""
        self.on, self.forces, self.nplc, self.four_wire, self.off_mode = False, "v", 1.0, False, 0.0
        self.count = 1.0
        self.level = {"v": 0.0, "i": 0.0}
        self.limit = dict(self.reset_limit)
        self.settle()

    def switch(self, faults: Faults, *, on: bool) -> None:
        """Connect or disconnect the load; CommandError where an open interlock forbids it."""
        if on:
            self._obey_interlock(faults)
        if on or not self.on or faults.strikes("stuck_on") is None:
            self.on = on
        self.settle()

    def _obey_interlock(self, faults: Faults) -> None:
        reach = abs(self.level["v"]) if self.forces == "v" else self.limit["v"]
        if reach > INTERLOCK_V and faults.strikes("interlock_open") is not None:
            self.on = False
            self.settle()
            raise INTERLOCK

    def set_function(self, function: Quantity) -> None:
        """Choose what is forced; CommandError while the output is on."""
        if function != self.forces and self.on:
            raise CommandError(-221)
        self.forces = function

    def set_level(self, quantity: Quantity, level: float) -> None:
        """Choose what is forced while its function is."""
        self.level[quantity] = level
        self.settle()

    def set_limit(self, limited: Quantity, limit: float) -> None:
        """Choose how far the other quantity may go."""
        self.limit[limited] = limit
        self.settle()

    def set_nplc(self, nplc: float) -> None:
        """Choose the integration time in power-line cycles."""
        self.nplc = nplc

    def set_count(self, count: float) -> None:
        """Choose how many readings go into a buffer at a time."""
        self.count = count

    def set_off_mode(self, mode: float) -> None:
        """Choose normal (0), zero (1) or high impedance (2)."""
        self.off_mode = mode

    def set_four_wire(self, on: float) -> None:
        """Choose two wires (0) or four (1)."""
        self.four_wire = on == 1.0

    def settle(self) -> Point:
        """Find the point of work and tell the load, if its voltage has changed."""
        point = self._point() if self.on else Point(0.0, 0.0, at_limit=False)
        self.at_limit = point.at_limit
        volts = point.volts if self.on else None
        if volts != self._told:
            self._told = volts
            self.load.driven(volts)
        return point

    def reading(self, measured: Quantity, faults: Faults) -> float:
        """Measure volts or amps, with the noise of the machine; 9.9E37 is over range."""
        if self.on:
            self._obey_interlock(faults)
        point = self.settle()
        self.hot = faults.strikes("hot") is not None
        if (over := faults.strikes("overrange")) is not None:
            return 9.91e37 if over == "nan" else 9.9e37
        if faults.strikes("trip") is not None:
            self.at_limit = True
            return self.limit[measured]
        value = point.volts if measured == "v" else point.amps
        if self.random is None:
            return value
        return value + self.random.gauss(0.0, NOISE[measured] + GAIN_NOISE * abs(value))

    def reading_s(self) -> float:
        """Seconds that a reading takes."""
        return self.nplc / LINE_HZ + OVERHEAD_S

    def _point(self) -> Point:
        return self._voltage_forced() if self.forces == "v" else self._current_forced()

    def _voltage_forced(self) -> Point:
        volts, limit = self.level["v"], self.limit["i"]
        amps = self.load.current(volts)
        if abs(amps) <= limit:
            return Point(volts, amps, at_limit=False)
        limited = copysign(limit, amps)
        return Point(voltage_at(self.load, limited, max(abs(volts), REACH_V)), limited, at_limit=True)

    def _current_forced(self) -> Point:
        amps, limit = self.level["i"], self.limit["v"]
        if amps == self.load.current(0.0):
            return Point(0.0, amps, at_limit=False)
        volts = voltage_at(self.load, amps, limit)
        at_limit = limit - abs(volts) < 1e-6
        return Point(volts, self.load.current(volts) if at_limit else amps, at_limit=at_limit)


def outputs(
    loads: Mapping[str, Load], names: tuple[str, ...], seed: str | None, *, limit_v: float, limit_a: float
) -> dict[str, Output]:
    """Make the outputs of a machine, each at what hangs on it; noise only where there is a seed."""
    return {
        name: Output(
            loads.get(name, OPEN),
            {"v": limit_v, "i": limit_a},
            Random(f"{seed}:{name}") if seed is not None else None,
        )
        for name in names
    }
