"""What must hold when a die rests, read from the files that the last vault left, and from the die."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from drivers.protocols.se1_table import LifeCycle
from station.custody.audit import Trust, audited
from station.custody.checkpoint import parsed
from station.custody.ledger import Entry, decoded
from station.custody.log_keys import Key
from station.custody.merkle import Edge
from station.vault.die import scp03
from station.vault.wire import floor_pb2 as wire
from tests.crash.plant import DATABASE, KEYS, LEDGER, UNIT, Plant

SET = 3
"""Certificates of a unit."""


@dataclass(frozen=True)
class Row:
    """A unit as the journal has it."""

    standing: str
    intent: str
    account: str


class Evidence:
    """All that is left of a plant when it rests."""

    def __init__(self, plant: Plant, keys: tuple[Key, ...]) -> None:
        self._plant, self._keys = plant, keys
        with closing(sqlite3.connect(plant.folder / DATABASE)) as db:
            self._db = db.execute
            self.units = {u: Row(*rest) for u, *rest in self._all("unit, standing, intent, account", "unit")}
            self.entries = [decoded(entry) for (entry,) in self._all("entry", "leaf ORDER BY idx")]
            self.hashes = [bytes(one) for (one,) in self._all("hash", "leaf ORDER BY idx")]
            self.records = {u: (leaf, bytes(h)) for u, leaf, h in self._all("unit, leaf, hash", "record")}
            self.used = self._all("intents, sealed", "order_use")
            self.claims = self._all("kind, value, unit, state", "site_claim")
            self.certificates = list(self._all("unit, slot, serial, spki_hash, der, state", "cert"))

    def _all(self, columns: str, table: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._db(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608 - names of this module
        return found

    def complaints(self, heard: list[wire.Verdict]) -> list[str]:
        """Everything that is not as it must be, whatever was cut."""
        found = [*self._end(heard), *self._leaves(), *self._set(), *self._balance(), *self._checkpoints()]
        if scp03.Session.alive:
            found.append(f"{scp03.Session.alive} sessions are open")
        return [*found, *self._signatures(), *self._claims()]

    @property
    def unit(self) -> Row:
        """The die's own row."""
        return self.units[UNIT]

    def told(self, event: str, unit: str = UNIT) -> list[Entry]:
        """The leaves of a unit that tell this."""
        return [entry for entry in self.entries if (entry.event, entry.unit) == (event, unit)]

    def _end(self, heard: list[wire.Verdict]) -> Iterator[str]:
        """Sealed and verified under the customer's keys, or held; reported sealed at most once."""
        last = heard[-1] if heard else wire.Verdict()
        sealed = self.unit.account == "SECURED"
        if sealed is not (last.disposition == wire.DONE):
            yield f"account {self.unit.account}, but the last verdict is {last}"
        if sealed is not (self._plant.chip.life_cycle is LifeCycle.SECURED and not last.error):
            yield f"account {self.unit.account}, but the die is {self._plant.chip.life_cycle.name}"
        if len(self.told("die.sealed")) != sealed:
            yield "it is not told to be sealed once"
        if sum(one.disposition == wire.SEALED for one in heard) > 1:
            yield "the station heard twice that it is sealed"

    def _leaves(self) -> Iterator[str]:
        """No leaf without its row, no row without its leaf."""
        for unit, (leaf, digest) in self.records.items():
            entry = self.entries[leaf]
            if (entry.event, entry.unit, entry.data["record"]) != ("die.sealed", unit, digest.hex()):
                yield f"record of {unit}: leaf {leaf} tells {entry.event}"
        told = {
            event: {e.unit for e in self.entries if e.event == event}
            for event in ("die.sealed", "die.admitted")
        }
        if told["die.sealed"] != self.records.keys() or told["die.admitted"] != self.units.keys():
            yield f"leaves tell of {told}, rows of {self.units.keys()}"

    def _set(self) -> Iterator[str]:
        """One set of certificates a unit, told as it is kept, each serial and key once."""
        for unit in self.units:
            mine = [row for row in self.certificates if row[0] == unit]
            kept = {str(slot): sha256(der).hexdigest() for _, slot, _, _, der, _ in mine if der is not None}
            told = [entry.data["certificates"] for entry in self.told("die.issued", unit)]
            if told != ([kept] if kept else []) or len(kept) not in (0, SET) or len(mine) > SET:
                yield f"{unit}: certificates {kept} are kept, {told} told"
        for column in (2, 3):
            if len({row[column] for row in self.certificates}) != len(self.certificates):
                yield "a serial or a key is there twice"

    def _balance(self) -> Iterator[str]:
        """Each unit is in one account, for a reason that is told, and the order counts what was done."""
        begun = {row[0] for row in self.certificates}
        if self.used != [(len(begun), len(self.records))]:
            yield f"the order counts {self.used}, of {len(begun)} begun and {len(self.records)} sealed"
        for unit, row in self.units.items():
            if row.account not in ("WIP", "SECURED", "REJECT_HELD", "QUARANTINE"):
                yield f"{unit} is in {row.account}"
            if (row.account == "SECURED") is not (unit in self.records and row.standing == "REGISTERED"):
                yield f"{unit} is in {row.account}, {row.standing}"
            spoiled = bool(self.told("die.spoiled", unit))
            if (row.account in ("REJECT_HELD", "QUARANTINE")) is not spoiled:
                yield f"{unit} is in {row.account}, but told spoiled: {spoiled}"

    def _checkpoints(self) -> Iterator[str]:
        """The ledger audits, and begins with every checkpoint that anybody ever saw."""
        older = tuple(parsed(note) for note in self._plant.notes)
        report = audited(self._plant.folder / LEDGER, Trust(self._keys, older=older))
        yield from map(str, report.findings)
        for note in older:
            edge = Edge()
            for digest in self.hashes[: note.checkpoint.size]:
                edge = edge.grown(digest)
            if (edge.size, edge.root) != (note.checkpoint.size, note.checkpoint.root):
                yield f"the leaves do not begin with the checkpoint of {note.checkpoint.size}"

    def _claims(self) -> Iterator[str]:
        """The registry of the plant holds what the vault claimed, and nothing else; nothing waits."""
        if self._plant.site is None:
            return
        with closing(sqlite3.connect(self._plant.site)) as db:
            held = set(db.execute("SELECT kind, value, unit, 'held' FROM claim"))
        if set(self.claims) != held:
            yield f"{len(set(self.claims) - held)} claims wait, {len(held - set(self.claims))} are nobody's"

    def _signatures(self) -> Iterator[str]:
        """No two bodies were signed for one certificate's place."""
        bodies = {message for key, message in self._plant.signed if key.startswith("ICA")}
        places = {(unit, slot) for unit, slot, *_ in self.certificates}
        if len(bodies) > len(places):
            yield f"{len(bodies)} bodies were signed for {len(places)} places"
        if self._plant.again:
            yield f"{len(self._plant.again)} certificates were signed again"


def leaked(folder: Path, secrets: set[bytes]) -> list[str]:
    """Files outside the key store that hold 16 consecutive bytes of a secret, at any multiple of 16 in it."""
    parts = {secret[at : at + 16] for secret in secrets for at in range(0, len(secret) - 15, 16)}
    files = [path for path in folder.rglob("*") if path.is_file() and folder / KEYS not in path.parents]
    return [str(path) for path in files if any(part in path.read_bytes() for part in parts)]
