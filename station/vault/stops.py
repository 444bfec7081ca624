"""What stops the line, or a site: kept in the journal, so that two officers end it, and no restart does."""

import sqlite3
from collections.abc import Mapping

from station.vault.faults import Code
from station.vault.vigilance import Stop

SCHEMA = """
CREATE TABLE IF NOT EXISTS line_stop(
  code INTEGER NOT NULL, station TEXT NOT NULL, site TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY(code, station, site)) STRICT;
"""

Key = tuple[Code, str, str]
"""Code, station and site; the last two are empty for the whole line."""


class Stops:
    """The reasons why nothing is admitted, or nothing at a site."""

    def __init__(self) -> None:
        self._reasons: dict[Key, str] = {}

    @property
    def reasons(self) -> Mapping[Key, str]:
        """All that is stopped, and why."""
        return dict(self._reasons)

    def at(self, station: str, site: str) -> str:
        """Why nothing is admitted at a site; empty if nothing stops it."""
        wanted = (("", ""), (station, site))
        return "; ".join(why for (_, *where), why in self._reasons.items() if tuple(where) in wanted)

    def load(self, db: sqlite3.Connection) -> None:
        """Take over what was stopped before this start."""
        for code, station, site, reason in db.execute("SELECT code, station, site, reason FROM line_stop"):
            self._reasons[Code(code), station, site] = reason

    def now(self, stop: Stop) -> None:
        """Stop at once; it is durable only after `keep`."""
        self._reasons[stop.code, stop.station, stop.site] = stop.reason

    def keep(self, db: sqlite3.Connection, stop: Stop, at: float) -> None:
        """Make a stop outlive this process."""
        row = (stop.code, stop.station, stop.site, stop.reason, at)
        db.execute("INSERT OR REPLACE INTO line_stop VALUES (?, ?, ?, ?, ?)", row)

    def release(self, db: sqlite3.Connection) -> list[str]:
        """End every stop that is kept and return the reasons; one that is not needs a new start."""
        rows = db.execute("DELETE FROM line_stop RETURNING code, station, site, reason").fetchall()
        for code, station, site, _ in rows:
            self._reasons.pop((Code(code), station, site), None)
        return [f"{Code(code).name}: {reason}" for code, _, _, reason in rows]
