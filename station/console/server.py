"""The console's process: one loop with the engine's link, the stream of frames, and the web server."""

import asyncio
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import uvicorn

from station.clock import RealClock
from station.console.engine_link import EngineLink
from station.console.identity import Identity
from station.console.orders import Orders
from station.console.page_files import page_files
from station.console.picture import Picture
from station.console.stream import Stream
from station.console.ways import Behind, Console
from station.errors import ConfigError


@dataclass(frozen=True)
class Listen:
    """Where browsers find the console."""

    host: str
    port: int

    def __post_init__(self) -> None:
        if not _loopback(self.host):
            raise ConfigError(
                f"--host {self.host}: without TLS only this machine may see the console: "
                "127.0.0.1, ::1 or localhost"
            )


def serve(engine: Path, listen: Listen, identity: Identity, ready: Callable[[str], None]) -> None:
    """Serve until a signal to end; `ready` is told the page's address."""
    asyncio.run(_serve(engine, listen, identity, ready))


async def _serve(engine: Path, listen: Listen, identity: Identity, ready: Callable[[str], None]) -> None:
    files, bound = page_files(), _bound(listen)
    stream = Stream(lambda counted: picture.frame(counted=counted))
    picture = Picture(RealClock().unix, stream.news)
    link = EngineLink(engine, picture)
    behind = Behind(picture, stream, Orders(link.ask), identity, files, lambda: link.there)
    port = bound.getsockname()[1]
    hosts = {listen.host, "localhost", "127.0.0.1", "[::1]"}
    app = Console(behind).app(frozenset(f"{host}:{port}" for host in hosts))
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config, stream)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.end)
    running = [loop.create_task(work) for work in (link.run(), stream.run())]
    try:
        ready(f"http://{_shown(listen.host)}:{port}/")
        await server.serve(sockets=[bound])
    finally:
        for task in running:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(running)


class _Server(uvicorn.Server):
    """Ends when it is told, and lets the streams of browsers go first."""

    def __init__(self, config: uvicorn.Config, stream: Stream) -> None:
        super().__init__(config)
        self._stream = stream

    def end(self) -> None:
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stream.close()
        await super().shutdown(sockets)


def _bound(listen: Listen) -> socket.socket:
    try:
        return socket.create_server(
            (listen.host, listen.port), family=socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        )
    except OSError as error:
        raise ConfigError(f"--listen {listen.host}:{listen.port}: {error.strerror}") from error


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
