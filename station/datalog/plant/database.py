"""The plant's database of results: its address, its schema, brought to the version of this station."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from station.errors import ConfigError, StorageError

MIGRATIONS = Path(__file__).parent / "migrations"
ALLOWED = "postgresql://USER@HOST/DATABASE is allowed, with the password in a file: ?passfile=PATH"
ANSWER_S = 10


def reached(address: str) -> Engine:
    """Return an engine, of which nothing is open yet; ConfigError if the address cannot be meant."""
    url = _url(address)
    options = {"connect_timeout": ANSWER_S, "application_name": "hardbin-store"}
    return create_engine(
        url.set(drivername="postgresql+psycopg"), connect_args=options, pool_size=1, hide_parameters=True
    )


def _url(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise ConfigError(f"no address of a database; {ALLOWED}") from None
    if url.drivername != "postgresql" or not url.database:
        raise ConfigError(f"{url.drivername}: no address of the plant's results; {ALLOWED}")
    if url.password is not None or any("password" in name for name in url.query):
        raise ConfigError(f"the address holds a password; {ALLOWED}")
    return url


def upgraded(engine: Engine) -> None:
    """Bring the schema to the newest version; StorageError if the database does not take it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise StorageError(f"{engine.url.render_as_string()}: {error.orig}") from error
