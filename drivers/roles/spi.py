"""A device on a synchronous serial bus (SPI), as a register or memory on the load board has it."""

from abc import abstractmethod

from drivers.roles.resource import Resource


class Spi(Resource):
    """One device, with a select line of its own."""

    @abstractmethod
    async def exchange(self, data: bytes) -> bytes:
        """Select it, send bytes, highest bit first, and return as many that came meanwhile; deselect it.

        Said once: a device may do what it is told when it is deselected.
        """
