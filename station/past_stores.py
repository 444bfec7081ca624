"""Where results of earlier insertions lie: in a station's store, or in the plant's database."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from station.datalog import schema
from station.datalog.rows import DeviceRow
from station.datalog.store import ROW, Store
from station.errors import ConfigError, StorageError

PLANT = "postgresql:"
BATCH = 1000


class PastStore(Protocol):
    """A database of results; what cannot be read is a StorageError."""

    @property
    def name(self) -> str:
        """What it is called in a lot's record: enough to find it again."""

    def runs(self) -> Iterable[Mapping[str, Any]]:
        """Return the rows of its runs."""

    def devices(self, run: int) -> Generator[DeviceRow, None, None]:
        """Yield the contacts of a run, in order."""


def store_of(text: str) -> PastStore:
    """Return what a text names: a path, or `postgresql://USER@HOST/DATABASE#LOT,LOT`; ConfigError."""
    return _Plant(text) if text.startswith(PLANT) else _Station(Path(text))


@dataclass(frozen=True)
class _Station:
    """The store of a lot, or of a station."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.absolute())

    def __str__(self) -> str:
        return str(self.path)

    def runs(self) -> Iterable[Mapping[str, Any]]:
        if not self.path.is_file():
            raise StorageError(f"{self.path}: there is no such file")
        with self._opened() as store:
            return store.rows(schema.RUN)

    def devices(self, run: int) -> Generator[DeviceRow, None, None]:
        with self._opened() as store:
            yield from store.devices(run)

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        store = Store(self.path)
        try:
            yield store
        finally:
            store.close()


class _Plant:
    """Some lots in the plant's database: all that it has of a product would be too much."""

    def __init__(self, text: str) -> None:
        address, _, lots = text.partition("#")
        self.name = text
        self._lots = tuple(filter(None, lots.split(",")))
        if not self._lots:
            raise ConfigError(f"{address}: which lots? write {address}#LOT, or several with commas")
        from station.datalog.plant.database import reached  # what most lots do without

        self._engine = reached(address)

    def __str__(self) -> str:
        return self.name

    def runs(self) -> Iterable[Mapping[str, Any]]:
        columns = schema.RUN.c
        query = select(schema.RUN).where(columns.lot.in_(self._lots)).order_by(columns.id)
        with self._reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def devices(self, run: int) -> Generator[DeviceRow, None, None]:
        columns = schema.DEVICE.c
        query = select(*ROW).where(columns.run_id == run).order_by(columns.id)
        with self._reading() as connection:
            for row in connection.execution_options(yield_per=BATCH).execute(query):
                yield DeviceRow(*row)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise StorageError(f"{self.name}: {str(error.orig).strip().splitlines()[0]}") from error
        finally:
            self._engine.dispose()
