"""What a mask set and a product need from a ceremony beside keys: hashes for the ROM, the public RMA key."""

from hashlib import sha384
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, mlkem
from cryptography.hazmat.primitives.serialization import load_der_public_key

from station.vault.ceremonies.steps import Mask
from station.vault.keys import calls
from station.vault.keys.control import Control
from station.vault.keys.errors import PolicyError, RequestError
from station.vault.keys.frames import wipe
from station.vault.names import RAW_TOKEN

MLKEM1024 = 1568
TOKEN_BITS = 256


def hashes(store: Control, step: Mask) -> bytes:
    """The SHA-384 of the plant's key and of the raw token, for the ROM; PolicyError if a key is not there."""
    public = load_der_public_key(store.ask(calls.Public(step.kem), bytes))
    if not isinstance(public, mlkem.MLKEM768PublicKey):
        raise PolicyError(f"key {step.kem}: dies encapsulate to ML-KEM-768 only")
    token = store.ask(calls.Derive(step.raw, (RAW_TOKEN,), step.number.to_bytes(2), TOKEN_BITS), bytearray)
    found = {
        "product_number": step.number,
        "plant_key_sha384": sha384(public.public_bytes_raw()).hexdigest(),
        "raw_token_sha384": sha384(token).hexdigest(),
    }
    wipe(token)
    return msgspec.json.format(msgspec.json.encode(found, order="sorted"), indent=2) + b"\n"


def rma_public(path: Path) -> bytes:
    """The public half of an RMA key: ML-KEM-1024, then a point of P-384; RequestError if it is none."""
    try:
        content = path.read_bytes()
        mlkem.MLKEM1024PublicKey.from_public_bytes(content[:MLKEM1024])
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), content[MLKEM1024:])
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from error
    except ValueError:
        raise RequestError(f"{path}: not a public RMA key, ML-KEM-1024 and then P-384") from None
    return content
