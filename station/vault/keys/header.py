"""The header of the file HBKS: what may be read without a key. `hbks` proves that it was not changed."""

import struct
from hashlib import sha256
from typing import NamedTuple

import msgspec

from station.vault.keys.errors import DamagedError
from station.vault.keys.shares import SealedShare
from station.vault.keys.words import Entry, Mode, PqPolicy, Signatory
from station.vault.secret import Secret

MAGIC, VERSION = b"HBKS", 1
SUITE = "Argon2id-64M-3p1/AES-256-GCM/SSS-11B"
STORE_ID, CHECK = 16, 8
PREFIX = struct.Struct(">4sBI")
HEADER_MAX = 16 << 20


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the keys are, if not in the file: a PKCS#11 module and one of its tokens."""

    module: str
    label: str
    pq: PqPolicy


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order that issuing keys sign for."""

    limit: int
    used: int = 0
    statement: bytes = b""
    """SHA-256 of what persons signed."""
    not_before: int = 0
    not_after: int = 0
    """Unix seconds; for production, signatures are given in between."""


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ledger of this store: its name, and the last head that was signed."""

    origin: str
    size: int = 0
    root: bytes = b""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything of a store that is not secret."""

    store: bytes
    suite: str
    mode: Mode
    threshold: int
    shares: tuple[SealedShare, ...]
    check: bytes
    """SHA-256("HBKS" then the key of the file), first 8 bytes."""
    generation: int = 0
    """Rises with each rewrite."""
    token: Token | None = None
    keys: tuple[Entry, ...] = ()
    orders: dict[str, Order] = {}
    ledger: Head | None = None
    ended: tuple[str, ...] = ()
    """Ledgers that came before it, whose heads are never signed again."""
    persons: tuple[Signatory, ...] = ()
    """Whose signatures under work orders are believed."""
    before: bytes = b""
    """The id of the store that this one was recovered from."""

    @property
    def backend(self) -> str:
        """`soft` or `pkcs11`."""
        return "soft" if self.token is None else "pkcs11"


class Parsed(NamedTuple):
    """A header, and where the records begin."""

    header: Header
    end: int


def check_of(kek: Secret) -> bytes:
    """What the header keeps of the file's key."""
    digest = sha256(MAGIC)
    digest.update(kek.reveal())
    return digest.digest()[:CHECK]


def parse(content: bytes | bytearray, name: str) -> Parsed:
    """Read the header of a file; DamagedError, one message whatever is wrong."""
    try:
        magic, version, length = PREFIX.unpack_from(content)
        end = PREFIX.size + length
        if (magic, version) != (MAGIC, VERSION) or end > len(content) or length > HEADER_MAX:
            raise DamagedError(damaged(name))
        header = msgspec.json.decode(content[PREFIX.size : end], type=Header)
    except (struct.error, msgspec.DecodeError, UnicodeDecodeError):
        raise DamagedError(damaged(name)) from None
    if header.suite != SUITE or len(header.store) != STORE_ID:
        raise DamagedError(damaged(name))
    return Parsed(header, end)


def damaged(name: str) -> str:
    """The one message about a file that is not what the store wrote."""
    return f"{name}: damaged, or not a key store of this version"
