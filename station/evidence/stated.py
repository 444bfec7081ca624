"""The key register as the key store itself states it: checked offline, with a trust file alone."""

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from station.errors import EvidenceError
from station.evidence.jws import ALGORITHMS, RecordKeys
from station.evidence.trust import Trust
from station.vault.desk.statement import StatementError, opened
from station.vault.keys.words import Entry, KeyState


class Stated(Struct, frozen=True, forbid_unknown_fields=True, rename={"back_end": "back end"}):
    """What a statement `hardbin.key-register.v1` says."""

    typ: Literal["hardbin.key-register.v1"]
    store: str
    """The store's id in hexadecimal."""
    before: str
    """The id of the store that this one was recovered from; empty if it was not."""
    mode: str
    back_end: str
    generation: int
    at: int
    """Unix seconds."""
    custodians: tuple[str, ...]
    threshold: int
    keys: tuple[Entry, ...]


def read(envelope: bytes, keys: RecordKeys) -> Stated:
    """What a register's statement says, if one key of each kind signed it; EvidenceError, TrustError."""
    try:
        found = opened(envelope)
    except StatementError as error:
        raise EvidenceError(str(error)) from error
    kinds = sorted(algorithm for _, algorithm, _ in found.signatures)
    if kinds != sorted(ALGORITHMS):
        raise EvidenceError(f"is signed by {', '.join(kinds) or 'nobody'}, not by {', '.join(ALGORITHMS)}")
    for name, algorithm, signature in found.signatures:
        keys.check(algorithm, name, signature, found.payload)
    try:
        return msgspec.json.decode(found.payload, type=Stated)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"is no key register: {error}") from error


def faults(stated: Stated, trust: Trust) -> Iterator[str]:
    """Say what is wrong with a register by itself."""
    if stated.mode != trust.mode:
        yield f"is of mode {stated.mode}, the trust file of mode {trust.mode}"
    for key in stated.keys:
        if key.profile.limit is not None and key.used > key.profile.limit:
            yield f"{key.id} was used {key.used} times, {key.profile.limit} are allowed"
        if key.history and key.history[-1].state is not key.state:
            yield f"{key.id} is {key.state}, its history ends with {key.history[-1].state}"
        if any(after.at < before.at for before, after in zip(key.history, key.history[1:], strict=False)):
            yield f"the history of {key.id} is not in order of time"
    signed = {one.kid for one in trust.records}
    for key in stated.keys:
        if key.id in signed and key.state is not KeyState.ACTIVE:
            yield f"{key.id} has signed, and is {key.state}"
