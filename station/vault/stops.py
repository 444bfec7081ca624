"""What stops the line: kept in the journal, so that only two officers end it and no restart does."""

import sqlite3
from collections.abc import Mapping

from station.vault.faults import Code

SCHEMA = """
CREATE TABLE IF NOT EXISTS line_stop(code INTEGER PRIMARY KEY, reason TEXT NOT NULL, at REAL NOT NULL) STRICT;
"""


class Stops:
    """The reasons why nothing is admitted."""

    def __init__(self) -> None:
        self._reasons: dict[Code, str] = {}

    def __bool__(self) -> bool:
        return bool(self._reasons)

    @property
    def reasons(self) -> Mapping[Code, str]:
        """What stops the line, and why."""
        return dict(self._reasons)

    def load(self, db: sqlite3.Connection) -> None:
        """Take over what stopped the line before this start."""
        self._reasons |= {Code(code): why for code, why in db.execute("SELECT code, reason FROM line_stop")}

    def now(self, code: Code, reason: str) -> None:
        """Stop the line at once; it is durable only after `keep`."""
        self._reasons[code] = reason

    def keep(self, db: sqlite3.Connection, code: Code, at: float) -> str:
        """Make a stop outlive this process, and return its reason."""
        db.execute("INSERT OR REPLACE INTO line_stop VALUES (?, ?, ?)", (code, self._reasons[code], at))
        return self._reasons[code]

    def release(self, db: sqlite3.Connection) -> list[str]:
        """End every stop that is kept and return the reasons; one that is not needs a new start."""
        rows = db.execute("DELETE FROM line_stop RETURNING code, reason").fetchall()
        for code, _ in rows:
            self._reasons.pop(Code(code), None)
        return [f"{Code(code).name}: {reason}" for code, reason in rows]
