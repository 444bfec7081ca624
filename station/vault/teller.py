"""What the vault tells its ledger: a leaf in the same transaction as what it tells."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from station.custody import leaf_table
from station.custody.checkpoint import Checkpoint
from station.custody.ledger import Entry, Fact, Stamp


@dataclass(frozen=True)
class Teller:
    """Stamps facts and adds them."""

    config: str
    """SHA-256 of the effective configuration, hexadecimal."""
    monotonic: Callable[[], float]
    """Seconds since any moment; cannot be set back."""
    began: float
    """What `monotonic` told when the vault started."""

    def reconfigured(self, db: sqlite3.Connection) -> Fact | None:
        """Say that the last leaf was told under another configuration; None if it was under this one."""
        row = db.execute("SELECT entry FROM leaf ORDER BY idx DESC LIMIT 1").fetchone()
        before = "" if row is None else msgspec.json.decode(row[0], type=Entry).cfg
        if row is None or before == self.config:
            return None
        why = f"the vault's configuration is {self.config[:16]} now, and was {before[:16]}"
        return Fact("config.changed", data={"before": before, "now": self.config, "why": why})

    def tell(self, db: sqlite3.Connection, now: float, fact: Fact) -> int:
        """Add a fact of the unix time `now` and return its leaf's row; LedgerError if it may not be one.

        Rows are counted over all logs of the ledger; in the first they are the leaves' indices.
        """
        return leaf_table.placed(db, fact, self._stamp(now))[1]

    def rotate(
        self, db: sqlite3.Connection, now: float, facts: tuple[Fact, Fact], old: str, new: str
    ) -> Checkpoint:
        """End a log with the first fact and begin another with the second; see `leaf_table.rotate`."""
        return leaf_table.rotate(db, *facts, old, new, self._stamp(now))

    def _stamp(self, now: float) -> Stamp:
        mono_ms = max(0, round((self.monotonic() - self.began) * 1000))
        return Stamp(round(now * 1000), mono_ms, self.config)
