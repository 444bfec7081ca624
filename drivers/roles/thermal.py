"""Thermal controller: brings devices to a temperature and tells when they are there."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from drivers.errors import EquipmentError
from drivers.roles.resource import Resource
from drivers.roles.turn import progress
from drivers.uninterrupted import undone

POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class ThermalStatus:
    """What a controller says at one moment."""

    celsius: float
    """NaN where its sensor gives nothing."""
    at_temperature: bool
    """Within the window, and so for as long as the soak."""
    active: bool
    """Whether it works towards its target."""
    errors: tuple[str, ...] = ()


class Thermal(Resource):
    """Air stream or chuck. In its safe state it neither heats nor cools."""

    @asynccontextmanager
    async def flowing(self) -> AsyncGenerator[None, None]:
        """At work inside the block, at rest at its end, however it ends."""
        async with self.turn.taken():
            try:
                await self.start()
                yield
            finally:
                await undone(self.stop(), what=f"{self.name}: stopping")

    async def reach(self, timeout_s: float) -> float:
        """Wait until it is at temperature and return that; EquipmentError for an error, or past the time.

        No device may be judged before.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not (found := await self.status()).at_temperature:
            if found.errors:
                raise EquipmentError(f"{self.name}: {'; '.join(found.errors)}")
            if not found.active:
                raise EquipmentError(f"{self.name} no longer works towards its temperature")
            if loop.time() >= deadline:
                raise EquipmentError(
                    f"{self.name}: {found.celsius:g} °C, and not at temperature after {timeout_s:g} s"
                )
            progress()
            await asyncio.sleep(POLL_S)
        return found.celsius

    @abstractmethod
    async def set(self, celsius: float, *, window_k: float = 1.0, soak_s: float = 0.0) -> None:
        """Choose the target, how near is near enough, and for how long it must be so."""

    @abstractmethod
    async def status(self) -> ThermalStatus:
        """Ask where it is, and what is wrong."""

    @abstractmethod
    async def start(self) -> None:
        """Begin to work towards the target, and read back that it does."""

    @abstractmethod
    async def stop(self) -> None:
        """Come to rest, and read back that it did."""

    async def health(self) -> str:
        """Tell the temperature; EquipmentError names the errors of the controller."""
        found = await self.status()
        if found.errors:
            raise EquipmentError(f"{self.name}: {'; '.join(found.errors)}")
        return f"{found.celsius:g} °C, {'at work' if found.active else 'at rest'}"
