"""What proves one device: its signed record, its certificates, and its leaf in the ledger."""

from hashlib import sha384
from typing import Literal

from msgspec import Struct

from station.evidence.jws import Jws

MANIFEST = "manifest.jsonl"
RECORD_TYPE = "hardbin-device+jws"


class Leaf(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The leaf `die.sealed` of a device."""

    index: int
    entry: str
    """The ledger's entry as it is: without it a device could not be proven alone."""
    proof: tuple[str, ...]
    """Hashes from the leaf's sibling up, in base64, to the root of the log's checkpoint."""
    origin: str = ""
    """The log that has it, if that has ended; else it is the one of `checkpoint.txt`."""


class DeviceLine(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the manifest."""

    jws: Jws
    certs: tuple[str, ...]
    """By slot, DER in base64."""
    log: Leaf


class DeviceFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A line that was taken out of a bundle, with all that is needed to check it alone."""

    v: Literal[1]
    device: DeviceLine
    authorities: tuple[str, ...]
    """Certificates of the issuing authorities, DER in base64."""
    profile: str
    """The product's profile as it is; its hash is in the record."""
    checkpoint: str


class RecordedKey(Struct, frozen=True):
    """A key in a device's record."""

    slot: int
    alg: str
    spki_sha256: str


class RecordedCertificate(Struct, frozen=True):
    """A certificate in a device's record."""

    slot: int
    issuer: str
    serial: str
    sha256: str


class Record(Struct, frozen=True):
    """What a check reads of a device's record; hexadecimal."""

    v: Literal[1]
    unit: str
    uid: str
    serial: str
    product: str
    order: str
    lot: str
    mode: str
    life_cycle: str
    profile: str
    fingerprint: str
    station: str
    secured_at: str
    keys: tuple[RecordedKey, ...]
    certs: tuple[RecordedCertificate, ...]


class SealedData(Struct, frozen=True):
    """`data` of a leaf `die.sealed`."""

    record: str
    """SHA-384 of the record's bytes."""
    serial: str


def record_hash(payload: bytes) -> str:
    """Return what stands for a record in the ledger."""
    return sha384(payload).hexdigest()
