"""The floor's database: a file of SQLite, or PostgreSQL; brought to this version when it is opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from station.datalog.plant.database import reached
from station.errors import ConfigError, StorageError

MIGRATIONS = Path(__file__).parent / "migrations"
DEFAULT = "sqlite:///floor.db"
ALLOWED = "sqlite:///FILE or postgresql://USER@HOST/DATABASE?passfile=PATH is allowed"
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000")


def opened(address: str) -> Engine:
    """Return the database with this version's tables; ConfigError for what is no address, StorageError."""
    engine = _engine(address)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with working(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return engine


def _engine(address: str) -> Engine:
    if address.startswith("postgresql:"):
        return reached(address)
    file = address.removeprefix("sqlite:///")
    if file == address or not file:
        raise ConfigError(f"{address!r}: no address of the floor's database; {ALLOWED}")
    if not Path(file).parent.is_dir():
        raise ConfigError(f"{address}: there is no folder {Path(file).parent}")
    engine = create_engine(f"sqlite:///{file}")
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for one in PRAGMAS:
        cursor.execute(f"PRAGMA {one}")
    cursor.close()


@contextmanager
def working(engine: Engine) -> Iterator[Connection]:
    """One transaction; StorageError if the database is away, or does not take it."""
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise StorageError(f"{engine.url.render_as_string()}: {error.orig}") from error
