"""The floor's database has what stations tell, each event once, whoever is killed between them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine

from station.chaos import postgres
from station.errors import StorageError
from station.floor import schema
from station.floor.collector import Collector, Duty
from station.floor.database import opened
from station.floor.keeping import Keeper, Told, told
from station.remote.link import Broker, Message
from station.remote.local_bus import LocalBus
from station.remote.memory import Memory
from station.remote.messages import CloudEvent, Online, utc
from station.remote.presence import MEMORY
from station.remote.topics import Tree
from station.writer import Writer
from tests.station.floor.floors import NAME, Kept, collecting, database, until
from tests.station.remote.floor import NOW, TREE, Floor
from tests.station.remote.mosquitto import Mosquitto
from tests.station.remote.test_presence import EVERY, followed, journalled

AGAIN_S = 0.05


def station(folder: Path, broker: Broker) -> Floor:
    return Floor(folder, broker, collected=True, again_s=AGAIN_S)


def types(kept: Kept) -> list[str]:
    return sorted(row.type for row in kept.rows(schema.EVENT) if row.lot)


def whole(kept: Kept) -> bool:
    return types(kept) == sorted(EVERY)


def waiting(folder: Path) -> int:
    """How many events wait at the station, looked at when it is away."""
    memory = Memory(folder / MEMORY)
    memory.open()
    try:
        return len(memory.waiting(1000))
    finally:
        memory.close()


async def forgotten(presence: Any) -> None:
    """Wait until nothing waits at the station any more."""

    async def nothing() -> bool:
        herald = presence.herald
        return not await herald._writer.run(herald._memory.waiting, 1)

    await until(nothing)


async def sent(presence: Any) -> None:
    """Wait until the station has sent all its events once."""

    async def all_sent() -> bool:
        return bool(presence.agent._outflow._sent >= len(EVERY))

    await until(all_sent)


async def test_what_a_station_tells_is_kept_and_then_forgotten_there(
    tmp_path: Path, broker: Broker, address: str
) -> None:
    path = await journalled(tmp_path)
    async with collecting(broker, address) as kept, station(tmp_path, broker).station() as presence:
        await followed(presence, path)
        await kept.until(whole)
        await forgotten(presence)
        await kept.until(lambda kept: kept.rows(schema.STATION)[0].state["cell"] == "CLOSED")
    (lot,) = kept.rows(schema.LOT)
    assert (lot.plant, lot.station, lot.lot, lot.product) == ("ahm1", "ws-07", "L1", "se1")
    assert (lot.outcome, lot.tested, lot.good, lot.stdf_sha256) == ("PASSED", 4, 2, "ab")
    assert (lot.loaded, lot.started, lot.ended) == (utc(NOW),) * 3
    (cell,) = kept.rows(schema.STATION)
    assert (cell.epoch, cell.birth["sequence"], cell.state["cell"]) == (1, "bench", "CLOSED")
    (there,) = kept.rows(schema.COLLECTOR)
    assert there.name == NAME


async def test_without_a_collector_a_station_keeps_what_it_has_told(tmp_path: Path, broker: Broker) -> None:
    path = await journalled(tmp_path)
    async with station(tmp_path, broker).station() as presence:
        await followed(presence, path)
        await sent(presence)
    assert waiting(tmp_path) == len(EVERY)
    async with collecting(broker, database(tmp_path)) as kept, station(tmp_path, broker).station():
        await kept.until(whole)


async def test_a_collector_that_comes_late_is_told_while_the_station_stays(
    tmp_path: Path, broker: Broker
) -> None:
    path = await journalled(tmp_path)
    async with station(tmp_path, broker).station() as presence:
        await followed(presence, path)
        async with collecting(broker, database(tmp_path)) as kept:
            await kept.until(whole)
            await forgotten(presence)


async def test_a_collector_that_dies_before_it_writes_loses_nothing(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await journalled(tmp_path)
    heard = asyncio.Event()

    async def dies(self: Collector, batch: object) -> None:
        heard.set()
        await asyncio.Event().wait()

    async with station(tmp_path, broker).station() as presence:
        with monkeypatch.context() as patched:
            patched.setattr(Collector, "_stored", dies)
            async with collecting(broker, database(tmp_path)) as kept:
                await followed(presence, path)
                await heard.wait()
                assert not kept.rows(schema.EVENT)
        async with collecting(broker, database(tmp_path)) as kept:
            await kept.until(whole)
            await forgotten(presence)


async def test_a_broker_that_dies_with_all_it_had_loses_nothing(tmp_path: Path, real: Mosquitto) -> None:
    path = await journalled(tmp_path)
    async with (
        collecting(real, database(tmp_path)) as kept,
        station(tmp_path, real).station() as presence,
    ):
        real.stop()
        await followed(presence, path)
        real.start()
        await kept.until(whole)
        await forgotten(presence)


async def test_a_database_that_dies_loses_nothing(tmp_path: Path, server: postgres.Server) -> None:
    path, bus = await journalled(tmp_path), LocalBus()
    async with (
        collecting(bus, server.database()) as kept,
        station(tmp_path, bus).station() as presence,
    ):
        server.kill()
        await followed(presence, path)
        await sent(presence)
        server.start()
        await kept.until(whole)
        await forgotten(presence)


async def test_two_collectors_share_a_plant_and_keep_each_event_once(
    tmp_path: Path, real: Mosquitto, server: postgres.Server
) -> None:
    path, where = await journalled(tmp_path), server.database()
    async with (
        collecting(real, where) as kept,
        collecting(real, where, name="second"),
        station(tmp_path, real).station() as presence,
    ):
        await followed(presence, path)
        await kept.until(whole)
        await forgotten(presence)
    assert [row.name for row in kept.rows(schema.COLLECTOR)] == [NAME, "second"]


async def test_nobody_but_the_collector_makes_a_station_forget(tmp_path: Path, real: Mosquitto) -> None:
    """Neither a client's certificate nor a word about other bytes."""
    path = await journalled(tmp_path)
    lie = msgspec.json.encode([[n, "0" * 64] for n in range(1, 10)])
    async with station(tmp_path, real).station() as presence:
        await followed(presence, path)
        async with real.link("mes-gw") as link, real.link(NAME) as own:
            for one in (link, own):
                await one.publish(Message(TREE.kept, lie))
            await own.publish(Message(TREE.kept, b'{"no": "list"}'))
        async with collecting(real, database(tmp_path)) as kept:
            await kept.until(whole)
            await forgotten(presence)


def event(**changed: Any) -> tuple[str, bytes]:
    made = CloudEvent(
        id="L1/1.0", source=f"/{TREE.root}", type="lot.loaded", time=utc(NOW), subject="L1", data={}
    )
    made = msgspec.structs.replace(made, **changed)
    return TREE.evt("lot.loaded"), msgspec.json.encode(made)


LOADED = {"product": "se1", "sequence": "s", "fingerprint": "00", "quantity": 4}


@pytest.mark.parametrize(
    ("topic", "payload", "why"),
    [
        ("hardbin/v1/ahm1", b"{}", "no topic"),
        ("hardbin/v1/AHM1/ws-07/birth", b"{}", "no topic"),
        ("hardbin/v2/ahm1/ws-07/birth", b"{}", "no topic"),
        (TREE.td, b"[]", "nothing that is collected"),
        (TREE.online, b"no JSON", "malformed"),
        (TREE.online, b'{"online":true,"epoch":4294967296}', "epoch"),
        (*event(source="/hardbin/v1/ahm1/ws-08", data=LOADED), "an event"),
        (*event(type="lot.started"), "an event"),
        (*event(), "product"),
        (*event(data=LOADED | {"quantity": 2**40}), "<="),
        (*event(data=LOADED | {"product": "\0"}), "NUL"),
        (TREE.evt("lot.loaded"), b'{"a":"' + b"x" * 300_000 + b'"}', "bytes"),
    ],
)
def test_what_no_station_says_is_not_kept(topic: str, payload: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        told(topic, payload, b"1")


async def test_nonsense_does_not_stop_a_collector(tmp_path: Path, broker: Broker) -> None:
    path = await journalled(tmp_path)
    async with collecting(broker, database(tmp_path)) as kept:
        async with broker.link(TREE.station) as link:
            for payload in (b"", b"\xff", b"[" * 10_000, b'{"online":1}'):
                await link.publish(Message(TREE.evt("lot.loaded"), payload))
                await link.publish(Message(TREE.online, payload))
        async with station(tmp_path, broker).station() as presence:
            await followed(presence, path)
            await kept.until(whole)


def test_the_will_of_an_earlier_start_and_an_old_state_change_nothing(address: str) -> None:
    engine = opened(address)
    kept, keeper = Kept(engine), Keeper(engine, lambda: NOW)

    def online(*, there: bool, epoch: int) -> bool:
        payload = msgspec.json.encode(Online(there, epoch))
        keeper.keep([told(TREE.online, payload, b"")])
        return bool(kept.rows(schema.STATION)[0].online)

    assert online(there=True, epoch=2)
    assert online(there=False, epoch=1)
    assert not online(there=False, epoch=2)
    assert online(there=True, epoch=1), "a station whose memory is new"
    engine.dispose()


def test_events_of_a_lot_may_come_in_any_order_and_twice(address: str) -> None:
    engine = opened(address)
    kept, keeper = Kept(engine), Keeper(engine, lambda: NOW)
    ended = event(type="lot.completed", id="L1/9.0", data={"outcome": "PASSED", "tested": 4, "good": 3})[1]
    for topic, payload in [(TREE.evt("lot.completed"), ended), event(data=LOADED)] * 2:
        keeper.keep([told(topic, payload, b"1")])
    (lot,) = kept.rows(schema.LOT)
    assert (lot.quantity, lot.outcome, lot.good) == (4, "PASSED", 3)
    assert len(kept.rows(schema.EVENT)) == 2
    opened(address).dispose()
    engine.dispose()


def test_a_duty_that_cannot_be_in_a_topic_is_refused() -> None:
    with pytest.raises(Exception, match="a-z"):
        Duty("AHM 1", "collector")


async def test_a_collector_that_is_told_to_end_ends_though_its_database_fails_at_that_moment() -> None:
    """What is written is awaited, and its failure outweighs the cancellation: it is not tried for ever."""
    begun, go_on = asyncio.Event(), Event()
    loop = asyncio.get_running_loop()

    class Failing(Keeper):
        def keep(self, found: Sequence[Told]) -> None:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait()
            raise StorageError("the database was killed")

        def there(self, name: str, *, connected: bool) -> None:
            pass

    engine, writer, bus = create_engine("sqlite://"), Writer("floor"), LocalBus()
    collector = Collector(bus, Duty("p", "c"), Failing(engine, lambda: 0.0), writer)
    running = loop.create_task(collector.run())
    await collector.listening.wait()
    async with bus.link("s") as link:
        online = msgspec.json.encode(Online(online=True, epoch=1))
        await link.publish(Message(Tree("p", "s").online, online, retain=True))
        await begun.wait()
    running.cancel()
    loop.call_soon(go_on.set)
    async with asyncio.timeout(30):
        await asyncio.wait([running])
    assert running.cancelled()
    writer.close()
