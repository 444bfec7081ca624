"""The entries of the ledger: canonical JSON, each with the hash of the one before it, as leaves of one tree.

Canonical means RFC 8785, restricted to strings, integers, truth values, null, arrays, and objects with ASCII
names: sorted, without spaces. An entry never holds a secret, and names persons by pseudonym only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from station.custody.merkle import HASH_BYTES, Edge, leaf_hash
from station.errors import LedgerError

ENTRY_BYTES = 16 * 1024
LARGEST = 2**53 - 1
"""Beyond it, JSON readers disagree on what an integer is."""
DEEPEST = 16
"""Arrays and objects within each other."""
FIRST = bytes(HASH_BYTES)
"""What stands for the leaf before the first."""

EVENTS = frozenset(
    """
    log.opened log.rotated vault.started vault.stopped config.changed clock.step clock.offset spool.high
    spool.full session.opened session.closed session.refused dual.requested approval.given approval.used
    approval.refused role.changed person.added person.enrolled person.renewed person.disabled person.unlocked
    person.key order.added quota.low order.exhausted order.closed recipe.released profile.released
    lot.opened lot.closed
    unit.received unit.binned unit.sampled unit.returned unit.quarantined unit.released unit.rejected
    unit.destroyed unit.shipped unit.missing unit.rma container.sealed
    die.loaded die.opened die.admitted die.issued die.sealed die.spoiled die.resumed die.verified
    die.terminated
    key.generated key.state key.released key.used key.destroyed ceremony.imported crl.signed cert.revoked
    uid.duplicate spki.duplicate registry.conflict rmac.wrong cryptogram.wrong line.stopped line.released
    rate.unusual log.gap command.taken command.refused
    """.split()  # noqa: SIM905 - seventy names read better so
)

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Source = Annotated[str, Meta(pattern=r"^(vault|desk|station:[A-Za-z0-9_.-]{1,64})\Z")]
Person = Annotated[str, Meta(pattern=r"^p-[0-9a-f]{8}\Z")]
Count = Annotated[int, Meta(ge=0, le=LARGEST)]


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of the ledger."""

    v: Literal[1]
    seq: Count
    """The leaf's index."""
    t: Count
    """Wall clock, ms since 1970, UTC."""
    mono: Count
    """ms since the writer started; it cannot be set back."""
    src: Source
    """Who says so: the vault, the desk, or a station, whose entries are claims."""
    event: str
    unit: str | None = None
    uid_h: Digest | None = None
    """SHA-256 of the device's UID."""
    lot: str | None = None
    order: str | None = None
    key: str | None = None
    actor: Person | None = None
    data: dict[str, object]
    prev: Digest
    """Hash of the leaf before, zeros in the first."""
    cfg: Digest
    """Hash of the effective configuration."""


_DECODER = msgspec.json.Decoder(Entry)
_ENCODER = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True)
class Fact:
    """What is to be told, without its place in the ledger."""

    event: str
    src: str = "vault"
    data: Mapping[str, object] = field(default_factory=dict)
    unit: str | None = None
    uid_h: str | None = None
    lot: str | None = None
    order: str | None = None
    key: str | None = None
    actor: str | None = None


@dataclass(frozen=True)
class Stamp:
    """When, and under which configuration (SHA-256, hexadecimal)."""

    t_ms: int
    mono_ms: int
    cfg: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry in its place."""

    index: int
    entry: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """Where the ledger ends. It is a value: a transaction that fails keeps the head it began with."""

    edge: Edge = Edge()
    last: bytes = FIRST
    """Hash of the last leaf."""

    def written(self, fact: Fact, stamp: Stamp) -> tuple[Leaf, "Head"]:
        """Give a fact the next place; LedgerError if it may not be an entry."""
        entry = Entry(
            v=1,
            seq=self.edge.size,
            t=stamp.t_ms,
            mono=stamp.mono_ms,
            src=fact.src,
            event=fact.event,
            unit=fact.unit,
            uid_h=fact.uid_h,
            lot=fact.lot,
            order=fact.order,
            key=fact.key,
            actor=fact.actor,
            data=dict(fact.data),
            prev=self.last.hex(),
            cfg=stamp.cfg,
        )
        return self.followed(canonical(entry))

    def followed(self, entry: bytes) -> tuple[Leaf, "Head"]:
        """Take a finished entry as the next; LedgerError if it is none, or belongs elsewhere."""
        found = decoded(entry)
        if found.seq != self.edge.size:
            raise LedgerError(f"entry {self.edge.size}: `seq` is {found.seq}")
        if found.prev != self.last.hex():
            raise LedgerError(f"entry {found.seq}: `prev` is not the hash of the entry before it")
        leaf = Leaf(found.seq, entry, leaf_hash(entry))
        return leaf, Head(self.edge.grown(leaf.hash), leaf.hash)


def decoded(entry: bytes) -> Entry:
    """Read an entry; LedgerError if it is too long, not canonical, or has other fields than it must."""
    if len(entry) > ENTRY_BYTES:
        raise LedgerError(f"an entry of {len(entry)} bytes, at most {ENTRY_BYTES} are allowed")
    try:
        found = _DECODER.decode(entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LedgerError(f"not an entry: {error}") from error
    if found.event not in EVENTS:
        raise LedgerError(f"no event is called {found.event[:80]!r}")
    if canonical(found) != entry:
        raise LedgerError("the entry is not canonical JSON: another order, spacing, escape, or name twice")
    return found


def canonical(value: object) -> bytes:
    """Encode as canonical JSON; LedgerError for what has no canonical form here."""
    _refuse_odd(value.data if isinstance(value, Entry) else value)
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, TypeError) as error:
        raise LedgerError(f"not JSON: {error}") from error


def _refuse_odd(value: object, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise LedgerError(f"more than {DEEPEST} arrays and objects within each other")
    match value:
        case None | bool() | str():
            return
        case int():
            if abs(value) > LARGEST:
                raise LedgerError(f"{value} is beyond +-(2^53 - 1)")
        case list() | tuple():
            for one in value:
                _refuse_odd(one, depth + 1)
        case dict():
            for name, one in value.items():
                if not isinstance(name, str) or not name.isascii():
                    raise LedgerError(f"names are ASCII text, not {name!r}")
                _refuse_odd(one, depth + 1)
        case _:
            raise LedgerError(f"{type(value).__name__} has no canonical form; numbers are integers")
