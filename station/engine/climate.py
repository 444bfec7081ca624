"""The temperature of a lot: reached before the first contact, kept, and waited for when it was left."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from math import isnan

from drivers.errors import EquipmentError
from drivers.roles import Prober, Thermal
from station.engine.stops import Hold
from station.set_up import Temperature

LOOK_S = 2.0
"""A reading that is not older than this is not asked for again."""
POLL_S = 5.0
"""How often it is asked for while the lot waits."""


class Climate(ABC):
    """Whatever brings the devices of a lot to their temperature, and what is wanted of it."""

    def __init__(self, wanted: Temperature) -> None:
        self.wanted = wanted
        self._looked_at = float("-inf")

    @abstractmethod
    async def reach(self) -> float:
        """Heat or cool, wait for window and soak, and return the temperature; EquipmentError if it fails."""

    @abstractmethod
    async def celsius(self) -> float:
        """Ask for the temperature; EquipmentError if nothing works on it any more."""

    async def left(self) -> str:
        """Say how the temperature is outside of its window; empty while it is inside."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at < LOOK_S:
            return ""
        found = await self.celsius()
        if self._outside(found):
            return self._told(found)
        self._looked_at = now
        return ""

    async def back(self, wait: Callable[[float], Awaitable[None]]) -> float:
        """Wait until it has been inside for the soak time; Hold when that takes too long.

        `wait` sleeps, and raises if the lot must not wait any longer.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.wanted.back_s
        inside_since: float | None = None
        while True:
            found, now = await self.celsius(), loop.time()
            if self._outside(found):
                inside_since = None
                if now >= deadline:
                    raise Hold(f"{self._told(found)}, and not back within {self.wanted.back_s:g} s")
            else:
                inside_since = now if inside_since is None else inside_since
                if now - inside_since >= self.wanted.soak_s:
                    self._looked_at = now
                    return found
            await wait(POLL_S)

    def _outside(self, celsius: float) -> bool:
        return isnan(celsius) or abs(celsius - self.wanted.celsius) > self.wanted.window_k

    def _told(self, celsius: float) -> str:
        wanted = self.wanted
        return f"{celsius:g} °C, wanted are {wanted.celsius:g} °C within {wanted.window_k:g} K"


class StreamClimate(Climate):
    """A thermal controller at the sites."""

    def __init__(self, thermal: Thermal, wanted: Temperature) -> None:
        super().__init__(wanted)
        self._thermal = thermal

    async def reach(self) -> float:
        wanted = self.wanted
        await self._thermal.set(wanted.celsius, window_k=wanted.window_k, soak_s=wanted.soak_s)
        await self._thermal.start()
        return await self._thermal.reach(wanted.reach_s + wanted.soak_s)

    async def celsius(self) -> float:
        found = await self._thermal.status()
        if found.errors:
            raise EquipmentError(f"{self._thermal.name}: {'; '.join(found.errors)}")
        if not found.active:
            raise EquipmentError(f"{self._thermal.name} no longer works towards its temperature")
        return found.celsius


class ChuckClimate(Climate):
    """The chuck of a prober."""

    def __init__(self, prober: Prober, wanted: Temperature) -> None:
        super().__init__(wanted)
        self._prober = prober

    async def reach(self) -> float:
        try:
            async with asyncio.timeout(self.wanted.reach_s + self.wanted.soak_s):
                await self._prober.set_temperature(self.wanted.celsius, soak_s=self.wanted.soak_s)
        except TimeoutError:
            where = f"{self._prober.name}: {self.wanted.celsius:g} °C"
            raise EquipmentError(f"{where} not reached within {self.wanted.reach_s:g} s") from None
        return await self._prober.temperature()

    async def celsius(self) -> float:
        return await self._prober.temperature()
