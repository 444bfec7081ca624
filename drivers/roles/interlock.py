"""Interlocks: closed while it is safe to go on."""

from abc import abstractmethod

from drivers.errors import EquipmentError
from drivers.roles.resource import Resource


class Interlock(Resource):
    """One chain of contacts, or several that must all be closed."""

    contacts: tuple[str, ...] = ()
    """The names of all that must be closed; empty: nothing here is an interlock."""

    @abstractmethod
    async def open_contacts(self) -> tuple[str, ...]:
        """Return the names of the contacts that are open; EquipmentError if they cannot be read."""

    async def why_open(self) -> str:
        """Say why it is not safe to go on, empty if it is; an interlock that cannot be read is open."""
        try:
            opened = await self.open_contacts()
        except Exception as error:  # noqa: BLE001 - whatever a driver does, nobody knows that it is closed
            why = str(error) or type(error).__name__
            return f"{self.name} cannot be read, so it counts as open: {why}"
        return f"{self.name} is open: {', '.join(opened)}" if opened else ""

    async def health(self) -> str:
        """Tell that all contacts are closed; EquipmentError names those that are not."""
        if why := await self.why_open():
            raise EquipmentError(why)
        return "closed"

    async def closed(self) -> bool:
        """Tell whether it is safe to go on."""
        return not await self.why_open()
