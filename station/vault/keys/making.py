"""Making a store, opening it with shares, and destroying it."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from station.vault.keys import hbks, holders, shares
from station.vault.keys.backend import Backend
from station.vault.keys.calls import Init
from station.vault.keys.errors import DamagedError, LockedError, PassphraseError, PolicyError, RequestError
from station.vault.keys.header import STORE_ID, SUITE, Header, Token, check_of, damaged, parse
from station.vault.keys.shares import SealedShare
from station.vault.keys.soft import SoftKeys
from station.vault.keys.store import FILE, LEASE_KEY, PIN, Store
from station.vault.keys.words import CUSTODIANS, THRESHOLD, BackupShare, Change, Entry, KeyState, Mode
from station.vault.secret import Secret


def create(folder: Path, plan: Init) -> Header:
    """Make a store in a folder that has none."""
    _check(plan)
    path = folder / FILE
    if path.exists():
        raise PolicyError(f"{path}: there is a key store already")
    store = os.urandom(STORE_ID)
    token = None if plan.token is None else Token(plan.token.module, plan.token.label, plan.token.pq)
    threshold = 1 if plan.mode is Mode.DEVELOPMENT else THRESHOLD
    with holders.fresh() as kek, Secret(os.urandom(32)) as leases:
        records = {LEASE_KEY: leases}
        if plan.token is not None:
            records[PIN] = Secret(plan.token.pin)
        sealed = holders.cut(kek, plan.custodians, threshold, store)
        header = Header(store, SUITE, plan.mode, threshold, sealed, check_of(kek), token=token)
        if token is not None:
            _backend(header, records).close()
        hbks.write(path, hbks.encode(header, records, kek))
    return header


def _check(plan: Init) -> None:
    if len(plan.custodians) != {Mode.PRODUCTION: CUSTODIANS, Mode.DEVELOPMENT: 1}.get(plan.mode):
        raise RequestError(f"a store for production has {CUSTODIANS} different custodians")
    if plan.mode is Mode.PRODUCTION:
        holders.check(plan.custodians, THRESHOLD)
    else:
        holders.check_passphrases(plan.custodians)


class Locked:
    """A store on disk, and the shares that custodians have given so far."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._content = hbks.read(self._path)
        self.header = parse(self._content, str(self._path)).header
        self._given: dict[str, Secret] = {}
        self._backup: dict[str, BackupShare] = {}

    @property
    def given(self) -> int:
        """How many shares were given."""
        return len(self._given)

    def give(self, custodian: str, passphrase: bytearray) -> Store | None:
        """Open a custodian's share; the store, if that was the last one needed."""
        self._alive()
        if self._backup:
            self.forget()
        share = holders.opened(self.header.shares, custodian, passphrase, self.header.store)
        return self._taken(custodian, share, self.header.threshold)

    def restore(self, backup: BackupShare, passphrase: bytearray) -> Store | None:
        """Open a share of a backup; the store, if that was the last one needed."""
        self._alive()
        if backup.store != self.header.store.hex():
            raise PassphraseError(f"the share of {backup.holder[:64]!r} is of another store")
        if len(self._given) != len(self._backup):
            self.forget()
        sealed = sealed_of(backup)
        share = holders.opened([sealed], backup.holder, passphrase, self.header.store)
        self._backup[backup.holder] = backup
        return self._taken(backup.holder, share, max(2, backup.threshold))

    @property
    def restoring(self) -> bool:
        """Whether shares of a backup are being given."""
        return bool(self._backup)

    def _taken(self, holder: str, share: Secret, threshold: int) -> Store | None:
        if holder in self._given:
            share.wipe()
        else:
            self._given[holder] = share
        if len(self._given) < threshold:
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
        self._backup.clear()

    def _alive(self) -> None:
        if self.header.mode is Mode.ZEROISED:
            raise LockedError(f"{self._path}: this store was zeroised")


def sealed_of(backup: BackupShare) -> SealedShare:
    """A backup's share as a store's file has one."""
    return SealedShare(backup.holder, backup.salt, backup.nonce, backup.box)


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
