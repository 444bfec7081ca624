"""The ledger of people: accounts, sessions, approvals; each entry is in its change's transaction."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from time import monotonic

from station.custody import durable_file, leaf_table, seed_file
from station.custody.checkpoint import Note
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.ledger import Fact, Stamp
from station.custody.tile_writer import TileWriter
from station.errors import ConfigError
from station.people.database import Database

SEEDS, FOLDER, SIGNED = "ledger.key", "ledger", "ledger.signed"
OF = "/people"


def station_of(folder: Path) -> str:
    """Return the station whose people a folder has; ConfigError if it has none."""
    if not (folder / SEEDS).exists():
        raise ConfigError(f"{folder}: no people are here; `hardbin people init` makes the first accounts")
    return seed_file.read(folder / SEEDS).name.removesuffix(OF)


class Trail:
    """Tells, and publishes what was told as a folder that `hardbin audit` checks."""

    def __init__(self, folder: Path, station: str, unix: Callable[[], float]) -> None:
        self._folder, self._station, self._unix = folder, station, unix
        self._began, self._turn = monotonic(), Lock()
        self._cfg = sha256(station.encode()).hexdigest()
        self._seeds = seed_file.had(folder / SEEDS, station + OF)

    def tell(self, db: sqlite3.Connection, event: str, person: str | None, **data: object) -> None:
        """Add an entry to the transaction under way; `person` is a pseudonym, and no secret is told."""
        if leaf_table.head(db).edge.size == 0:
            opening = {"origin": self._seeds.name, "mode": "production", "claims": "of the station"}
            self._append(db, "log.opened", None, opening)
        self._append(db, event, person, data)

    def _append(
        self, db: sqlite3.Connection, event: str, person: str | None, data: Mapping[str, object]
    ) -> None:
        fact = Fact(event, f"station:{self._station}", data, actor=person)
        stamp = Stamp(round(self._unix() * 1000), round((monotonic() - self._began) * 1000), self._cfg)
        leaf_table.append(db, fact, stamp)

    def publish(self, database: Database) -> Note | None:
        """Sign and write all that was told; None if nothing was. LedgerError if it went back."""
        with self._turn, suppress(BlockingIOError), durable_file.held(self._folder), database.apart() as db:
            if leaf_table.head(db).edge.size == 0:
                return None
            writer = TileWriter(self._folder / FOLDER)
            leaf_table.catch_up(db, writer)
            kept = KeptNote(self._folder / SIGNED, self._seeds.name)
            signer = CheckpointSigner(self._seeds.name, self._seeds.signers(), kept, self._unix)
            return writer.sign_and_publish(signer)
        return None  # another process is at it, or nothing was told

    @property
    def keys(self) -> tuple[str, ...]:
        """The public keys, one a line, as an auditor brings them."""
        return tuple(str(signer.key) for signer in self._seeds.signers())
