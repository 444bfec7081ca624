"""The process of the metrics: follows the engine, and answers Prometheus on loopback."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from station.addresses import is_loopback
from station.clock import RealClock
from station.console.engine_link import EngineLink
from station.errors import ConfigError
from station.metrics.gauges import Counting, Instruments


def serve(engine: Path, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until a signal to end; `ready` is told the address. ConfigError if nobody may listen there."""
    if not is_loopback(host):
        raise ConfigError(f"--host {host}: metrics are for this machine's agent alone: 127.0.0.1 or ::1")
    asyncio.run(_serve(engine, host, port, ready))


async def _serve(engine: Path, host: str, port: int, ready: Callable[[str], None]) -> None:
    made = Instruments(CollectorRegistry())
    link = EngineLink(engine, Counting(made, RealClock().unix))
    try:
        http, thread = start_http_server(port, host, made.registry)
    except OSError as error:
        raise ConfigError(f"--host {host} --port {port}: {error.strerror}") from error
    loop = asyncio.get_running_loop()
    following = loop.create_task(link.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, following.cancel)
    try:
        ready(f"http://{host}:{http.server_port}/metrics")
        with suppress(asyncio.CancelledError):
            await following
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
