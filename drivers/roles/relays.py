"""Relays: a matrix or a multiplexer between instruments and pins."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

from drivers.roles.resource import Resource
from drivers.uninterrupted import undone


class Relays(Resource):
    """Closes and opens paths, which it calls by the machine's names; each verb reads back what it did."""

    settle_s: float
    """How long contacts bounce: no verb returns before."""

    @asynccontextmanager
    async def closed(self, paths: Collection[str]) -> AsyncGenerator[None, None]:
        """Close the paths inside the block, and open them at its end, however it ends."""
        async with self.turn.taken():
            try:
                await self.close(paths)
                yield
            finally:
                await undone(self.open(paths), what=f"{self.name}: opening")

    @abstractmethod
    async def close(self, paths: Collection[str]) -> None:
        """Close the paths, the others stay; EquipmentError if one is not closed afterwards."""

    @abstractmethod
    async def open(self, paths: Collection[str]) -> None:
        """Open the paths, the others stay; EquipmentError if one is still closed afterwards."""

    @abstractmethod
    async def close_only(self, paths: Collection[str]) -> None:
        """Close the paths and open all others, as the machine's rule orders it; EquipmentError as above."""

    @abstractmethod
    async def state(self) -> frozenset[str]:
        """Return the paths that are closed."""

    async def health(self) -> str:
        """Tell which paths are closed."""
        return f"closed: {', '.join(sorted(await self.state())) or 'none'}"
