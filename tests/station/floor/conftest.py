"""The brokers and databases of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from station.chaos import postgres
from station.remote.link import Broker
from station.remote.local_bus import LocalBus
from tests.station.floor.floors import NAME, database
from tests.station.remote.floor import TREE
from tests.station.remote.mosquitto import PROGRAM, Mosquitto, mosquitto


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto with certificates and access list."""
    if PROGRAM is None:
        pytest.skip("no mosquitto is installed")
    (tmp_path / "broker").mkdir()
    with mosquitto(tmp_path / "broker", TREE.plant, "mes-gw", "ear", collectors=(NAME, "second")) as broker:
        yield broker


@pytest.fixture(params=["bus", "mosquitto"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each test with both."""
    if request.param == "bus":
        return LocalBus()
    found: Mosquitto = request.getfixturevalue("real")
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL."""
    found = postgres.programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.running(found) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each test with both."""
    if request.param == "sqlite":
        return database(tmp_path)
    running: postgres.Server = request.getfixturevalue("server")
    return running.database()
