"""A device on a two-wire bus (I2C), as a memory or a sensor on the load board is."""

from abc import abstractmethod

from drivers.roles.resource import Resource


class I2c(Resource):
    """One device, at its address of seven bits."""

    @abstractmethod
    async def exchange(self, data: bytes, count: int = 0) -> bytes:
        """Send bytes, then read `count` of them, in one transaction; either may be none, not both.

        InstrumentError if the device does not take its address (code 0) or a byte (its number): what came
        before it may have had its effect, and nothing is said again.
        """

    @abstractmethod
    async def answers(self) -> bool:
        """Tell whether it takes its address; a memory that is busy with what was written does not."""
