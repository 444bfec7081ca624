"""Registries of a plant that tests take away and give back."""

import sqlite3
from pathlib import Path
from typing import Protocol

from station.chaos.postgres import Server


class Site(Protocol):
    """A registry of a plant."""

    url: str
    driver: str
    deadline_s: float

    def down(self) -> None:
        """From now on it does not answer."""

    def up(self) -> None:
        """It answers again."""


class SqliteSite:
    """A file; it is down while somebody else holds its lock."""

    driver, deadline_s = "sqlite", 1.0

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.url = f"sqlite:///{path}"
        self._db = db

    def down(self) -> None:
        self._db.execute("BEGIN EXCLUSIVE")

    def up(self) -> None:
        self._db.rollback()


class ServedSite:
    """A database of a server; it is down while the server is."""

    driver, deadline_s = "postgresql+psycopg", 10.0

    def __init__(self, server: Server) -> None:
        self.url = server.database()
        self._server, self._is_up = server, True

    def down(self) -> None:
        self._server.kill()
        self._is_up = False

    def up(self) -> None:
        if not self._is_up:
            self._server.start()
        self._is_up = True
