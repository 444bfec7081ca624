"""The holders of shares: who may be one, what they approve together, and how the file's key is cut."""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from station.vault.keys import shares
from station.vault.keys.calls import Custodian
from station.vault.keys.errors import PassphraseError, RequestError
from station.vault.keys.header import STORE_ID, Header, check_of
from station.vault.keys.shares import SealedShare
from station.vault.keys.words import KEY_ID
from station.vault.secret import Secret

PASSPHRASE_MIN, PASSPHRASE_MAX = 12, 1024
HOLDERS_MAX = 16


def check(holders: Sequence[Custodian], threshold: int) -> None:
    """Raise RequestError unless these could hold shares."""
    names = [holder.name for holder in holders]
    wrong = [name for name in names if not KEY_ID.fullmatch(name)]
    if wrong:
        raise RequestError(f"custodian {wrong[0][:64]!r}: letters, digits and . _ -, at most 48")
    if len(set(names)) != len(names) or not 2 <= threshold <= len(names) <= HOLDERS_MAX:
        raise RequestError(f"{threshold} of {len(names)} different holders; 2 to {HOLDERS_MAX} are allowed")
    check_passphrases(holders)


def check_passphrases(holders: Sequence[Custodian]) -> None:
    """Raise RequestError unless each has a passphrase of his own, long enough."""
    if any(not PASSPHRASE_MIN <= len(one.passphrase) <= PASSPHRASE_MAX for one in holders):
        raise RequestError(f"a passphrase has {PASSPHRASE_MIN} to {PASSPHRASE_MAX} bytes")
    if len({bytes(one.passphrase) for one in holders}) != len(holders):
        raise RequestError("custodians have different passphrases")


def cut(kek: Secret, holders: Sequence[Custodian], threshold: int, store: bytes) -> tuple[SealedShare, ...]:
    """Split the key of a file, and seal a share for each."""
    parts = shares.split(kek, len(holders), threshold)
    try:
        return tuple(
            shares.seal(part, holder.name, holder.passphrase, store)
            for part, holder in zip(parts, holders, strict=True)
        )
    finally:
        for part in parts:
            part.wipe()


def opened(sealed: Iterable[SealedShare], name: str, passphrase: bytearray, store: bytes) -> Secret:
    """One holder's share; PassphraseError if that is none, or not his passphrase."""
    found = next((share for share in sealed if share.custodian == name), None)
    if found is None:
        raise PassphraseError(f"{name[:64]!r} is no custodian of this store")
    return shares.unseal(found, passphrase, store)


def approved(header: Header, sealed: Sequence[SealedShare], by: Sequence[Custodian]) -> None:
    """Raise PassphraseError unless these holders together have the key of the file."""
    if len({holder.name for holder in by}) != len(by) or not by:
        raise PassphraseError("custodians approve this, each once")
    with ExitStack() as wiped:
        given = [
            wiped.enter_context(opened(sealed, holder.name, holder.passphrase, header.store)) for holder in by
        ]
        with shares.combine(given) as kek:
            enough = check_of(kek) == header.check
    if not enough:
        raise PassphraseError(f"{len(by)} custodians do not open this store, so they cannot approve this")


def fresh() -> Secret:
    """Draw a key for a file."""
    return Secret(os.urandom(32))


def identity() -> bytes:
    """Draw a store's id."""
    return os.urandom(STORE_ID)


def sealed(share: Secret, holder: Custodian, store: bytes) -> SealedShare:
    """Seal a share for its holder."""
    return shares.seal(share, holder.name, holder.passphrase, store)
