"""Power supply: one channel."""

from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from drivers.errors import EquipmentError
from drivers.roles.resource import Resource
from drivers.uninterrupted import undone


class Supply(Resource):
    """Feeds one supply pin of a device."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.on = False
        """Whether it was switched on and not off again; a protection may have switched it off since."""
        self.times_on = 0
        """How often it was switched on; each time it forgets a trip."""

    @asynccontextmanager
    async def powering(self, volts: float, *, limit_a: float, ovp_v: float) -> AsyncGenerator[None, None]:
        """Output on inside the block, off at its end, however it ends; trips above `limit_a` or `ovp_v`."""
        async with self.turn.taken():
            try:
                await self.switch_on(volts, limit_a=limit_a, ovp_v=ovp_v)
                yield
            finally:
                await undone(self.switch_off(), what=f"{self.name}: switching off")

    @abstractmethod
    async def switch_on(self, volts: float, *, limit_a: float, ovp_v: float) -> None:
        """Set level, current limit and both protections, then switch on."""

    @abstractmethod
    async def switch_off(self) -> None:
        """Switch off and read back that it is off."""

    @abstractmethod
    async def measure_current(self) -> float:
        """Return amps delivered."""

    @abstractmethod
    async def measure_voltage(self) -> float:
        """Return volts at the output."""

    @abstractmethod
    async def tripped(self) -> str | None:
        """Return which protection has switched the output off, None if none has."""

    @abstractmethod
    async def clear_protection(self) -> None:
        """Forget a trip; the output stays off."""

    async def health(self) -> str:
        """Tell that no protection has tripped; EquipmentError says which one has."""
        if tripped := await self.tripped():
            raise EquipmentError(f"{self.name}: {tripped}")
        return "not tripped"
