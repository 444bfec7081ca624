"""What the ledger tells of one lot: where each unit went, which certificates it got, what was sealed."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from station.custody.audit_files import Files, readable
from station.custody.ledger import Entry
from station.custody.moves import RULES
from station.custody.tiles import ENTRIES, tiles_of
from station.evidence.manifest import SealedData
from station.evidence.order_history import OrderHistory

WIP, SECURED, QUARANTINE, REJECT_HELD = "WIP", "SECURED", "QUARANTINE", "REJECT_HELD"
SPEAKING = frozenset({"vault", "desk"})
"""Whose entries count; those of stations are claims."""
MOVES = frozenset(RULES) - {"die.sealed"}
"""Moves that a leaf tells with `from` and `to`; `unit.quarantined` also without, for a UID seen twice."""
OFF_HOLD = "removeFromCRL"
_MOVING = frozenset({"die.admitted", "die.issued", "die.sealed", "die.spoiled", "lot.closed"})
"""What may not be once a lot is closed."""


class OpenedData(Struct, frozen=True):
    """`data` of a leaf `lot.opened`."""

    product: str
    quantity: int


class ClosedData(Struct, frozen=True):
    """`data` of a leaf `lot.closed`."""

    accounts: dict[str, int]


class IssuedData(Struct, frozen=True):
    """`data` of a leaf `die.issued`: SHA-256 of each new certificate, by slot."""

    certificates: dict[str, str]


class MovedData(Struct, frozen=True):
    """`data` of a move."""

    to: str
    source: str = msgspec.field(name="from")


class RevokedData(Struct, frozen=True):
    """`data` of a leaf `cert.revoked`; hexadecimal."""

    issuer: str
    serial: str
    reason: str


class SpoiledData(Struct, frozen=True):
    """`data` of a leaf `die.spoiled`."""

    fate: str


_ENTRIES = msgspec.json.Decoder(Entry)


@dataclass
class LotHistory:
    """One lot as the vault told it, leaf by leaf."""

    lot: str
    opened: OpenedData | None = None
    order: str = ""
    closed: ClosedData | None = None
    accounts: dict[str, str] = field(default_factory=dict)
    """Where each unit that was admitted is."""
    issued: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Leaf and unit, by the certificate's SHA-256."""
    sealed: dict[str, tuple[int, SealedData]] = field(default_factory=dict)
    """Leaf and what it says, by unit."""
    uids: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the UID, by unit."""
    revoked: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why a certificate does not count, by its issuer and serial number."""
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    """Leaf, unit, and what cannot be."""

    def counts(self) -> Mapping[str, int]:
        """How many units each account has."""
        found: dict[str, int] = {}
        for account in self.accounts.values():
            found[account] = found.get(account, 0) + 1
        return found

    def add(self, entry: Entry) -> None:
        """Take the next entry of the lot."""
        if entry.src not in SPEAKING:
            return
        if entry.unit and entry.uid_h:
            self.uids[entry.unit] = entry.uid_h
        if self.closed is not None and entry.event in _MOVING:
            self._fault(entry, f"{entry.event} after the lot was closed")
        try:
            self._take(entry, entry.unit or "")
        except msgspec.ValidationError as error:
            self._fault(entry, f"{entry.event} does not say what it must: {error}")

    def _take(self, entry: Entry, unit: str) -> None:
        match entry.event:
            case "lot.opened":
                self._open(entry)
            case "lot.closed":
                self._close(entry)
            case "die.admitted":
                self._admit(entry, unit)
            case "die.issued":
                self._issue(entry, unit)
            case "die.sealed":
                self._seal(entry, unit)
            case "die.spoiled":
                self._move(entry, msgspec.convert(entry.data, SpoiledData).fate, (WIP, QUARANTINE))
            case "cert.revoked":
                self._revoke(entry)
            case "unit.quarantined" if "from" not in entry.data:
                self._quarantine(entry)
            case event if event in MOVES:
                self._settle(entry)
            case _:
                pass

    def _fault(self, entry: Entry, what: str) -> None:
        self.faults.append((entry.seq, entry.unit or "", what))

    def _move(self, entry: Entry, account: str, sources: tuple[str, ...]) -> None:
        unit = entry.unit or ""
        if self.accounts.get(unit) not in sources:
            self._fault(entry, f"{entry.event} of a unit in {self.accounts.get(unit, 'no account')}")
        self.accounts[unit] = account

    def _open(self, entry: Entry) -> None:
        if self.opened is not None:
            self._fault(entry, "the lot is opened twice")
        self.opened, self.order = msgspec.convert(entry.data, OpenedData), entry.order or ""

    def _close(self, entry: Entry) -> None:
        self.closed = msgspec.convert(entry.data, ClosedData)
        if self.closed.accounts != self.counts():
            self._fault(entry, f"the lot is closed with {self.closed.accounts}, but has {self.counts()}")

    def _admit(self, entry: Entry, unit: str) -> None:
        if unit in self.accounts:
            self._fault(entry, "is admitted twice")
        self.accounts.setdefault(unit, WIP)

    def _issue(self, entry: Entry, unit: str) -> None:
        for digest in msgspec.convert(entry.data, IssuedData).certificates.values():
            if digest in self.issued:
                self._fault(entry, "a certificate is issued twice")
            self.issued[digest] = (entry.seq, unit)

    def _quarantine(self, entry: Entry) -> None:
        """One of two units with one UID; a unit that the registry could not hold stays where it is."""
        if "refused" not in entry.data:
            self._move(entry, QUARANTINE, (WIP, SECURED, REJECT_HELD, QUARANTINE))

    def _settle(self, entry: Entry) -> None:
        """A move by the rules; a unit that never came as far as the vault is in work."""
        data = msgspec.convert(entry.data, MovedData)
        self.accounts.setdefault(entry.unit or "", WIP)
        self._move(entry, data.to, (data.source,))
        rule = RULES[entry.event]
        if not {data.source} <= set(rule.sources) or data.to not in rule.targets:
            self._fault(entry, f"{entry.event} from {data.source} to {data.to}")

    def _revoke(self, entry: Entry) -> None:
        data = msgspec.convert(entry.data, RevokedData)
        if data.reason == OFF_HOLD:
            self.revoked.pop((data.issuer, data.serial), None)
        else:
            self.revoked[data.issuer, data.serial] = data.reason

    def _seal(self, entry: Entry, unit: str) -> None:
        if unit in self.sealed:
            self._fault(entry, "is sealed twice")
        self._move(entry, SECURED, (WIP,))
        self.sealed[unit] = (entry.seq, msgspec.convert(entry.data, SealedData))


def histories_of(logs: Iterable[tuple[Files, int]], lot: str) -> tuple[LotHistory, OrderHistory]:
    """Read what the leaves of logs, each with its size, tell of a lot, and of all orders.

    Leaves are counted over all of the logs, so that what came first has the lower number. What cannot be read
    is the audit's matter.
    """
    history, orders, base = LotHistory(lot), OrderHistory(), 0
    for files, size in logs:
        for found in _entries(files, size, lot):
            entry = msgspec.structs.replace(found, seq=base + found.seq) if base else found
            if entry.lot == lot:
                history.add(entry)
            if entry.src in SPEAKING:
                orders.add(entry)
        base += size
    return history, orders


def _entries(files: Files, size: int, lot: str) -> Iterator[Entry]:
    """Yield the lot's entries, and those of dies and of the desk."""
    marks = (b'"lot":' + msgspec.json.encode(lot), b'"event":"die.', b'"src":"desk"')
    for tile in tiles_of(min(size, files.room())):
        best = files.best(tile)
        if tile.level != ENTRIES or best is None:
            continue
        entries, _ = readable(best[1], best[0].width)
        for entry in entries[: tile.width]:
            if any(mark in entry for mark in marks):
                with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    yield _ENTRIES.decode(entry)
