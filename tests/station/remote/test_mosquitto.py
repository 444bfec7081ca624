"""What only a real broker shows: certificates, access list, will, death and return."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import aiomqtt
import msgspec
import pytest

from station.engine.states import State as CellState
from station.remote.link import Link, LinkError, Message
from station.remote.messages import Online
from station.remote.mqtt_broker import MqttBroker, MqttLink
from tests.station.remote.conftest import CLIENTS
from tests.station.remote.floor import NOW, TREE, Floor, listening, lot
from tests.station.remote.mosquitto import PROGRAM, Mosquitto, mosquitto
from tests.station.remote.test_presence import TOLD, closed, followed, journalled, lot_events

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no mosquitto is installed")
FORGED = (
    TREE.birth,
    TREE.online,
    TREE.state,
    TREE.evt("lot.completed"),
    TREE.td,
    TREE.rsp("ear"),
    TREE.map("w"),
    TREE.log,
)


@asynccontextmanager
async def hearing(broker: Mosquitto, name: str, *topics: str) -> AsyncGenerator[list[Message], None]:
    """Collect what arrives for a name until the block ends and everything before that has arrived."""
    async with broker.link(name) as link:
        await link.subscribe(*topics)
        heard: list[Message] = []
        done = asyncio.get_running_loop().create_task(_until_last(link, heard))
        try:
            yield heard
            async with broker.link(TREE.station) as station, asyncio.timeout(20):
                await station.publish(Message(TREE.evt("last"), b"last"))
                await done
        finally:
            done.cancel()


async def _until_last(link: Link, heard: list[Message]) -> None:
    async for message in link.messages():
        if message.payload == b"last":
            return
        heard.append(message)


async def _say(broker: Mosquitto, *messages: Message) -> None:
    """As the station."""
    async with broker.link(TREE.station) as link:
        for message in messages:
            await link.publish(message)


async def test_nobody_but_the_station_can_say_what_it_says(real: Mosquitto) -> None:
    topics = (
        f"{TREE.root}/{part}" for part in ("birth", "online", "state", "evt/+", "td", "rsp/+", "map/+", "log")
    )
    async with hearing(real, "ear", *topics) as heard:
        for forger in ("attacker", "ws-08", "nobody"):
            async with real.link(forger) as link:
                for topic in FORGED:
                    await link.publish(Message(topic, forger.encode()))
    assert heard == []


async def test_a_certificate_without_a_right_commands_nobody(real: Mosquitto, tmp_path: Path) -> None:
    floor = Floor(tmp_path, real)
    async with floor.station(), floor.client() as client:
        for forger in ("nobody", "ws-08"):
            async with real.link(forger) as link:
                await link.publish(Message(TREE.cmd("lot.load"), b"{}"))
        assert (await client.ask("control.ping")).ok
    assert [event.command for event in floor.audited()] == ["control.ping"]


async def test_another_station_hears_neither_commands_nor_replies(real: Mosquitto) -> None:
    async with real.link("ws-08") as spy:
        await spy.subscribe(TREE.cmd("+"), TREE.rsp("+"), "hardbin/v1/ahm1/ws-08/cmd/+")
        async with real.link("mes-gw") as link:
            await link.publish(Message(TREE.cmd("lot.load"), b"secret"))
            await link.publish(Message("hardbin/v1/ahm1/ws-08/cmd/lot.load", b"mine"))
        async with asyncio.timeout(20):
            first = await anext(aiter(spy.messages()))
    assert first.payload == b"mine"


async def test_a_log_is_heard_by_nobody_who_is_not_named_for_it(real: Mosquitto) -> None:
    topics = TREE.log, TREE.evt("last"), f"{TREE.maps}+"
    async with hearing(real, "mes-gw", *topics) as heard:
        await _say(real, Message(TREE.log, b"{}"), Message(TREE.map("w"), b"a map"))
    assert [message.payload for message in heard] == [b"a map"]


async def test_without_a_certificate_of_the_floor_there_is_no_connection(
    real: Mosquitto, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    with mosquitto(stranger, "ahm1") as other:
        wrong = other.address("ws-07")
    there = with_another(real, wrong.certificate, wrong.key)
    with pytest.raises((LinkError, ssl.SSLError)):
        async with asyncio.timeout(20), there.link("ws-07") as link:
            await link.subscribe("#")
            await anext(aiter(link.messages()))


def with_another(real: Mosquitto, certificate: Path | None, key: Path | None) -> MqttBroker:
    """The real broker, with another authority's certificate in hand."""
    address = real.address("ws-07")
    return MqttBroker(type(address)(address.url, address.ca, certificate, key), simulated=True)


async def test_a_broker_that_dies_and_comes_back_gets_everything_in_order(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    path = await journalled(tmp_path)
    with mosquitto(tmp_path / "broker", TREE.plant, *CLIENTS) as broker:
        floor = Floor(tmp_path, broker)
        floor.cell.block = asyncio.Event()
        async with floor.station() as presence:
            async with floor.client() as client:
                await client.ask("control.acquire")
                asking = asyncio.get_running_loop().create_task(client.ask("lot.load", lot(), name="job"))
                await floor.cell.seen.wait()
                broker.stop()
                with pytest.raises(LinkError):
                    await client.run()
                asking.cancel()
            floor.cell.block.set()
            await followed(presence, path)
            broker.start()
            async with listening(broker) as ear:
                found = await ear.until(closed)
            floor.cell.state, floor.now = CellState.LOADED, NOW + 1
            async with floor.client() as client:
                assert (await client.ask("lot.load", lot(), name="job")).ok
    assert lot_events(found) == TOLD
    ids = [event.id for event in found]
    assert len(set(ids)) == len(ids)
    assert len(floor.cell.taken) == 1


async def test_a_socket_that_is_watched_when_it_is_closed_is_no_alarm(
    real: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    async with real.link(TREE.station):
        gone = socket.socket()
        loop.call_soon(loop.add_writer, gone.fileno(), _failing)
        loop.call_soon(_failing)
        gone.close()
        await asyncio.sleep(0)
    said = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert said == ["of another kind"]


async def test_what_the_library_complains_of_is_a_line(
    real: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async with real.link(TREE.station) as link:
        client = cast("Any", link)._client  # noqa: SLF001 - an answer that nobody waits for cannot be made
        client._on_subscribe(None, None, 77, [], None)  # noqa: SLF001 - the same
    (complaint,) = [one for one in caplog.records if one.name.endswith(".paho")]
    assert "Unexpected message ID" in complaint.getMessage()
    assert complaint.exc_info is None


def _failing() -> None:
    raise OSError("of another kind")


async def test_online_is_retained_and_true(real: Mosquitto, tmp_path: Path) -> None:
    floor = Floor(tmp_path, real)
    async with floor.station() as presence, real.link("ear") as link, asyncio.timeout(20):
        await link.subscribe(TREE.online)
        found = await anext(aiter(link.messages()))
    assert msgspec.json.decode(found.payload, type=Online) == Online(True, presence.epoch)
    assert found.retain


class Deaf:
    """A client that forgets that it is cancelled, as one does whose answer comes at the same moment."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def publish(self, *_: Any, **__: Any) -> None:
        """Wait for an answer that never comes, and take a cancellation for it."""
        self.asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    subscribe = publish


@pytest.mark.parametrize("work", ["publish", "subscribe"])
async def test_a_cancellation_is_not_forgotten_when_the_answer_comes_with_it(work: str) -> None:
    client = Deaf()
    link = MqttLink(cast(aiomqtt.Client, client))
    asked = link.publish(Message("a", b"")) if work == "publish" else link.subscribe("a")
    task = asyncio.create_task(asked)
    await client.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
