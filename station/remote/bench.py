"""How fast commands and events go through a broker: the round trip of a signed command, events a second."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from station import commands, events
from station.clock import RealClock
from station.engine.bus import Bus
from station.engine.states import State
from station.errors import ConfigError
from station.io_thread import IoThread, failed
from station.remote import own_broker
from station.remote.client import Client, ClientSigner
from station.remote.link import Broker, LinkError
from station.remote.local_bus import LocalBus
from station.remote.mqtt_broker import Address, MqttBroker
from station.remote.presence import About, Inside, Presence, Settings, present
from station.remote.topics import Tree
from station.remote.trust import TrustedKey

TREE = Tree("bench", "bench")
KID = "bench-client#1"
PATIENCE_S = 60.0
WARM_UP = 20
ABOUT = About("bench", "bench", "", (1,), "")


@contextmanager
def broker(folder: Path, url: str | None) -> Iterator[tuple[str, Broker]]:
    """Name and give a broker: the one at `url`, else a Mosquitto of our own, else the bus in the process."""
    if url is not None:
        yield url, MqttBroker(Address(url), simulated=True)
    elif own_broker.PROGRAM is None:
        yield "in-process bus", LocalBus()
    else:
        with own_broker.running(folder) as address:
            yield "mosquitto", MqttBroker(Address(address), simulated=True)


def measured(url: str | None, rounds: int, count: int) -> dict[str, float | str]:
    """Return the figures: ms of a round trip, events a second, microseconds of the engine's loop an event."""
    with TemporaryDirectory() as name, broker(Path(name), url) as (kind, there):
        bench = _Bench(Path(name), there)
        one, both = bench.round_trips(1, rounds), bench.round_trips(2, rounds)
        return {
            "broker": kind,
            "round_trip_p50_ms": round(statistics.median(one), 3),
            "round_trip_p95_ms": round(statistics.quantiles(one, n=20)[-1], 3),
            "round_trip_ml_dsa_p50_ms": round(statistics.median(both), 3),
            **bench.events(count),
        }


class _Bench:
    """A station on the io thread, its client on the calling one."""

    def __init__(self, folder: Path, there: Broker) -> None:
        self._folder, self._broker = folder, there
        self._keys = [
            ClientSigner(KID, ed25519.Ed25519PrivateKey.generate()),
            ClientSigner(KID, mldsa.MLDSA65PrivateKey.generate()),
        ]

    def round_trips(self, algorithms: int, rounds: int) -> list[float]:
        """Return how long each signed command took to its reply, in ms."""
        signing = self._keys[:algorithms]
        with self._station(f"{algorithms}", signing):
            return asyncio.run(self._pinged(signing, rounds))

    async def _pinged(self, signing: list[ClientSigner], rounds: int) -> list[float]:
        async with self._broker.link("bench-client") as link:
            client = Client(link, TREE, "bench-client", signing, RealClock().unix)
            hearing = asyncio.get_running_loop().create_task(client.run())
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await client.join()
                    return [await _pinged(client) for _ in range(WARM_UP + rounds)][WARM_UP:]
            finally:
                hearing.cancel()
                with suppress(asyncio.CancelledError, LinkError):
                    await hearing

    def events(self, count: int) -> dict[str, float]:
        """Return how fast events get from the engine to a listener, and what they cost the engine's loop."""
        with self._station("events", self._keys[:1]) as presence:
            return asyncio.run(self._told(presence, count))

    async def _told(self, presence: Presence, count: int) -> dict[str, float]:
        bus = Bus()
        subscription = bus.subscribe()
        for number in range(count):
            bus.publish(events.Faulted(at=float(number), site=1, reason="bench"))
        bus.close()
        async with asyncio.timeout(PATIENCE_S), self._broker.link("bench-ear") as ear:
            await ear.subscribe(TREE.evt("alarm.raised"))
            began, cpu = time.perf_counter(), time.thread_time()
            await presence.herald.follow(self._folder / "journal", 0, subscription)
            engine_s = time.thread_time() - cpu
            left = count
            async for _ in ear.messages():
                left -= 1
                if left == 0:
                    break
            took = time.perf_counter() - began
        return {
            "events_per_s": round(count / took, 1),
            "engine_us_per_event": round(engine_s * 1e6 / count, 2),
        }

    @contextmanager
    def _station(self, name: str, signing: list[ClientSigner]) -> Iterator[Presence]:
        folder = self._folder / name
        folder.mkdir()
        public = {one.algorithm: one.public().hex() for one in signing}
        key = TrustedKey(KID, frozenset({"host"}), public["Ed25519"], public.get("ML-DSA-65", ""))
        settings = Settings(TREE, {KID: key}, folder, ABOUT, rate=1e9)
        io = IoThread("remote")
        io.start()
        there: Future[tuple[Presence, asyncio.Event]] = Future()
        try:
            running = io.submit(_present(settings, self._broker, there))
            running.add_done_callback(partial(failed, there))
            presence, ended = there.result(PATIENCE_S)
            yield presence
            io.submit(_set(ended)).result(PATIENCE_S)
            running.result(PATIENCE_S)
        finally:
            io.stop()


async def _pinged(client: Client) -> float:
    began = time.perf_counter()
    reply = await client.ask("control.ping")
    if not reply.ok:
        raise ConfigError(f"control.ping: {reply.code}: {reply.reason}")
    return (time.perf_counter() - began) * 1e3


async def _present(
    settings: Settings, there: Broker, ready: "Future[tuple[Presence, asyncio.Event]]"
) -> None:
    async def request(command: commands.Any) -> commands.Receipt:
        return commands.Receipt(ok=False, code="wrong_state", reason=f"{command.id}: there is no cell")

    ended = asyncio.Event()
    inside = Inside(request, lambda: State.EMPTY, RealClock().unix)
    async with present(settings, there, inside) as presence:
        async with asyncio.timeout(PATIENCE_S):
            await presence.agent.connected.wait()
        ready.set_result((presence, ended))
        await ended.wait()


async def _set(event: asyncio.Event) -> None:
    event.set()
