"""What the vault tells its ledger: a leaf in the same transaction as what it tells."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from station.custody import leaf_table
from station.custody.ledger import Fact, Stamp


@dataclass(frozen=True)
class Teller:
    """Stamps facts and adds them."""

    config: str
    """SHA-256 of the effective configuration, hexadecimal."""
    monotonic: Callable[[], float]
    """Seconds since any moment; cannot be set back."""
    began: float
    """What `monotonic` told when the vault started."""

    def tell(self, db: sqlite3.Connection, now: float, fact: Fact) -> int:
        """Add a fact of the unix time `now` and return its leaf's index; LedgerError if it may not be one."""
        mono_ms = max(0, round((self.monotonic() - self.began) * 1000))
        return leaf_table.append(db, fact, Stamp(round(now * 1000), mono_ms, self.config)).index
