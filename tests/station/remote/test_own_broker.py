"""A Mosquitto of our own: killed it is gone, started again it is where it was; two do not meet."""

import asyncio
from pathlib import Path

import pytest

from station.remote import own_broker
from station.remote.link import LinkError, Message
from station.remote.mqtt_broker import Address, MqttBroker

pytestmark = pytest.mark.skipif(own_broker.PROGRAM is None, reason="no mosquitto is installed")
PATIENCE_S = 60.0


async def said(url: str) -> None:
    """Say something to oneself."""
    async with MqttBroker(Address(url), simulated=True).link("a") as link:
        await link.subscribe("t")
        await link.publish(Message("t", b"x"))
        async for message in link.messages():
            assert message.payload == b"x"
            return


async def until_said(url: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await said(url)
            except LinkError:
                await asyncio.sleep(0)


async def test_one_that_is_killed_is_gone_and_comes_back_where_it_was(tmp_path: Path) -> None:
    with own_broker.running(tmp_path) as url:
        await said(url)
        own_broker.killed(tmp_path)
        with pytest.raises(LinkError):
            await said(url)
        own_broker.started(tmp_path)
        await until_said(url)
    with pytest.raises(LinkError):
        await said(url)


async def test_two_are_not_in_each_others_way(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    with own_broker.running(folders[0]) as one, own_broker.running(folders[1]) as two:
        assert one != two
        own_broker.killed(folders[0])
        await said(two)


def test_where_none_was_made_none_is_started_or_killed(tmp_path: Path) -> None:
    own_broker.started(tmp_path)
    own_broker.killed(tmp_path)
    assert list(tmp_path.iterdir()) == []
