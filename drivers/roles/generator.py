"""Waveform generator: one output."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from drivers.roles.resource import Resource
from drivers.uninterrupted import undone

Shape = Literal["sine", "square", "ramp", "pulse"]


class Generator(Resource):
    """Makes a waveform; it comes out inside a block only."""

    exclusive = frozenset({"waveform", "arbitrary", "burst", "trigger"})

    @asynccontextmanager
    async def driving(self) -> AsyncGenerator[None, None]:
        """Output on inside the block, off at its end, however it ends."""
        async with self.turn.taken():
            try:
                await self.switch_on()
                yield
            finally:
                await undone(self.switch_off(), what=f"{self.name}: switching off")

    @abstractmethod
    async def waveform(
        self,
        shape: Shape,
        *,
        frequency_hz: float,
        amplitude_vpp: float,
        offset_v: float = 0.0,
        duty: float | None = None,
    ) -> None:
        """Choose a shape, volts from peak to peak, and how much of a period is on top, if not half."""

    @abstractmethod
    async def arbitrary(
        self, samples: Sequence[float], *, rate_hz: float, amplitude_vpp: float, offset_v: float = 0.0
    ) -> None:
        """Play samples between -1 and 1, so many a second; `amplitude_vpp` is from -1 to 1."""

    @abstractmethod
    async def burst(self, cycles: int | None) -> None:
        """Have each trigger make so many periods; None: the waveform goes on by itself."""

    @abstractmethod
    async def trigger(self) -> None:
        """Begin a burst now."""

    @abstractmethod
    async def switch_on(self) -> None:
        """Connect the output."""

    @abstractmethod
    async def switch_off(self) -> None:
        """Disconnect the output and read back that it is off."""
