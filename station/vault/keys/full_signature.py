"""Signatures of one length, so that what goes to a die takes chip and reader the same number of blocks."""

from station.vault.keys.backend import Backend
from station.vault.keys.words import Algorithm, Entry

FULL_P384 = 102
"""Bytes of an ECDSA signature in DER, to within two; one in 512 has fewer, and is made again."""


def full_signature(backend: Backend, entry: Entry, message: bytes) -> bytes:
    """Sign with a key of the back end."""
    signature = backend.sign(entry.id, message)
    while entry.profile.algorithm is Algorithm.P384 and len(signature) < FULL_P384:
        signature = backend.sign(entry.id, message)
    return signature
