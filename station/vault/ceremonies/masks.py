"""What a mask set needs from a ceremony beside keys: the hashes that its ROM holds."""

from hashlib import sha384

import msgspec
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.serialization import load_der_public_key

from station.vault.ceremonies.steps import Mask
from station.vault.keys import calls
from station.vault.keys.control import Control
from station.vault.keys.errors import PolicyError
from station.vault.keys.frames import wipe
from station.vault.names import RAW_TOKEN

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
