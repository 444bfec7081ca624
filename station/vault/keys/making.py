"""Making a store, opening it with shares, and destroying it."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from station.vault.keys import hbks, shares
from station.vault.keys.backend import Backend
from station.vault.keys.calls import Init
from station.vault.keys.errors import DamagedError, LockedError, PassphraseError, PolicyError, RequestError
from station.vault.keys.header import STORE_ID, SUITE, Header, Token, check_of, damaged, parse
from station.vault.keys.soft import SoftKeys
from station.vault.keys.store import FILE, LEASE_KEY, PIN, Store
from station.vault.keys.words import KEY_ID, Change, Entry, KeyState, Mode
from station.vault.secret import Secret

KEK = 32
CUSTODIANS, THRESHOLD = 3, 2
PASSPHRASE_MIN, PASSPHRASE_MAX = 12, 1024


def create(folder: Path, plan: Init) -> Header:
    """Make a store in a folder that has none."""
    _check(plan)
    path = folder / FILE
    if path.exists():
        raise PolicyError(f"{path}: there is a key store already")
    store = os.urandom(STORE_ID)
    token = None if plan.token is None else Token(plan.token.module, plan.token.label, plan.token.pq)
    threshold = 1 if plan.mode is Mode.DEVELOPMENT else THRESHOLD
    with Secret(os.urandom(KEK)) as kek, Secret(os.urandom(32)) as leases:
        records = {LEASE_KEY: leases}
        if plan.token is not None:
            records[PIN] = Secret(plan.token.pin)
        parts = shares.split(kek, len(plan.custodians), threshold)
        sealed = tuple(
            shares.seal(part, custodian.name, custodian.passphrase, store)
            for part, custodian in zip(parts, plan.custodians, strict=True)
        )
        header = Header(store, SUITE, plan.mode, threshold, sealed, check_of(kek), token=token)
        if token is not None:
            _backend(header, records).close()
        hbks.write(path, hbks.encode(header, records, kek))
        for part in parts:
            part.wipe()
    return header


def _check(plan: Init) -> None:
    names = [custodian.name for custodian in plan.custodians]
    wanted = {Mode.PRODUCTION: CUSTODIANS, Mode.DEVELOPMENT: 1}.get(plan.mode)
    if len(names) != wanted or len(set(names)) != len(names):
        raise RequestError(f"a store for production has {CUSTODIANS} different custodians")
    wrong = [name for name in names if not KEY_ID.fullmatch(name)]
    if wrong:
        raise RequestError(f"custodian {wrong[0][:64]!r}: letters, digits and . _ -, at most 48")
    if any(not PASSPHRASE_MIN <= len(one.passphrase) <= PASSPHRASE_MAX for one in plan.custodians):
        raise RequestError(f"a passphrase has {PASSPHRASE_MIN} to {PASSPHRASE_MAX} bytes")
    if len({bytes(one.passphrase) for one in plan.custodians}) != len(names):
        raise RequestError("custodians have different passphrases")


class Locked:
    """A store on disk, and the shares that custodians have given so far."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._content = hbks.read(self._path)
        self.header = parse(self._content, str(self._path)).header
        self._given: dict[str, Secret] = {}

    @property
    def given(self) -> int:
        """How many shares were given."""
        return len(self._given)

    def give(self, custodian: str, passphrase: bytearray) -> Store | None:
        """Open a custodian's share; the store, if that was the last one needed."""
        self._alive()
        sealed = next((share for share in self.header.shares if share.custodian == custodian), None)
        if sealed is None:
            raise PassphraseError(f"{custodian[:64]!r} is no custodian of this store")
        share = shares.unseal(sealed, passphrase, self.header.store)
        self._given.setdefault(custodian, share)
        if len(self._given) < self.header.threshold:
            return None
        try:
            return self._opened()
        finally:
            self.forget()

    def _opened(self) -> Store:
        try:
            kek = shares.combine([*self._given.values()])
        except ValueError:
            raise DamagedError(damaged(str(self._path))) from None
        try:
            return self._started(kek)
        except BaseException:
            kek.wipe()
            raise

    def _started(self, kek: Secret) -> Store:
        header, records = hbks.decode(self._content, kek, str(self._path))
        if LEASE_KEY not in records:
            raise DamagedError(damaged(str(self._path)))
        store = Store(self._path, (header, records), kek)
        store.start(_backend(header, records))
        return store

    def forget(self) -> None:
        """Wipe the shares given so far."""
        for share in self._given.values():
            share.wipe()
        self._given.clear()

    def _alive(self) -> None:
        if self.header.mode is Mode.ZEROISED:
            raise LockedError(f"{self._path}: this store was zeroised")


def _backend(header: Header, records: Mapping[str, Secret]) -> Backend:
    keys = {name: secret for name, secret in records.items() if not name.startswith("!")}
    if header.token is None:
        return SoftKeys(header.keys, keys)
    from station.vault.keys.pkcs11 import TokenKeys  # noqa: PLC0415 - a file store loads no module

    return TokenKeys(header.token, records[PIN], header.keys, keys)


def erase(folder: Path, header: Header | None, now: float) -> None:
    """Overwrite the file, then leave a register that tells what was there.

    Without its sealed shares nobody can compute the file's key, whatever copies of the records remain.
    """
    path = folder / FILE
    hbks.overwrite(path)
    if header is None:
        return
    ended = Change(KeyState.DESTROYED, int(now), "zeroise", "the store was zeroised")
    keys = tuple(_ended(entry, ended) for entry in header.keys)
    left = msgspec.structs.replace(header, mode=Mode.ZEROISED, shares=(), threshold=0, check=b"", keys=keys)
    hbks.write(path, hbks.header_only(left))


def _ended(entry: Entry, ended: Change) -> Entry:
    if entry.state is KeyState.DESTROYED:
        return entry
    return msgspec.structs.replace(entry, state=KeyState.DESTROYED, history=(*entry.history, ended))
