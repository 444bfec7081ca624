"""Signing keys as seeds in a file: for witnesses, and for ledgers in development."""

import os
import stat
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from msgspec import Meta, Struct

from station.custody import durable_file
from station.custody.checkpoint import checked_origin
from station.custody.log_keys import Key, Kind, Signer
from station.errors import ConfigError, LedgerError

Seed = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class SeedFile(Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """The seeds of one name; hexadecimal. Not compared, nor pickled."""

    format: int
    name: str
    ed25519: Seed
    mldsa44: Seed

    def __repr__(self) -> str:
        return f"SeedFile({self.name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("seeds are not pickled")

    def signer(self, kind: Kind) -> Signer:
        """Return the signer of one kind."""
        match kind:
            case Kind.ED25519:
                ed25519 = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.ed25519))
                public = ed25519.public_key().public_bytes_raw()
                return Signer(Key(self.name, kind, public), ed25519.sign)
            case Kind.MLDSA44:
                mldsa44 = MLDSA44PrivateKey.from_seed_bytes(bytes.fromhex(self.mldsa44))
                public = mldsa44.public_key().public_bytes_raw()
                return Signer(Key(self.name, kind, public), mldsa44.sign)

    def signers(self) -> tuple[Signer, ...]:
        """Return both signers, as a log uses them."""
        return tuple(self.signer(kind) for kind in Kind)


def create(path: Path, name: str) -> SeedFile:
    """Draw new seeds into a file that only its owner can read; ConfigError if it is there already."""
    seeds = SeedFile(1, checked_origin(name), os.urandom(32).hex(), os.urandom(32).hex())
    try:
        durable_file.create(path, msgspec.json.encode(seeds) + b"\n")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    return seeds


def had(path: Path, name: str) -> SeedFile:
    """Read a file of seeds, or draw it where there is none; another process may be quicker."""
    try:
        return read(path) if path.exists() else create(path, name)
    except ConfigError as error:
        if isinstance(error.__cause__, FileExistsError):
            return read(path)
        raise


def read(path: Path) -> SeedFile:
    """Read a file of seeds; ConfigError if it is none, or others than its owner can read it."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path}: others can read it; its mode must be 0600")
        seeds = msgspec.json.decode(path.read_bytes(), type=SeedFile)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a file of seeds: {error}") from None
    if seeds.format != 1:
        raise ConfigError(f"{path}: format {seeds.format}; this version reads format 1")
    try:
        checked_origin(seeds.name)
    except LedgerError as error:
        raise ConfigError(f"{path}: {error}") from error
    return seeds
