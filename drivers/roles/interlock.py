"""Interlocks: closed while it is safe to go on."""

import logging
from abc import abstractmethod

from drivers.errors import EquipmentError
from drivers.roles.resource import Resource

log = logging.getLogger(__name__)


class Interlock(Resource):
    """One chain of contacts, or several that must all be closed."""

    @abstractmethod
    async def open_contacts(self) -> tuple[str, ...]:
        """Return the names of the contacts that are open; EquipmentError if they cannot be read."""

    async def closed(self) -> bool:
        """Tell whether it is safe to go on; an interlock that cannot be read is open."""
        try:
            opened = await self.open_contacts()
        except EquipmentError as error:
            log.error("%s: cannot be read, so it counts as open: %s", self.name, error)
            return False
        if opened:
            log.warning("%s: open: %s", self.name, ", ".join(opened))
        return not opened
