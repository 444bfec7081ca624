"""Wafer sort and final test of a chip over a real vault, row by row: loaded at sort, sealed at final test."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from drivers.roles import Supply
from sequences.se1.entropy import sampled
from sequences.se1.final_test import LOCKED_FINAL_TEST
from sequences.se1.site import PAYLOAD, Se1Site
from sequences.se1.wafer_sort import WAFER_SORT
from sim.dut.chip import Chip
from station.io_thread import IoThread
from station.model import Disposition
from station.sequence import Die, Entrusted, Functional, Parametric, Personalise, Sequence, Test
from station.vault.client import VaultClient, VaultProcess
from tests.station.vault.dies import NOW, ChipCard, die_of
from tests.station.vault.test_vault_process import At
from tests.station.vault.vaults import development_order_of


@pytest.fixture
def io() -> Iterator[IoThread]:
    thread = IoThread()
    thread.start()
    yield thread
    thread.stop()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[VaultProcess]:
    folder = tmp_path / "vault"
    folder.mkdir()
    (folder / "vault.toml").write_text('dies = "known"\n')
    process = VaultProcess.start(folder, seed=1, epoch=NOW)
    yield process
    process.stop()


async def on_chip(sequence: Sequence[Se1Site], site: Se1Site, die: Die) -> list[str]:
    """Run the rows from the opening of the test port on and return the names of those that fail."""
    await site.chip.power_on()
    opening, *tests = [test for test in sequence.tests() if test.number >= 350]
    assert await _passes(opening, site, die)
    async with sampled(site):
        return [test.name for test in tests if not await _passes(test, site, die)]


async def _passes(test: Test[Se1Site], site: Se1Site, die: Die) -> bool:
    match test:
        case Functional():
            return await test.run(site)
        case Entrusted():
            return await test.run(site, die)
        case Personalise():
            return (await test.run(site, die)).disposition is Disposition.SEALED
        case Parametric():
            found = await test.run(site)
            values = found.values() if isinstance(found, Mapping) else [found]
            return all(test.limit.holds(value) for value in values)


async def test_a_die_is_loaded_at_sort_and_sealed_at_final_test(process: VaultProcess, io: IoThread) -> None:
    chip = Chip(7, seed="wafer", payload=PAYLOAD, latency="zero")
    chip.power(3.3)
    vault = VaultClient(process.socket, clock=At(), io=io, station="cell-1")
    site = Se1Site(1, io={}, vdd=cast(Supply, None), chip=ChipCard(chip), vault=vault)
    await vault.connect()
    await vault.open_lot("L1017", product="se1", quantity=1, sorts=True)
    assert await on_chip(WAFER_SORT, site, die_of("L1017/7/-1/246", lot="L1017")) == []
    assert chip.life_cycle.name == "TEST_LOCKED"
    order = await asyncio.wrap_future(io.submit(development_order_of(process.desk, "L2", 2)))
    await vault.open_lot("L2", product="se1", quantity=2, order=order)
    assert await on_chip(LOCKED_FINAL_TEST, site, die_of("L2/T03/118", lot="L2")) == []
    sealed = await vault.ask_unit("L2/T03/118")
    assert sealed.sealed
    assert sealed.uid.hex() == "0a0100010007000003f907ffff00f659"
    await vault.aclose()


def test_the_order_of_rows_is_that_of_the_life_cycle() -> None:
    names = [test.name for test in WAFER_SORT.tests()]
    assert names.index("open_test") < names.index("self_test")
    assert names[-1] == "transport_keys"
    assert not WAFER_SORT.personalises
