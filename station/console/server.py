"""The console's process: one loop with the engine's link, the stream of frames, and the web server."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from station.clock import RealClock
from station.console.analyses import Analyses
from station.console.engine_link import EngineLink
from station.console.identity import Identity
from station.console.listening import Listen, listened
from station.console.lookups import Lookups
from station.console.orders import Orders
from station.console.page_files import page_files
from station.console.picture import Picture
from station.console.stream import Stream
from station.console.ways import Behind, Console
from station.side_work import working


def serve(engine: Path, listen: Listen, identity: Identity, ready: Callable[[str], None]) -> None:
    """Serve until a signal to end; `ready` is told the page's address. ConfigError."""
    listen.admit(identity)
    asyncio.run(_serve(engine, listen, identity, ready))


async def _serve(engine: Path, listen: Listen, identity: Identity, ready: Callable[[str], None]) -> None:
    files = page_files()
    stream = Stream(lambda counted: picture.frame(counted=counted))
    picture = Picture(RealClock().unix, stream.news)
    link = EngineLink(engine, picture)
    lookups, analyses = Lookups(picture, RealClock().unix), Analyses(picture)
    behind = Behind(
        picture,
        stream,
        Orders(link.ask),
        identity,
        files,
        lambda: link.there,
        lookups,
        analyses,
        not listen.on_loopback,
    )
    try:
        async with working(link.run(), stream.run()):
            await listened(Console(behind).app, listen, stream, ready)
    finally:
        lookups.close()
        analyses.close()
