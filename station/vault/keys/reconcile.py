"""Whether the objects are what the register says, and protected as they must be."""

from collections.abc import Iterator

from station.vault.keys.backend import Backend
from station.vault.keys.errors import ModuleError
from station.vault.keys.register import Register
from station.vault.keys.words import Entry, KeyState

GENERATED = ("token", "sensitive", "never_extractable", "local")
IMPORTED = ("token", "sensitive")
"""A key that came from elsewhere was extractable there."""


def findings_of(register: Register, backend: Backend) -> Iterator[str]:
    """Yield every difference between the register and the objects."""
    found = [*backend.found()]
    for key in found:
        if key not in register:
            yield f"key {key} is not in the register"
        if found.count(key) > 1:
            yield f"key {key} is there more than once"
    for entry in register:
        if entry.state is KeyState.DESTROYED:
            continue
        if entry.id not in found:
            yield f"key {entry.id} is missing"
        else:
            yield from _differences(entry, backend)


def _differences(entry: Entry, backend: Backend) -> Iterator[str]:
    try:
        if backend.public(entry.id) != entry.public:
            yield f"key {entry.id} is another one than the register's"
        yield from weaknesses(entry, backend)
    except ModuleError as error:
        yield str(error)


def weaknesses(entry: Entry, backend: Backend) -> Iterator[str]:
    """Yield what does not protect a key of a module: attributes, and exports that were not refused."""
    if entry.where != "token":
        return
    attributes = backend.attest(entry.id)
    wanted = GENERATED if entry.origin == "generated" else IMPORTED
    for name in wanted:
        if not attributes.get(name, False):
            yield f"key {entry.id} is not {name}"
    yield from backend.exportable(entry)
