"""What a ceremony leaves to import: its result as a statement, signed by the persons who were there."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from station.vault.ceremonies.attributes import Dumped
from station.vault.ceremonies.persons import ALGORITHM, Attendant

FILE = "bundle.json"
TYPE = "hardbin.ceremony.v1"


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is signed."""

    typ: str = TYPE
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


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature of an envelope."""

    kid: str
    alg: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement: the payload's exact bytes are what is signed."""

    payload: str
    signatures: tuple[Signature, ...]


def sealed(content: Content, attendants: list[Attendant]) -> bytes:
    """Sign a bundle by all who are there."""
    payload = msgspec.json.encode(content, order="sorted")
    signatures = tuple(Signature(one.name, ALGORITHM, _text(one.state(payload))) for one in attendants)
    return msgspec.json.encode(Envelope(_text(payload), signatures))


def opened(envelope: bytes, persons: dict[str, bytes]) -> Content:
    """Read a bundle that every one of these persons has signed; ValueError says what is wrong."""
    content = read(envelope)
    found = msgspec.json.decode(envelope, type=Envelope)
    payload = _bytes(found.payload)
    if sorted(one.kid for one in found.signatures) != sorted(persons):
        raise ValueError(f"it must be signed by {', '.join(sorted(persons))}, each once")
    for one in found.signatures:
        if one.alg != ALGORITHM or not _verified(persons[one.kid], one.sig, payload):
            raise ValueError(f"the signature of {one.kid} does not verify")
    return content


def read(envelope: bytes) -> Content:
    """What a bundle says; nothing of it is believed yet. ValueError if it is none."""
    try:
        found = msgspec.json.decode(envelope, type=Envelope)
        content = msgspec.json.decode(_bytes(found.payload), type=Content)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ValueError("no bundle of a ceremony") from error
    if content.typ != TYPE:
        raise ValueError(f"a statement {content.typ[:64]!r}, not {TYPE!r}")
    return content


def _verified(public: bytes, signature: str, payload: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(_bytes(signature), payload)
    except (InvalidSignature, ValueError):
        return False
    return True


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
