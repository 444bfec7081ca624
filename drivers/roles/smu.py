"""Source-measure unit: one channel."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from drivers.roles.resource import Resource
from drivers.roles.turn import Waiting, waiting
from drivers.uninterrupted import undone


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a source-measure unit, and whether it may be believed."""

    value: float
    """Amps or volts; ±inf is over range, NaN no reading."""
    at_limit: bool
    """Whether the limit held the output: then `value` tells the limit, not the device."""


class Smu(Resource):
    """Forces a voltage or a current and measures the other.

    A model implements the primitives, each one hop. The blocks are the same for all, so that no model can
    leave its output on, and sites that share a channel take turns.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._latest: tuple[Reading, ...] = ()
        self._of_sites = WeakKeyDictionary[Waiting, tuple[Reading, ...]]()

    def readings(self) -> tuple[Reading, ...]:
        """Return what the last `measure`, `sweep` or `burst` has read, in order.

        In the task of a site that shares the unit: what was read last for this site.
        """
        site = waiting.get()
        return self._of_sites.get(site, ()) if self.turn.shared and site is not None else self._latest

    def in_compliance(self) -> bool:
        """Tell whether the last of these readings was taken at the limit."""
        return any(reading.at_limit for reading in self.readings()[-1:])

    def _keep(self, readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
        """Take down what was read, for the site whose task has asked for it."""
        self._latest = readings
        if self.turn.shared and (site := waiting.get()) is not None:
            self._of_sites[site] = readings
        return readings

    @asynccontextmanager
    async def forcing_voltage(self, volts: float, *, limit_a: float) -> AsyncGenerator[None, None]:
        """Output on inside the block, off at its end, however it ends."""
        async with self.turn.taken():
            try:
                await self.force_voltage(volts, limit_a=limit_a)
                yield
            finally:
                await undone(self.switch_off(), what=f"{self.name}: switching off")

    @asynccontextmanager
    async def forcing_current(self, amps: float, *, limit_v: float) -> AsyncGenerator[None, None]:
        """Output on inside the block, off at its end, however it ends."""
        async with self.turn.taken():
            try:
                await self.force_current(amps, limit_v=limit_v)
                yield
            finally:
                await undone(self.switch_off(), what=f"{self.name}: switching off")

    @abstractmethod
    async def force_voltage(self, volts: float, *, limit_a: float) -> None:
        """Force `volts` with current limited to `limit_a`, measuring current; the output is on afterwards."""

    @abstractmethod
    async def force_current(self, amps: float, *, limit_v: float) -> None:
        """Force `amps` with voltage limited to `limit_v`, measuring voltage; the output is on afterwards."""

    @abstractmethod
    async def switch_off(self) -> None:
        """Disconnect the output and read back that it is off."""

    @abstractmethod
    async def measure(self) -> float:
        """Return volts when forcing current, amps when forcing voltage; over range is ±inf."""

    @abstractmethod
    async def sweep(self, levels: Sequence[float], *, triggered: bool = False) -> tuple[Reading, ...]:
        """Have the machine force each level of what is forced, one reading at each; the last level stays.

        Triggered: each step waits for an edge at the trigger line that the station file names. Silent if one
        does not come; the sweep is given up then.
        """

    @abstractmethod
    async def sweep_linear(
        self, start: float, stop: float, points: int, *, triggered: bool = False
    ) -> tuple[Reading, ...]:
        """Sweep from `start` to `stop`, volts or amps, both of them among the `points`."""

    @abstractmethod
    async def burst(self, count: int) -> tuple[Reading, ...]:
        """Take `count` readings into the machine's buffer, as fast as it can, and fetch them together."""
