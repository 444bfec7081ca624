"""The floor's database of a campaign, which is killed while the collector writes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from station.chaos import postgres
from station.chaos.postgres import Server
from station.chaos.troubles import DATABASE, Trouble
from station.clock import RealClock
from station.errors import StorageError
from station.floor.database import opened
from station.floor.keeping import Keeper, Told


@contextmanager
def keeping(folder: Path, troubles: Sequence[Trouble]) -> Iterator[tuple[Engine, Keeper]]:
    """A floor's database and its writer: PostgreSQL if it is to be killed and is installed, else SQLite."""
    blows = {one.number: bool(one.value) for one in troubles if one.name == DATABASE}
    programs = postgres.programs()
    if programs is None or not blows:
        with _open(f"sqlite:///{folder / 'floor.db'}") as engine:
            yield engine, MortalKeeper(engine, blows)
        return
    with postgres.running(programs) as server, _open(server.database()) as engine:
        yield engine, MortalKeeper(engine, blows, server)


@contextmanager
def _open(address: str) -> Iterator[Engine]:
    engine = opened(address)
    try:
        yield engine
    finally:
        engine.dispose()


class MortalKeeper(Keeper):
    """Its database dies at some of its transactions: before it has one on disk, or before it can say so.

    One that is no server takes no transaction, or takes it and is not heard.
    """

    def __init__(self, engine: Engine, blows: Mapping[int, bool], server: Server | None = None) -> None:
        """`blows`: by the number of the transaction, whether it is on disk then."""
        super().__init__(engine, RealClock().unix)
        self._blows, self._server = blows, server
        self._kept = 0

    def keep(self, found: Sequence[Told]) -> None:
        """As a keeper does; StorageError where the database dies."""
        self._kept += 1
        on_disk = self._blows.get(self._kept)
        if on_disk is None:
            super().keep(found)
            return
        if on_disk:
            super().keep(found)
        try:
            self._die(found)
        finally:
            if self._server is not None:
                self._server.start()
        raise StorageError("the database was killed")

    def _die(self, found: Sequence[Told]) -> None:
        if self._server is not None:
            self._server.kill()
            super().keep(found)
