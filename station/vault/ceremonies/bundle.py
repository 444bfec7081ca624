"""What a ceremony leaves to import: its result as a statement, signed by the persons who were there."""

from collections.abc import Iterable, Mapping
from typing import Literal

from station.vault.ceremonies.attributes import Dumped
from station.vault.ceremonies.persons import Attendant
from station.vault.desk import statement
from station.vault.desk.statement import ED25519, Statement, StatementError

FILE = "bundle.json"


class Content(Statement, frozen=True, kw_only=True):
    """What is signed."""

    typ: Literal["hardbin.ceremony.v1"] = "hardbin.ceremony.v1"
    ceremony: str
    plan: str
    """SHA-256 of the plan's file."""
    transcript: str
    """The transcript's hash before its last line, which names this bundle."""
    store: str
    """The store's id in hex; empty if no store was touched."""
    keys: tuple[Dumped, ...]
    files: dict[str, str] = {}
    """SHA-256 of each file beside it that belongs to it."""
    revoked: str = ""
    """The id of the store that must not be used any more."""


class _Signer:
    """An attendant, as statements know signers."""

    algorithm = ED25519

    def __init__(self, attendant: Attendant) -> None:
        self.kid, self._attendant = attendant.name, attendant

    def sign(self, payload: bytes) -> bytes:
        return self._attendant.state(payload)


def sealed(content: Content, attendants: Iterable[Attendant]) -> bytes:
    """Sign a bundle by all who are there."""
    return statement.signed(content, [_Signer(one) for one in attendants])


def opened(envelope: bytes, persons: Mapping[str, bytes]) -> Content:
    """Read a bundle that every one of these persons has signed; StatementError says what is wrong."""
    keys = {name: {ED25519: public} for name, public in persons.items()}
    found = statement.opened(envelope)
    content = found.read(Content)
    if sorted(found.signed_by(keys.get)) != sorted(persons):
        raise StatementError("unsigned", f"it must be signed by {', '.join(sorted(persons))}")
    return content


def read(envelope: bytes) -> Content:
    """What a bundle says; nothing of it is believed yet. StatementError if it is none."""
    return statement.opened(envelope).read(Content)
