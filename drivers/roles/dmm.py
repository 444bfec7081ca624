"""Digital multimeter: one pair of inputs."""

from abc import abstractmethod
from typing import Literal

from drivers.roles.resource import Resource

DmmFunction = Literal[
    "dc_voltage", "ac_voltage", "dc_current", "ac_current", "resistance", "four_wire_resistance"
]
TriggerSource = Literal["immediate", "external", "bus"]
"""What begins a reading: the request itself, a pulse at the machine's input, or a word of the station."""


class Dmm(Resource):
    """Measures volts, amps or ohms; in its safe state it waits for nothing, and is a voltmeter."""

    exclusive = frozenset({"configure", "trigger", "read"})

    @abstractmethod
    async def configure(
        self, function: DmmFunction, *, full_scale: float | None = None, nplc: float = 1.0
    ) -> None:
        """Choose function, range (volts, amps, ohms; None: automatic) and power-line cycles of a reading."""

    @abstractmethod
    async def trigger(self, source: TriggerSource, *, delay_s: float = 0.0) -> None:
        """Choose what begins the next readings, and how long after it they begin."""

    @abstractmethod
    async def read(self, count: int = 1, *, timeout_s: float = 10.0) -> tuple[float, ...]:
        """Take `count` readings; over range is ±inf. Silent if they have not ended after `timeout_s`."""

    async def measure(self) -> float:
        """Take one reading."""
        return (await self.read())[0]
