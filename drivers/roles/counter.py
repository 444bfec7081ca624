"""Frequency counter and timer: inputs that share one measurement."""

from abc import abstractmethod
from typing import Literal

from drivers.roles.resource import Resource


class Counter(Resource):
    """Measures frequencies and times; in its safe state it waits for no edge."""

    exclusive = frozenset({"set_input", "frequency", "interval"})

    @abstractmethod
    async def set_input(
        self,
        channel: int,
        *,
        level_v: float,
        slope: Literal["rising", "falling"] = "rising",
        coupling: Literal["dc", "ac"] = "dc",
        impedance: Literal["50_ohm", "1_megohm"] = "1_megohm",
    ) -> None:
        """Choose what an edge of a channel is, and what the channel is to its source."""

    @abstractmethod
    async def frequency(
        self, channel: int = 1, *, count: int = 1, gate_s: float = 0.1, timeout_s: float = 10.0
    ) -> tuple[float, ...]:
        """Measure so many frequencies in hertz; Silent if no edges come in time."""

    @abstractmethod
    async def interval(
        self, start: int = 1, stop: int = 2, *, count: int = 1, timeout_s: float = 10.0
    ) -> tuple[float, ...]:
        """Measure so many times in seconds from an edge of one channel to an edge of another."""
