"""Collectors and databases of a test, and what is in them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, create_engine, select
from sqlalchemy.pool import NullPool

from station.floor.collector import Collector, Duty
from station.floor.database import opened
from station.floor.keeping import Keeper
from station.remote.link import Broker
from station.writer import Writer
from tests.station.remote.floor import NOW

NAME = "collector"
LOOKED_S = 0.02


class Kept:
    """A floor's database, looked at from outside."""

    def __init__(self, engine: Engine) -> None:
        self.engine = create_engine(engine.url, poolclass=NullPool)

    def rows(self, table: Table) -> list[Any]:
        """What stands in a table, in order of its key."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(table).order_by(*table.primary_key)))

    async def until(self, wanted: Callable[["Kept"], bool]) -> None:
        """Look until it is as wanted."""

        async def found() -> bool:
            return await asyncio.get_running_loop().run_in_executor(None, wanted, self)

        await until(found)


async def until(wanted: Callable[[], Awaitable[bool]], patience_s: float = 60.0) -> None:
    """Look again and again, until it is so."""
    async with asyncio.timeout(patience_s):
        while True:
            if await wanted():
                return
            await asyncio.sleep(LOOKED_S)


def database(folder: Path) -> str:
    """The address of a file."""
    return f"sqlite:///{folder}/floor.db"


@asynccontextmanager
async def collecting(
    broker: Broker, address: str, plant: str = "ahm1", name: str = NAME
) -> AsyncGenerator[Kept, None]:
    """Have a collector while the block lasts; it ends without a word, as one that is killed."""
    engine, writer = opened(address), Writer("floor")
    collector = Collector(broker, Duty(plant, name), Keeper(engine, lambda: NOW), writer)
    running = asyncio.get_running_loop().create_task(collector.run())
    try:
        async with asyncio.timeout(60):
            await collector.listening.wait()
        yield Kept(engine)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        writer.close()
        engine.dispose()
