"""The ledger whose heads a store signs: one name, and only what grows from the last one signed.

Another name takes its place only if the ledger's own last leaf says so, under the head signed last.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from station.custody import rotation
from station.custody.checkpoint import Checkpoint, checked_origin
from station.custody.log_keys import Key, Kind, Signer
from station.custody.merkle import EMPTY, HASH_BYTES, consistent, leaf_hash
from station.errors import LedgerError
from station.vault.keys.errors import PolicyError, RequestError
from station.vault.keys.header import Head
from station.vault.keys.words import Algorithm, Entry, KeyState, Purpose


def opened(held: Head | None, origin: str) -> Head:
    """The head of a ledger of this name; RequestError, PolicyError if the store signs for another."""
    try:
        checked_origin(origin)
    except LedgerError as error:
        raise RequestError(str(error)) from error
    if held is None:
        return Head(origin, 0, EMPTY)
    if held.origin != origin:
        raise PolicyError(f"this store signs for the ledger {held.origin}, not for {origin}")
    return held


def rotated(
    held: Head, ended: Collection[str], origin: str, last: bytes, proof: tuple[bytes, ...], first: bytes
) -> Head:
    """The head of the next ledger, its first leaf; PolicyError if the one held has not ended in it."""
    if origin in ended or origin == held.origin:
        raise PolicyError(f"this store has signed for the ledger {origin} before; it has ended")
    final = Checkpoint(held.origin, held.size, held.root)
    for why in rotation.ended(final, origin, last, list(proof), first):
        raise PolicyError(why)
    return Head(origin, 1, leaf_hash(first))


def grown(held: Head, old: int, size: int, root: bytes, proof: tuple[bytes, ...]) -> Head:
    """The next head; PolicyError if it does not grow from the last one, of size `old`."""
    follows = len(root) == HASH_BYTES and consistent(old, held.root, size, root, proof)
    if old != held.size or not follows:
        raise PolicyError(f"this head does not grow from the last one signed, of size {held.size}")
    return Head(held.origin, size, root)


def signers(register: Iterable[Entry]) -> list[Entry]:
    """The active keys that sign checkpoints; PolicyError if there are none."""
    found = [
        entry
        for entry in register
        if entry.profile.purpose is Purpose.CHECKPOINT and entry.state is KeyState.ACTIVE
    ]
    if not found:
        raise PolicyError("no key is active that signs checkpoints")
    return found


def signed(head: Head, keys: Sequence[Entry], sign: Callable[[str, bytes], bytes], now: float) -> list[str]:
    """The lines of a head's signatures."""
    checkpoint = Checkpoint(head.origin, head.size, head.root)
    return [_signer(head.origin, entry, sign).signature(checkpoint, int(now)).line for entry in keys]


def _signer(origin: str, entry: Entry, sign: Callable[[str, bytes], bytes]) -> Signer:
    """A log signs under its own name."""
    raw = load_der_public_key(entry.public).public_bytes(Encoding.Raw, PublicFormat.Raw)
    kind = Kind.ED25519 if entry.profile.algorithm is Algorithm.ED25519 else Kind.MLDSA44
    return Signer(Key(origin, kind, raw), lambda message: sign(entry.id, message))
