"""Whether the right machine answers at a port."""

import re

from drivers.errors import EquipmentError
from drivers.roles import Identity


def checked(fields: tuple[str, str, str, str], *, models: str, name: str, port: str) -> Identity:
    """Return the identity whose model matches the pattern `models`; EquipmentError for any other machine."""
    found = Identity(*fields)
    if not re.search(models, found.model):
        raise EquipmentError(
            f"{name} at {port} answers as {found.maker} {found.model}, which is another model"
        )
    return found
