"""The process of the floor's page: looks into the database, and tells browsers what is new."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import json
from sqlalchemy import Engine

from station.clock import RealClock
from station.console.identity import Identity
from station.console.listening import Listen, listened
from station.console.page_files import PageFile, file_of, files_in, page_files
from station.console.stream import Stream
from station.floor.view import View
from station.floor.ways import Floor
from station.side_work import working
from station.writer import Writer

FOLDER = Path(__file__).parent / "page"
WORDS = "i18n/"


def serve(engine: Engine, listen: Listen, identity: Identity, ready: Callable[[str], None]) -> None:
    """Serve until a signal to end; `ready` is told the page's address. ConfigError."""
    listen.admit(identity)
    writer = Writer("floor")
    try:
        asyncio.run(_serve(engine, writer, listen, identity, ready))
    finally:
        writer.close()


async def _serve(
    engine: Engine, writer: Writer, listen: Listen, identity: Identity, ready: Callable[[str], None]
) -> None:
    stream = Stream(lambda counted: view.frame())
    view = View(engine, writer, RealClock().unix, stream.news)
    await view.look()
    floor = Floor(view, stream, identity, floor_files(), not listen.on_loopback)
    async with working(view.run(), stream.run()):
        await listened(floor.app, listen, stream, ready)


def floor_files() -> Mapping[str, PageFile]:
    """Return the console's files, and over them the floor's; of words each language has both."""
    console, own = page_files(), files_in(FOLDER)
    words = {
        name: file_of(name, json.encode(json.decode(console[name].plain) | json.decode(file.plain)))
        for name, file in own.items()
        if name.startswith(WORDS)
    }
    return {**console, **own, **words}
