"""The width of a whole cell: sixty-four dies in work at once, coming and going, and nothing in a race."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.custody.balance import Binned
from station.io_thread import IoThread
from station.model import Disposition
from station.vault.client import VaultClient, VaultProcess
from station.vault_answers import LotClosing
from tests.station.vault.dies import NOW, ChipCard, die_of, sound_chip
from tests.station.vault.test_vault_process import At
from tests.station.vault.vaults import development_order_of

SITES, ROUNDS = 64, 2


@pytest.fixture
def io() -> Iterator[IoThread]:
    thread = IoThread()
    thread.start()
    yield thread
    thread.stop()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[VaultProcess]:
    process = VaultProcess.start(tmp_path / "vault", seed=1, epoch=NOW)
    yield process
    process.stop()


async def _site(client: VaultClient, site: int) -> list[Disposition]:
    """One site: a die that is sealed, then one of which the contact fails, which comes again."""
    first, second = ChipCard(sound_chip(site, payload=4096)), ChipCard(sound_chip(100 + site, payload=4096))
    sealed = await client.personalise(die_of(f"L1/{site}"), first)
    second.stop_at = lambda script, step: script <= 3 and step == 2
    untouched = await client.personalise(die_of(f"L1/{100 + site}"), second)
    second.stop_at = lambda _script, _step: False
    again = await client.personalise(die_of(f"L1/{100 + site}", contact=2), second)
    return [sealed.disposition, untouched.disposition, again.disposition]


async def test_sixty_four_sites_at_once(process: VaultProcess, io: IoThread) -> None:
    client = VaultClient(process.socket, clock=At(), io=io, station="cell-1")
    await client.connect()
    order = development_order_of(process.desk, "L1", SITES * ROUNDS)
    client.order = await asyncio.wrap_future(io.submit(order))
    await client.open_lot("L1", product="se1", quantity=SITES * ROUNDS)
    async with asyncio.TaskGroup() as group:
        sites = [group.create_task(_site(client, site)) for site in range(SITES)]
    wanted = [Disposition.SEALED, Disposition.RETRY, Disposition.SEALED]
    assert [one.result() for one in sites] == [wanted] * SITES
    assert await client.open_sessions() == 0
    units = [f"L1/{n + site}" for n in (0, 100) for site in range(SITES)]
    await client.claim("L1", [Binned(unit, 1, "pass") for unit in units])
    assert await client.close_lot("L1") == LotClosing({"SECURED": SITES * ROUNDS})
    assert b'"stop' not in (process.folder / "vault.log").read_bytes()
    await client.aclose()
