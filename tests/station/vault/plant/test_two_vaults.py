"""Two vaults, each a process, and the PostgreSQL server that they share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sim.dut.transport import development_uid
from station.chaos.postgres import Server
from station.clock import RealClock
from station.io_thread import IoThread
from station.model import Disposition, Personalisation
from station.vault.client import VaultClient, VaultProcess
from tests.station.vault.dies import NOW, ChipCard, die_of, sound_chip
from tests.station.vault.sites import ServedSite
from tests.station.vault.vaults import development_order_of


class Today(RealClock):
    """The machine's clock that says it is another day."""

    def unix(self) -> float:
        return NOW


class Line:
    """A vault's process with a client that has lot L1 open."""

    def __init__(self, folder: Path, url: str, io: IoThread) -> None:
        folder.mkdir()
        table = f'[registry]\nkind = "site"\nurl = "{url}"\nwait_s = 10.0\n'
        (folder / "vault.toml").write_text(f'name = "{folder.name}"\n{table}')
        self.process = VaultProcess.start(folder, epoch=NOW, seed=1)
        self.client = VaultClient(self.process.socket, clock=Today(), io=io, station="cell-1")
        self._io = io

    async def open(self) -> None:
        await self.client.connect()
        wanted = development_order_of(self.process.desk, "L1", 20)
        self.client.order = await asyncio.wrap_future(self._io.submit(wanted))
        await self.client.open_lot("L1", product="se1", quantity=20)

    async def make(self, number: int, index: int, uid: bytes | None = None) -> Personalisation:
        return await self.client.personalise(die_of(f"L1/{number}"), ChipCard(sound_chip(index, 4096, uid)))

    async def account(self, number: int) -> str:
        return (await self.client.ask_unit(f"L1/{number}")).account


@pytest.fixture
async def line(server: Server, tmp_path: Path) -> AsyncIterator[Callable[[str], Line]]:
    """Starts a vault of a name; all share one registry."""
    site, io = ServedSite(server), IoThread()
    io.start()
    lines: list[Line] = []

    def started(name: str) -> Line:
        lines.append(Line(tmp_path / name, site.url, io))
        return lines[-1]

    async with AsyncExitStack() as stack:
        stack.callback(io.stop)
        yield started
        for one in lines:
            await one.client.aclose()
            one.process.stop()


async def test_a_clone_at_the_other_vault_is_found_and_the_first_learns_of_it(
    line: Callable[[str], Line],
) -> None:
    first, second = line("vault-1"), line("vault-2")
    await first.open()
    await second.open()
    assert (await first.make(1, 1)).disposition is Disposition.SEALED
    found = await second.make(1, 2, development_uid(1))
    assert (found.disposition, found.error) == (Disposition.QUARANTINE, 202)
    assert "unit L1/1 of vault-1 has the same uid" in found.detail
    assert (await first.make(2, 3)).disposition is Disposition.SEALED, "whose answer brings the alarm"
    assert await first.account(1) == "QUARANTINE"


def test_a_second_vault_of_the_same_name_does_not_start(line: Callable[[str], Line], tmp_path: Path) -> None:
    first = line("vault-1")
    table = (first.process.folder / "vault.toml").read_text()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/vault.toml").write_text(table)
    with pytest.raises(Exception, match="ended before it served"):
        VaultProcess.start(tmp_path / "other", epoch=NOW, seed=1)
    assert "the registry knows another vault as vault-1" in (tmp_path / "other/vault.log").read_text()
