"""Oscilloscope: channels that share one time base and one trigger."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from drivers.roles.resource import Resource


@dataclass(frozen=True, slots=True)
class Waveform:
    """One record of one channel."""

    start_s: float
    """When the first sample was taken, the trigger being 0."""
    step_s: float
    volts: tuple[float, ...]
    """±inf is clipped, NaN a sample that was not taken."""

    @property
    def clipped(self) -> bool:
        """Whether the signal left the screen, so that no level of it may be believed."""
        return any(abs(volts) == float("inf") for volts in self.volts)


class Scope(Resource):
    """Records waveforms; in its safe state it waits for no trigger."""

    exclusive = frozenset(
        {"set_channel", "set_time", "set_trigger", "arm_single", "wait_trigger", "waveform"}
    )

    @abstractmethod
    async def set_channel(
        self,
        channel: int,
        *,
        full_scale_v: float,
        offset_v: float = 0.0,
        coupling: Literal["dc", "ac"] = "dc",
        probe: float = 1.0,
    ) -> None:
        """Show a channel: volts from edge to edge of the screen, volts at its middle, ratio of the probe."""

    @abstractmethod
    async def set_time(self, record_s: float, *, position_s: float = 0.0) -> None:
        """Choose how long a record is, and how long after the trigger its middle comes."""

    @abstractmethod
    async def set_trigger(
        self, channel: int, *, level_v: float, slope: Literal["rising", "falling"] = "rising"
    ) -> None:
        """Trigger when a channel passes a level."""

    @abstractmethod
    async def arm_single(self) -> None:
        """Wait for one trigger from now on; the verb returns at once."""

    @abstractmethod
    async def wait_trigger(self, timeout_s: float) -> None:
        """Return when the record that was armed is there; Silent if no trigger comes in time."""

    @abstractmethod
    async def waveform(self, channel: int) -> Waveform:
        """Fetch the record of a channel."""
