"""The vault as a process of its own, over its real socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from station.clock import RealClock
from station.io_thread import IoThread
from station.model import Disposition
from station.vault.client import VaultClient, VaultProcess
from tests.station.vault.dies import NOW, ChipCard, die_of, sound_chip


class At(RealClock):
    """The machine's clock that says it is another day."""

    def unix(self) -> float:
        return NOW


@pytest.fixture
def io() -> Iterator[IoThread]:
    thread = IoThread()
    thread.start()
    yield thread
    thread.stop()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[VaultProcess]:
    process = VaultProcess.start(tmp_path / "vault", seed=1)
    yield process
    process.stop()


async def test_a_die_is_sealed_over_the_socket(process: VaultProcess, io: IoThread) -> None:
    client = VaultClient(process.socket, clock=At(), io=io, station="cell-1")
    assert await client.connect() == "development"
    await client.open_lot("L1", product="se1", quantity=2)
    card = ChipCard(sound_chip())
    outcome = await client.personalise(die_of("L1/1"), card)
    assert outcome.disposition is Disposition.SEALED
    assert len(card.scripts) == 8
    known = await client.ask_unit("L1/1")
    assert (known.standing, known.account, known.sealed) == ("REGISTERED", "SECURED", True)
    assert known.serial == outcome.serial
    assert await client.close_lot("L1") == {"SECURED": 1}
    await client.aclose()
