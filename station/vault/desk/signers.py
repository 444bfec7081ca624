"""Persons' signing keys outside the vault: a key in a sealed file, and the public ones of development."""

import os
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from station.errors import ConfigError
from station.vault.desk.documents import PersonCard
from station.vault.desk.roles import Role
from station.vault.desk.statement import ED25519, ML_DSA_65, signed
from station.vault.keys.errors import PassphraseError
from station.vault.keys.sealing import Box, seal, unseal
from station.vault.secret import Secret

LABEL = b"hardbin-person"
POST_QUANTUM, SEED = b"hardbin-person-ml-dsa-65-v1", 32
DEVELOPMENT = MappingProxyType(
    {
        "p-00000001": frozenset({Role.ENGINEER}),
        "p-00000002": frozenset({Role.OFFICER}),
        "p-00000003": frozenset({Role.OFFICER}),
        "p-00000004": frozenset({Role.OPERATOR}),
        "p-00000005": frozenset({Role.TECHNICIAN}),
        "p-00000006": frozenset({Role.AUDITOR}),
    }
)
"""The persons of every development vault. Their keys are public: they stand for nobody."""


class PersonSigner:
    """A person who signs."""

    algorithm = ED25519

    def __init__(self, person: str, seed: Secret) -> None:
        self.kid, self._seed = person, seed

    def sign(self, payload: bytes) -> bytes:
        """Sign the exact bytes with Ed25519."""
        return self._key().sign(payload)

    def public(self) -> bytes:
        """The public key, raw."""
        return self._key().public_key().public_bytes_raw()

    def both(self) -> "tuple[PersonSigner, PostQuantumSigner]":
        """Return the person with each of his two keys, as a release needs them."""
        return self, PostQuantumSigner(self.kid, self._seed)

    def card(self) -> bytes:
        """Return the person's public key as a statement signed with it."""
        return signed(PersonCard(person=self.kid, ed25519=self.public().hex()), [self])

    def _key(self) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(self._seed.reveal()))


class PostQuantumSigner:
    """The same person with the ML-DSA-65 key that is derived from his seed."""

    algorithm = ML_DSA_65

    def __init__(self, person: str, seed: Secret) -> None:
        self.kid = person
        derived = HKDF(SHA384(), SEED, None, POST_QUANTUM).derive(bytes(seed.reveal()))
        self._key = mldsa.MLDSA65PrivateKey.from_seed_bytes(derived)

    def sign(self, payload: bytes) -> bytes:
        """Sign the exact bytes with ML-DSA-65, empty context."""
        return self._key.sign(payload)

    def public(self) -> bytes:
        """The public key, raw."""
        return self._key.public_key().public_bytes_raw()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    person: str
    box: Box


def development(person: str) -> PersonSigner:
    """A person of a development vault; anybody can sign for him."""
    if person not in DEVELOPMENT:
        raise ConfigError(f"{person} is no development person; those are {', '.join(DEVELOPMENT)}")
    return PersonSigner(person, Secret(sha256(f"hardbin development person {person}".encode()).digest()))


def create(path: Path, passphrase: bytearray) -> PersonSigner:
    """Make a new person's key in a new file, sealed under a passphrase; ConfigError if the file is there."""
    person = f"p-{os.urandom(4).hex()}"
    seed = Secret(os.urandom(32))
    box = seal(seed, passphrase, LABEL + person.encode())
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} is there already; a key is never overwritten") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    with os.fdopen(file, "wb") as out:
        out.write(msgspec.json.encode(_File(1, person, box)))
        out.flush()
        os.fsync(out.fileno())
    return PersonSigner(person, seed)


def open_file(path: Path, passphrase: bytearray) -> PersonSigner:
    """Open a person's file; ConfigError if it is none, PassphraseError if that does not open it."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a person's key: {error}") from None
    try:
        seed = unseal(file.box, passphrase, LABEL + file.person.encode())
    except PassphraseError:
        raise PassphraseError(f"this passphrase does not open {path}") from None
    return PersonSigner(file.person, seed)
