"""What must be unique in a plant, and what its registry says of it, as data."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What must be unique in a plant. A claim's value is a SHA-256 of it."""

    UID = "uid"
    SERIAL = "serial"
    """A device's serial number."""
    SPKI = "spki"
    """A device's public key, as SubjectPublicKeyInfo."""
    CERTIFICATE = "certificate"
    """Issuer and serial number of a certificate."""


@dataclass(frozen=True, order=True)
class Claim:
    """One value, for one unit."""

    kind: Kind
    value: bytes
    unit: str


@dataclass(frozen=True)
class Member:
    """A vault as the registry knows it."""

    name: str
    mark: bytes
    """Drawn once for the vault's journal."""


@dataclass(frozen=True)
class Holder:
    """Who has what somebody else wanted."""

    vault: str
    unit: str


@dataclass(frozen=True)
class Alarm:
    """Somebody else came with what a unit of this vault holds."""

    id: int
    claim: Claim
    other: Holder


@dataclass(frozen=True)
class Answer:
    """What became of claims: those that another one holds, and what this vault has not yet been told."""

    lost: tuple[tuple[Claim, Holder], ...] = ()
    alarms: tuple[Alarm, ...] = ()
