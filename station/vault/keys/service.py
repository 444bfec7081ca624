"""The key store's answers, whoever carries the questions."""

from pathlib import Path

import msgspec

from station.clock import Clock
from station.vault.keys import calls, custodians, decisions, making, tokens
from station.vault.keys.errors import LockedError, PolicyError, RequestError
from station.vault.keys.hardening import Hardening
from station.vault.keys.header import Header
from station.vault.keys.shares import SealedShare
from station.vault.keys.store import FILE, Store
from station.vault.keys.words import DEVELOPMENT_CUSTODIAN, DEVELOPMENT_PASSPHRASE, Health, KeyState, Mode
from station.vault.secret import Secret

SIGNATURES_MAX = 8


class Service:
    """One store, from locked to active to zeroised."""

    def __init__(self, folder: Path, clock: Clock, hardening: Hardening, *, production: bool) -> None:
        self._folder, self._clock, self._hardening = folder, clock, hardening
        self._production = production
        self._locked: making.Locked | None = None
        self._store: Store | None = None
        self._backup: tuple[SealedShare, ...] = ()
        """Shares of a backup that were given since the start."""
        if (folder / FILE).exists():
            self._take_up()

    def _take_up(self) -> None:
        self._locked = making.Locked(self._folder)
        mode = self._locked.header.mode
        if self._production and mode is Mode.DEVELOPMENT:
            raise PolicyError(f"{self._folder}: a development store, which production refuses")
        if self._production and not self._hardening.memory_locked:
            raise PolicyError("production needs locked memory; raise the limit memlock to unlimited")
        if mode is Mode.DEVELOPMENT:
            self._store = self._locked.give(DEVELOPMENT_CUSTODIAN, bytearray(DEVELOPMENT_PASSPHRASE))

    def answer(self, call: calls.Call) -> object:
        """Do what is asked and return the answer; a KeyStoreError says why not."""
        match call:
            case calls.Init():
                making.create(self._folder, call)
                self._take_up()
                return self.health()
            case calls.Activate():
                return self._activate(call)
            case calls.Restore():
                return self._restore(call)
            case calls.Health():
                return self.health()
            case calls.Entries():
                return self._entries()
            case calls.Zeroise():
                return self._zeroise(call.store)
            case calls.Decide() | calls.Repassphrase() | calls.Reshare() | calls.Backup() | calls.Trust():
                return custodians.done(self._active(), call, self._backup, self._clock.unix())
            case _:
                return _asked(self._active(), call, self._clock.unix())

    def _held(self) -> making.Locked:
        if self._locked is None:
            raise LockedError(f"{self._folder}: there is no key store yet")
        return self._locked

    def _active(self) -> Store:
        if self._store is None:
            header = self._held().header
            state = "zeroised" if header.mode is Mode.ZEROISED else "sealed: its custodians must activate it"
            raise LockedError(f"{self._folder}: the key store is {state}")
        return self._store

    def _activate(self, call: calls.Activate) -> Health:
        if self._store is not None:
            raise PolicyError(f"{self._folder}: the key store is active already")
        self._store = self._held().give(call.custodian, call.passphrase)
        return self.health()

    def _restore(self, call: calls.Restore) -> Health:
        if self._store is not None:
            raise PolicyError(f"{self._folder}: the key store is active already")
        locked = self._held()
        if not locked.restoring:
            self._backup = ()
        self._store = locked.restore(call.share, call.passphrase)
        self._backup = (*self._backup, making.sealed_of(call.share))
        return self.health()

    def _entries(self) -> list[object]:
        register = self._held().header.keys if self._store is None else self._store.register
        return [*register]

    def _zeroise(self, store: str) -> Health:
        header = self._current()
        if store != header.store.hex():
            raise PolicyError(f"{self._folder}: zeroise names the store's id, {header.store.hex()}")
        making.erase(self._folder, header, self._clock.unix())
        self._held().forget()
        held, self._store = self._store, None
        self._locked = making.Locked(self._folder)
        if held is not None:
            _emptied(held)
            return self.health()
        left = ("the store was sealed: its token's keys are still there",) if header.token else ()
        return msgspec.structs.replace(self.health(), findings=left)

    def _current(self) -> Header:
        return self._held().header if self._store is None else self._store.header

    def health(self) -> Health:
        """How the store is."""
        header = self._current()
        store, locked = self._store, self._held()
        state = "sealed" if store is None else "active"
        return Health(
            state="zeroised" if header.mode is Mode.ZEROISED else state,
            store=header.store.hex(),
            mode=header.mode,
            backend=header.backend,
            custodians=tuple(share.custodian for share in header.shares),
            threshold=header.threshold,
            shares=locked.given,
            keys=sum(entry.state is not KeyState.DESTROYED for entry in header.keys),
            findings=() if store is None else store.findings,
            module="" if store is None else store.backend.module,
            mechanisms=() if store is None else store.backend.mechanisms,
            memory_locked=self._hardening.memory_locked,
            dumpable=self._hardening.dumpable,
            before=header.before.hex(),
        )

    def close(self) -> None:
        """Wipe and leave."""
        if self._locked is not None:
            self._locked.forget()
        if self._store is not None:
            self._store.close()
            self._store = None


def _emptied(store: Store) -> None:
    """End the keys of a store whose file is gone; those of a token too."""
    try:
        for entry in store.register:
            store.backend.destroy(entry.id)
    finally:
        store.close()


def _asked(store: Store, call: calls.Call, now: float) -> object:
    """What uses a key."""
    match call:
        case calls.Derive():
            return store.derive(call.key, call.labels, call.context, call.bits, now)
        case calls.Sign() | calls.SignAll():
            return _signed(store, call, now)
        case calls.Decapsulate():
            return store.decapsulate(call.key, call.ciphertext, now)
        case calls.Wrap():
            with Secret(call.key) as content:
                return store.wrap(call.kek, content, now)
        case calls.Unwrap():
            return store.unwrap(call.kek, call.wrapped, now)
        case calls.SignCheckpoint():
            return store.sign_checkpoint(call.old, call.size, call.root, call.proof, now)
        case _:
            return _told(store, call, now)


def _signed(store: Store, call: calls.Sign | calls.SignAll, now: float) -> object:
    """A signature, or several one after the other; what was counted before one is refused is wasted."""
    if isinstance(call, calls.Sign):
        return store.sign(call.key, call.message, call.order, now)
    if not 1 <= len(call.asked) <= SIGNATURES_MAX:
        raise RequestError(f"1 to {SIGNATURES_MAX} signatures are made at once, not {len(call.asked)}")
    return [store.sign(one.key, one.message, one.order, now) for one in call.asked]


def _told(store: Store, call: calls.Call, now: float) -> object:
    """What tells about the store."""
    match call:
        case calls.Random():
            return store.random(call.size)
        case calls.Public():
            return store.public(call.key)
        case calls.Attest():
            return store.attest(call.key)
        case calls.Usage():
            return store.usage(call.key)
        case calls.OpenLedger():
            return store.open_ledger(call.origin)
        case calls.RotateLedger():
            return store.rotate_ledger(call.origin, call.last, call.proof, call.first)
        case calls.StateRegister():
            return store.state_register(call.keys, now)
        case _:
            return _certified(store, call, now)


def _certified(store: Store, call: calls.Call, now: float) -> object:
    """What proves a key, or moves a token from one store to another."""
    match call:
        case calls.Prove():
            return store.prove(call.key, call.nonce, now)
        case calls.SignRequest():
            return store.sign_request(call.key, call.info, now)
        case calls.Reseal() | calls.RmaToken():
            return tokens.moved(store, call, now)
    _changed(store, call, now)
    return None


def _changed(store: Store, call: calls.Call, now: float) -> None:
    """What changes the store, and answers nothing."""
    match call:
        case calls.Generate():
            store.generate(call.profile)
        case calls.Load():
            with Secret(call.key) as key:
                store.load(call.profile, key)
        case calls.LoadSealed():
            store.load_sealed(call.profile, call.kem, call.ciphertext, call.box, now)
        case calls.Move():
            store.change(call.key, call.state, call.approval, now)
        case calls.OpenOrder():
            store.open_order(call.statement)
        case calls.DecideSigned():
            store.change(*decisions.believed(call.statement, store.header, store.register, now), now)
        case _:
            raise RequestError("this is not asked of an active store")
