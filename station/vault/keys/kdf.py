"""Deriving and proving with AES-CMAC, whoever holds the key."""

from collections.abc import Callable

from station.vault.keys.errors import RequestError
from station.vault.keys.words import PROOF
from station.vault.secret import Secret

LABEL = 12
BLOCK = 128
BITS = (128, 192, 256)
PROOF_NONCE = range(16, 65)

Mac = Callable[[bytes], bytes]


def derive(mac: Mac, label: bytes, context: bytes, bits: int) -> Secret:
    """SP 800-108 counter mode in SCP03's order: label (12 bytes), 00, bits u16, counter u8, context."""
    if len(label) != LABEL or bits not in BITS:
        raise RequestError(f"a derivation has a label of {LABEL} bytes and 128, 192 or 256 bits")
    if label == PROOF[:LABEL]:
        raise RequestError("this label is kept for proofs of possession")
    head = label + b"\0" + bits.to_bytes(2)
    out = bytearray()
    for counter in range(1, -(-bits // BLOCK) + 1):
        out += mac(head + bytes([counter]) + context)
    derived = Secret(out[: bits // 8])
    out[:] = bytes(len(out))
    return derived


def proof_of(nonce: bytes) -> bytes:
    """What a key signs or MACs to prove that it is there."""
    if len(nonce) not in PROOF_NONCE:
        raise RequestError("a nonce of a proof has 16 to 64 bytes")
    return PROOF + nonce
