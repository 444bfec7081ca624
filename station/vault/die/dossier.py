"""What the journal keeps of one unit, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from station.vault.die.recovery import Intent, Standing


@dataclass(frozen=True)
class Unit:
    """One unit as the journal has it."""

    unit: str
    uid: bytes
    standing: Standing
    intent: Intent
    account: str
    contacts: int


@dataclass(frozen=True)
class PublicKey:
    """A device's public key as the registry keeps it."""

    slot: int
    algorithm: int
    spki_hash: bytes


@dataclass(frozen=True)
class Certificate:
    """A certificate, or the reserved place of one that is not yet signed (`der` empty)."""

    issuer: bytes
    serial: bytes
    slot: int
    spki_hash: bytes
    not_before: int
    der: bytes = b""


@dataclass(frozen=True)
class Screened:
    """What is born in the vault for a die that has been screened."""

    uid: bytes
    identity: bytes
    rma_hash: bytes
    rma_box: bytes
    challenge: bytes
    """What the die drew for the session: random, so no other die has drawn it."""


@dataclass(frozen=True)
class Record:
    """The signed record of a sealed device."""

    serial: str
    body: bytes
    hash: bytes
    """SHA-384 of the body."""
    jws: bytes
    leaf: int = -1
    """Index of the ledger's leaf that tells of it; -1: not yet told."""


@dataclass(frozen=True)
class Dossier:
    """All of a unit that a session goes on from, read in one piece."""

    unit: Unit
    identity: bytes = b""
    """The IDENTITY object that was born for it; empty if there is none."""
    keys: frozenset[bytes] = frozenset()
    """SHA-256 of each SubjectPublicKeyInfo that it holds."""
    certificates: tuple[Certificate, ...] = ()
    """Certificates and reserved places, by slot."""
    proofs: Mapping[str, str] = field(default_factory=dict[str, str])
    """What its steps have proven, the last word of each."""
