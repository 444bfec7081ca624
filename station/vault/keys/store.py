"""A store that custodians have opened: the register, the counters, and the back end that holds the keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from station.vault.keys import hbks, heads, kdf, orders, sealed_keys, statements
from station.vault.keys.backend import Backend
from station.vault.keys.errors import KeyStoreError, ModuleError, PolicyError, RequestError
from station.vault.keys.full_signature import full_signature
from station.vault.keys.header import Head, Header, Order, check_of
from station.vault.keys.leases import Leases
from station.vault.keys.lists import about_revocation
from station.vault.keys.reconcile import findings_of, weaknesses
from station.vault.keys.register import Act, Register
from station.vault.keys.shares import SealedShare
from station.vault.keys.words import (
    IMPORTED,
    PROOF,
    STATED,
    SYMMETRIC,
    Approval,
    Attributes,
    Entry,
    KeyProfile,
    KeyState,
    Mode,
    Purpose,
    Signatory,
    Use,
)
from station.vault.secret import Secret

FILE = "keys.hbks"
LEASE_KEY, PIN = "!leases", "!pin"
"""Records of the file that are no keys; no key's name begins so."""
RANDOM_MAX = 65536
LABELS_MAX = 8
ORDER = "order "
"""Begins an order's counter."""


class Store:
    """All that needs the key of the file. One thread."""

    def __init__(self, path: Path, opened: tuple[Header, dict[str, Secret]], kek: Secret) -> None:
        self._path, self._kek = path, kek
        self._header, self._records = opened
        self._register = Register(self._header.keys)
        self._orders, self._ledger = dict(self._header.orders), self._header.ledger
        self._ended = self._header.ended
        self._leases = Leases(path.with_name("leases"), self._records[LEASE_KEY], self._floor())
        self._backend: Backend
        self.findings: tuple[str, ...] = ()

    def start(self, backend: Backend) -> None:
        """Take up the counters, finish what a crash cut short, and compare the register with the objects."""
        self._backend = backend
        self._leases.open()
        begun = [entry.id for entry in self._register if not entry.made]
        for key in begun:
            self._backend.destroy(key)
        if begun:
            with self._changing():
                for key in begun:
                    self._register.drop(key)
        for entry in self._register:
            if entry.state is KeyState.DESTROYED:
                self._backend.destroy(entry.id)
        self.findings = tuple(findings_of(self._register, backend))

    @property
    def register(self) -> Register:
        """The entries, with their counters as they are now."""
        return Register(self._counted(entry) for entry in self._register)

    @property
    def header(self) -> Header:
        """The header as it was last written."""
        return self._header

    @property
    def backend(self) -> Backend:
        """What holds the keys."""
        return self._backend

    def generate(self, profile: KeyProfile) -> None:
        """Make a key: entered durably, made, tried, and only then there."""
        with self._born(profile, "generated"):
            self._backend.generate(profile)

    def load(self, profile: KeyProfile, key: Secret) -> None:
        """Take over a key that was made elsewhere."""
        if profile.algorithm not in IMPORTED:
            raise RequestError(f"key {profile.id}: only {', '.join(sorted(IMPORTED))} are taken over")
        with self._born(profile, "imported"):
            self._backend.load(profile, key)

    @contextmanager
    def _born(self, profile: KeyProfile, origin: str) -> Iterator[None]:
        self._fit()
        place = self._backend.place(profile)
        with self._changing():
            entry = self._register.begun(profile, place.where, origin, place.mark)
        try:
            yield
            made = msgspec.structs.replace(entry, made=True, public=self._backend.public(profile.id))
            wrong = [*weaknesses(made, self._backend)]
            if wrong:
                raise ModuleError("; ".join(wrong))
            with self._changing():
                self._register.put(made)
        except Exception:
            self._backend.destroy(profile.id)
            with self._changing():
                self._register.drop(profile.id)
            raise

    def derive(self, key: str, labels: tuple[bytes, ...], context: bytes, bits: int, now: float) -> Secret:
        """Keys from a master, one after the other; each is counted."""
        if not 1 <= len(labels) <= LABELS_MAX:
            raise RequestError(f"1 to {LABELS_MAX} keys are derived at once, not {len(labels)}")
        entry = self._permitted(key, Act.DERIVE, now)
        joined = bytearray()
        try:
            for label in labels:
                self._leases.take((key, entry.profile.limit))
                with kdf.derive(lambda message: self._backend.mac(key, message), label, context, bits) as one:
                    joined += one.reveal()
            return Secret(joined)
        finally:
            joined[:] = bytes(len(joined))

    def wrap(self, key: str, content: Secret, now: float) -> bytes:
        """AES-KWP; counted."""
        entry = self._permitted(key, Act.WRAP, now)
        self._leases.take((key, entry.profile.limit))
        return self._backend.wrap(key, content)

    def unwrap(self, key: str, wrapped: bytes, now: float) -> Secret:
        """AES-KWP, the other way."""
        self._permitted(key, Act.UNWRAP, now)
        return self._backend.unwrap(key, wrapped)

    def sign(self, key: str, message: bytes, order: str, now: float) -> bytes:
        """Sign, having counted against the key and the order."""
        entry = self._permitted(key, Act.SIGN, now)
        if message.startswith((PROOF, STATED)):
            raise PolicyError(f"key {key}: what begins like the store's own proofs is not signed")
        counters: list[tuple[str, int | None]] = [(key, entry.profile.limit)]
        issues = entry.profile.purpose is Purpose.ISSUE and not about_revocation(message, entry.public)
        if issues or order:
            counters.append((ORDER + order, self._open(key, order, now).limit))
        self._leases.take(*counters)
        return full_signature(self._backend, entry, message)

    def _open(self, key: str, order: str, now: float) -> Order:
        """An order under which may be signed now. In development its dates are those of simulated lots."""
        found = self._orders.get(order)
        if found is None:
            raise PolicyError(f"key {key} issues for an open order only, and {order[:64]!r} is none")
        valid = found.not_before <= now <= found.not_after
        if self._header.mode is Mode.PRODUCTION and not valid:
            raise PolicyError(f"order {order}: its dates do not allow it now")
        return found

    def decapsulate(self, key: str, ciphertext: bytes, now: float) -> Secret:
        """The shared secret of a ciphertext."""
        self._permitted(key, Act.DECAPSULATE, now)
        return self._backend.decapsulate(key, ciphertext)

    def random(self, size: int) -> bytes:
        """Random bytes."""
        if not 1 <= size <= RANDOM_MAX:
            raise RequestError(f"1 to {RANDOM_MAX} random bytes, not {size}")
        return self._backend.random(size)

    def prove(self, key: str, nonce: bytes, now: float) -> bytes:
        """Proof of possession."""
        entry = self._permitted(key, Act.PROVE, now)
        message = kdf.proof_of(nonce)
        if entry.profile.algorithm in SYMMETRIC:
            return self._backend.mac(key, message)
        return self._backend.sign(key, message)

    def sign_request(self, key: str, info: bytes, now: float) -> bytes:
        """Sign the body of a certificate request: the proof of possession that an issuing key gives."""
        entry = self._permitted(key, Act.PROVE, now)
        if entry.profile.purpose is not Purpose.ISSUE or not statements.requests(info, entry.public):
            raise PolicyError(f"key {key}: not the body of a certificate request for an issuing key")
        return self._backend.sign(key, info)

    def state_register(self, keys: tuple[str, ...], now: float) -> bytes:
        """The register, signed by keys that sign records."""
        signers = [self._permitted(key, Act.SIGN, now) for key in keys]
        if not signers or any(entry.profile.purpose is not Purpose.SIGN for entry in signers):
            raise RequestError("the register is signed by at least one active key with the purpose sign")
        self._leases.take(*((entry.id, entry.profile.limit) for entry in signers))
        return statements.register(self._header, self.register, signers, self._backend.sign, now)

    def load_sealed(self, profile: KeyProfile, kem: str, ciphertext: bytes, box: bytes, now: float) -> None:
        """Take over a key that was sealed to a key of this store."""
        with self.received(kem, ciphertext, profile.id, box, now) as key:
            self.load(profile, key)

    def received(self, kem: str, ciphertext: bytes, name: str, box: bytes, now: float) -> Secret:
        """What was sealed to a key of this store under a name; PolicyError if it was changed."""
        self._permitted(kem, Act.RECEIVE, now)
        with self._backend.decapsulate(kem, ciphertext) as shared:
            content = sealed_keys.opened(shared.reveal(), box, name, self._header.store, ciphertext)
        secret = Secret(content)
        content[:] = bytes(len(content))
        return secret

    def opened_box(self, key: str, box: bytes, info: bytes, now: float) -> Secret:
        """What is in a box of HPKE."""
        self._permitted(key, Act.OPEN, now)
        return self._backend.open_box(key, box, info)

    def open_order(self, statement: bytes) -> None:
        """Allow signatures for a work order; again does nothing, another order of its name is refused."""
        order, opened = orders.believed(statement, self._header)
        held = self._orders.get(order)
        if held is not None and held.statement != opened.statement:
            raise PolicyError(f"order {order} was opened before, and is another one")
        if held is None:
            with self._changing():
                self._orders[order] = opened

    def trust(self, persons: tuple[Signatory, ...]) -> None:
        """Believe these persons under work orders, and no others."""
        held, self._header = self._header, msgspec.structs.replace(self._header, persons=persons)
        try:
            self._save()
        except BaseException:
            self._header = held
            raise

    def open_ledger(self, origin: str) -> Head:
        """Name the ledger whose heads are signed, once; return the head that was signed last."""
        head = heads.opened(self._ledger, origin)
        if head is not self._ledger:
            with self._changing():
                self._ledger = head
        return head

    def rotate_ledger(self, origin: str, last: bytes, proof: tuple[bytes, ...], first: bytes) -> Head:
        """Take the next ledger in place of the one that has ended; durable before it is told."""
        if self._ledger is None:
            raise PolicyError("no ledger was opened in this store")
        self._fit()
        head = heads.rotated(self._ledger, self._ended, origin, last, proof, first)
        with self._changing():
            self._ended, self._ledger = (*self._ended, self._ledger.origin), head
        return head

    def sign_checkpoint(
        self, old: int, size: int, root: bytes, proof: tuple[bytes, ...], now: float
    ) -> list[str]:
        """Sign a head that grew from the last one; that it was signed is durable before the lines leave."""
        if self._ledger is None:
            raise PolicyError("no ledger was opened in this store")
        self._fit()
        signers = heads.signers(self._register)
        head = heads.grown(self._ledger, old, size, root, proof)
        for entry in signers:
            self._leases.take((entry.id, entry.profile.limit))
        with self._changing():
            self._ledger = head
        return heads.signed(head, signers, self._backend.sign, now)

    def change(self, key: str, state: KeyState, approval: Approval, now: float) -> None:
        """Bring a key into another state; destroying is durable in the register before the key goes."""
        moved = self._register.moved(key, state, approval, now)
        with self._changing():
            self._register.put(moved)
        if state is KeyState.DESTROYED:
            self._backend.destroy(key)

    def public(self, key: str) -> bytes:
        """SubjectPublicKeyInfo."""
        return self._register[key].public

    def attest(self, key: str) -> Attributes:
        """What protects a key; nothing of a destroyed one."""
        if self._register[key].state is KeyState.DESTROYED:
            return {"present": False}
        return self._backend.attest(key)

    def usage(self, key: str) -> Use:
        """How far a key's counter has come."""
        return self._leases.use(key, self._register[key].profile.limit)

    def key(self) -> Secret:
        """A copy of the file's key, to cut into shares; whoever asks wipes it."""
        return Secret(self._kek.reveal())

    def lose(self, count: int) -> None:
        """Count uses of every limited key that a copy of the store cannot know of."""
        for entry in self._register:
            if entry.profile.limit is not None and count:
                self._leases.waste(entry.id, entry.profile.limit, count)

    def reshared(
        self,
        sealed: tuple[SealedShare, ...],
        threshold: int,
        kek: Secret | None = None,
        store: bytes | None = None,
    ) -> None:
        """Write the file with other shares, perhaps under another key, and as another store."""
        held = self._header, self._kek
        new, store = self._kek if kek is None else kek, self._header.store if store is None else store
        before = self._header.before if store == self._header.store else self._header.store
        changes = {"store": store, "before": before, "shares": sealed, "threshold": threshold}
        self._header = msgspec.structs.replace(self._header, check=check_of(new), **changes)
        self._kek = new
        try:
            self._save()
        except BaseException:
            self._header, self._kek = held
            raise
        if new is not held[1]:
            held[1].wipe()

    def close(self) -> None:
        """Wipe and leave."""
        self._leases.close()
        for secret in (*self._records.values(), self._kek):
            secret.wipe()
        self._backend.close()

    def _permitted(self, key: str, act: Act, now: float) -> Entry:
        self._fit()
        return self._register.permitted(key, act, now)

    def _fit(self) -> None:
        if self.findings and self._header.mode is Mode.PRODUCTION:
            raise PolicyError(f"register and objects differ: {'; '.join(self.findings)}")

    def _floor(self) -> dict[str, int]:
        keys = {entry.id: entry.used for entry in self._header.keys}
        return keys | {ORDER + name: order.used for name, order in self._header.orders.items()}

    def _counted(self, entry: Entry) -> Entry:
        return msgspec.structs.replace(entry, used=self._leases.used(entry.id))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Change the register, the orders or the ledger, and write the file; all of it or nothing."""
        held = [*self._register], dict(self._orders), self._ledger, self._ended
        try:
            yield
            self._save()
        except BaseException:
            entries, self._orders, self._ledger, self._ended = held
            self._register = Register(entries)
            raise

    def _save(self) -> None:
        counted = {
            name: msgspec.structs.replace(order, used=self._leases.used(ORDER + name))
            for name, order in self._orders.items()
        }
        header = msgspec.structs.replace(
            self._header,
            generation=self._header.generation + 1,
            keys=tuple(self._counted(entry) for entry in self._register),
            orders=counted,
            ledger=self._ledger,
            ended=self._ended,
        )
        own = {name: secret for name, secret in self._records.items() if name.startswith("!")}
        kept = {
            key: secret
            for key, secret in self._backend.records().items()
            if self._register[key].state is not KeyState.DESTROYED
        }
        try:
            hbks.write(self._path, hbks.encode(header, own | kept, self._kek))
        except OSError as error:
            raise KeyStoreError(f"{self._path}: could not be written: {error.strerror}") from error
        self._header = header
