"""What becomes of the vault's keys, told to its ledger: made, brought into another state, used, destroyed.

Persons change keys at the key store itself, so the vault looks at the register and tells what is new. The
store refuses a compromised key at once; that the line stops follows within seconds.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

import structlog

from station.custody.ledger import Fact
from station.vault.faults import Code, FaultError
from station.vault.journal import Journal, JournalError
from station.vault.keyring import Keyring
from station.vault.keys.errors import KeyStoreError
from station.vault.keys.words import Change, Entry, KeyState
from station.vault.stops import Stops
from station.vault.teller import Teller
from station.vault.vigilance import Stop

log = structlog.get_logger()

CHECK_S = 5.0
LEASE = 100
"""Uses after which it is told again how far a key's counter has come."""


class KeyEvents:
    """Tells each change of the register once."""

    def __init__(self, journal: Journal, teller: Teller, stops: Stops, keys: Keyring, *, uses: bool) -> None:
        """`uses`: whether counters are told too."""
        self._journal, self._teller, self._stops, self._keys = journal, teller, stops, keys
        self._uses = uses

    async def run(self, now: Callable[[], float]) -> None:
        """Look again and again, until cancelled; what fails is logged."""
        while True:
            await asyncio.sleep(CHECK_S)
            await self.attempt(now)

    async def attempt(self, now: Callable[[], float]) -> None:
        """Tell what is new; what fails is logged, and told the next time."""
        try:
            await self.tell(now())
        except (KeyStoreError, JournalError, FaultError) as error:
            log.error("key events", error=str(error))

    async def tell(self, now: float) -> None:
        """Tell what is new of every key, in one transaction; a compromised key stops the line."""
        entries = await self._keys.entries()
        await self._journal.commit(lambda db: self._told(db, entries, now))

    def _told(self, db: sqlite3.Connection, entries: Iterable[Entry], now: float) -> None:
        for entry in entries:
            row = db.execute("SELECT changes, used FROM key_told WHERE key = ?", (entry.id,)).fetchone()
            changes, used = row or (0, 0)
            facts = [*([] if row else [_generated(entry)]), *map(_of(entry), entry.history[changes:])]
            if self._uses and entry.used - used >= LEASE:
                facts.append(Fact("key.used", key=entry.id, data={"used": entry.used}))
                used = entry.used
            if facts:
                for fact in facts:
                    self._teller.tell(db, now, fact)
                told = (entry.id, len(entry.history), used)
                db.execute("INSERT OR REPLACE INTO key_told VALUES (?, ?, ?)", told)
            for stop in _stops(entry, entry.history[changes:]):
                self._stop(db, stop, now)

    def _stop(self, db: sqlite3.Connection, stop: Stop, now: float) -> None:
        self._stops.now(stop)
        self._stops.keep(db, stop, now)
        told = {"code": stop.code.name, "why": stop.reason}
        self._teller.tell(db, now, Fact("line.stopped", data=told))


def _generated(entry: Entry) -> Fact:
    data: dict[str, object] = {
        "algorithm": entry.profile.algorithm.value,
        "purpose": entry.profile.purpose.value,
        "where": entry.where,
        "origin": entry.origin,
    }
    if entry.public:
        data["public"] = sha256(entry.public).hexdigest()
    return Fact("key.generated", key=entry.id, data=data | ({"mark": entry.mark} if entry.mark else {}))


def _of(entry: Entry) -> Callable[[Change], Fact]:
    def fact(change: Change) -> Fact:
        event = "key.destroyed" if change.state is KeyState.DESTROYED else "key.state"
        data = {"state": change.state.value, "at": change.at, "by": change.actor, "reason": change.reason}
        return Fact(event, key=entry.id, data=data)

    return fact


def _stops(entry: Entry, changes: Iterable[Change]) -> Iterator[Stop]:
    """A key that others may know stops the line."""
    for change in changes:
        if change.state is KeyState.COMPROMISED:
            yield Stop(Code.KEY_NOT_ACTIVE, f"key {entry.id} is compromised: {change.reason}")
