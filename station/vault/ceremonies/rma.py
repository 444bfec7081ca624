"""Keys that open returned units: the public half goes to vaults, the private half opens a box at a time."""

from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, mlkem

from station.vault.ceremonies import bundle
from station.vault.ceremonies.steps import OpenBox
from station.vault.desk.documents import RmaBox
from station.vault.desk.statement import StatementError
from station.vault.keys import calls
from station.vault.keys.control import Control
from station.vault.keys.errors import PolicyError, RequestError
from station.vault.keys.words import SealedKey

MLKEM1024 = 1568
BOX = b"HBX1\x01\x00\x01"
"""Magic, version, suite."""
KEY_ID = 8


def box_head(key: str) -> bytes:
    """How a box begins that is sealed to a key: magic, version, suite, and the key's id."""
    return BOX + sha256(key.encode()).digest()[:KEY_ID]


def public_of(path: Path) -> bytes:
    """The public half of an RMA key: ML-KEM-1024, then a point of P-384; RequestError if it is none."""
    content = _read(path)
    try:
        return _checked(content)
    except ValueError:
        raise RequestError(f"{path}: not a public RMA key, ML-KEM-1024 and then P-384") from None


def published(store: Control, key: str) -> bytes:
    """The public half of a key of the store."""
    try:
        return _checked(store.ask(calls.Public(key), bytes))
    except ValueError:
        raise PolicyError(f"key {key}: no RMA key") from None


def opened(store: Control, step: OpenBox, folder: Path) -> tuple[str, bytes]:
    """A unit, and its token sealed to the store of its vault."""
    try:
        given = msgspec.json.decode(_read(folder / step.box), type=RmaBox)
        vault = bundle.read(_read(folder / step.bundle))
    except (msgspec.DecodeError, UnicodeDecodeError, StatementError) as error:
        raise RequestError(f"{step.box}, {step.bundle}: not a box and a bundle: {error}") from error
    found = [one.public for one in vault.keys if one.profile.id == step.kem]
    if not found:
        raise RequestError(f"{step.bundle}: the vault has no key {step.kem}")
    head = box_head(step.key)
    if not given.box.startswith(head):
        raise PolicyError(f"{step.box}: not a box for {step.key}")
    uid = bytes.fromhex(given.uid)
    call = calls.Reseal(step.key, uid, given.box[len(head) :], vault.store, step.kem, found[0])
    return given.unit, msgspec.json.encode(store.ask(call, SealedKey))


def _checked(content: bytes) -> bytes:
    mlkem.MLKEM1024PublicKey.from_public_bytes(content[:MLKEM1024])
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), content[MLKEM1024:])
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from error
