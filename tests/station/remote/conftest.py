"""The broker of a test: one within the process, and a real one."""

from collections.abc import AsyncGenerator, Iterator

import pytest

from station.remote.link import Broker, Message
from station.remote.local_bus import LocalBus
from tests.station.remote.floor import TREE
from tests.station.remote.mosquitto import PROGRAM, Mosquitto, mosquitto

CLIENTS = ("mes-gw", "lab-pc", "bench-pc", "ear", "attacker", "somebody")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A Mosquitto with certificates and access list, one for each module."""
    if PROGRAM is None:
        pytest.skip("no mosquitto is installed")
    with mosquitto(tmp_path_factory.mktemp("broker"), TREE.plant, *CLIENTS) as broker:
        yield broker


@pytest.fixture(params=["bus", "mosquitto"])
async def broker(request: pytest.FixtureRequest) -> AsyncGenerator[Broker, None]:
    """Each test with both; of a real broker nothing retained is left."""
    if request.param == "bus":
        yield LocalBus()
        return
    found: Mosquitto = request.getfixturevalue("real")
    yield found
    async with found.link(TREE.station) as link:
        for topic in (TREE.birth, TREE.online, TREE.state):
            await link.publish(Message(topic, b"", retain=True))
    async with found.link("attacker") as link:
        await link.publish(Message(TREE.cmd("lot.load"), b"", retain=True))
