"""The same with real processes: killed by SIGKILL, or out of room, at the end of a script of the die."""

import asyncio
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sim.dut.chip import Chip
from station.errors import CustodyError
from station.io_thread import IoThread
from station.model import Disposition, Personalisation
from station.vault.client import Purpose, VaultClient, VaultProcess
from tests.crash.points import FULL
from tests.station.vault.dies import ChipCard, die_of, sound_chip
from tests.station.vault.test_vault_process import At, WatchedCard, certificates_in
from tests.station.vault.vaults import development_order_of

SCRIPTS = 8
LOT, UNIT = "L1", "L1/1"


@pytest.fixture(scope="module")
def io() -> Iterator[IoThread]:
    thread = IoThread()
    thread.start()
    yield thread
    thread.stop()


class Floor:
    """A vault's process and a station that knows it."""

    def __init__(self, folder: Path, io: IoThread) -> None:
        self.process = VaultProcess.start(folder, seed=1)
        self._io = io
        self.client = VaultClient(self.process.socket, clock=At(), io=io, station="cell-1")

    async def open_lot(self) -> None:
        await self.client.connect()
        ordered = development_order_of(self.process.desk, LOT, 20)
        order = await asyncio.wrap_future(self._io.submit(ordered))
        await self.client.open_lot(LOT, product="se1", quantity=20, order=order)

    async def bring(self, card: ChipCard) -> Personalisation:
        known = await self.client.ask_unit(UNIT)
        purpose = Purpose.RESUME if known.intent else Purpose.PERSONALISE
        return await self.client.personalise(die_of(UNIT, contact=2), card, purpose=purpose)

    async def close(self) -> int:
        await self.client.aclose()
        return self.process.stop()


def key_store_of(vault: int) -> int:
    """The process that the vault started."""
    (child,) = Path(f"/proc/{vault}/task/{vault}/children").read_text().split()
    return int(child)


def fill_the_disk(vault: int) -> None:
    """No file of the vault may grow any more."""
    _, hard = resource.prlimit(vault, resource.RLIMIT_FSIZE)
    resource.prlimit(vault, resource.RLIMIT_FSIZE, (0, hard))


async def cut(
    floor: Floor, chip: Chip, script: int, act: Callable[[], None]
) -> Personalisation | CustodyError:
    """Bring a die, and do something at the end of a script; the verdict, or why there is none."""
    try:
        return await floor.bring(WatchedCard(chip, script, act))
    except CustodyError as error:
        return error


@pytest.mark.parametrize("script", range(1, SCRIPTS + 1) if FULL else (1, 3, 5, 8))
async def test_a_vault_without_room_gives_no_verdict_and_goes_on_when_there_is_room(
    tmp_path: Path, io: IoThread, script: int
) -> None:
    floor, chip = Floor(tmp_path / "vault", io), sound_chip()
    await floor.open_lot()
    pid = floor.process.pid
    outcome = await cut(floor, chip, script, lambda: fill_the_disk(pid))
    assert isinstance(outcome, CustodyError)
    with pytest.raises(CustodyError):
        await floor.client.personalise(die_of("L1/2"), ChipCard(sound_chip(2)))
    issued = certificates_in(floor.process.folder)
    await floor.close()
    floor = Floor(tmp_path / "vault", io)
    assert (await floor.bring(ChipCard(chip))).disposition is Disposition.SEALED
    await floor.close()
    assert issued in ([], certificates_in(floor.process.folder))


@pytest.mark.parametrize("script", range(1, SCRIPTS + 1) if FULL else (2, 5, 7))
async def test_a_killed_key_store_is_started_again_and_the_die_goes_on(
    tmp_path: Path, io: IoThread, script: int
) -> None:
    floor, chip = Floor(tmp_path / "vault", io), sound_chip()
    await floor.open_lot()
    store = key_store_of(floor.process.pid)
    outcome = await cut(floor, chip, script, lambda: os.kill(store, signal.SIGKILL))
    if not isinstance(outcome, Personalisation):
        outcome = await floor.bring(ChipCard(chip))
    assert outcome.disposition is Disposition.SEALED
    assert key_store_of(floor.process.pid) != store
    assert await floor.close() == 0


def test_production_refuses_what_development_made(tmp_path: Path) -> None:
    """Keys and roots that everybody can compute are no plant's, whoever changes the mode in its file."""
    folder = tmp_path / "vault"
    VaultProcess.start(folder, seed=1).stop()
    (folder / "vault.toml").write_text('mode = "production"\n')
    before = (folder / "vault.sqlite").read_bytes()
    with pytest.raises(CustodyError, match="ended before it served"):
        VaultProcess.start(folder)
    assert "keys/keys.log says why" in (folder / "vault.log").read_text()
    assert "a development store, which production refuses" in (folder / "keys" / "keys.log").read_text()
    assert (folder / "vault.sqlite").read_bytes() == before
