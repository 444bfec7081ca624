"""A key release of two officers, brought at the page to a vault that runs and takes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import BrowserContext, expect

from station import acts, config, key_releases
from station.between import NAME
from station.clock import RealClock
from station.custody.journal import read
from station.io_thread import IoThread
from station.people.people import people
from station.people.pins import Cost
from station.surroundings import simulated_station_file
from station.vault.client import VaultProcess
from station.vault.desk import development_order
from station.vault.desk.client import Asked, DeskClient
from station.vault.desk.documents import KeyRelease
from station.vault.desk.roles import Action
from station.vault.desk.signers import development
from station.vault.desk.statement import signed
from tests.page.conftest import Floor, floor
from tests.page.test_security import OFFICER, opened, shows

pytestmark = pytest.mark.timeout(600)
NAMES = (development_order.OFFICER, development_order.SECOND_OFFICER)


class Lasting(msgspec.Struct):
    """What is read of a release."""

    not_after: int


class Ordered(msgspec.Struct):
    """What is read of an order."""

    releases: list[Lasting]


class Vault:
    """A development vault that outlives every lot, with one order; its persons are those of development."""

    def __init__(self, process: VaultProcess, io: IoThread, station: str) -> None:
        self.process, self._io, self._now = process, io, RealClock().unix()
        lot = development_order.Lot("L1", "se1", 8, bytes(32), station, self._now)
        self.order = io.submit(development_order.order(self._desk(), lot)).result(60)

    def _desk(self) -> DeskClient:
        return DeskClient(self.process.desk, told_time=self._now)

    def releases(self) -> list[int]:
        """Until when each release of the order lasts, in Unix seconds."""
        return self._io.submit(self._shown()).result(60)

    async def _shown(self) -> list[int]:
        desk = self._desk()
        try:
            asked = Asked(Action.SHOW_ORDERS, self.order)
            shown = await desk.ask(asked, development(development_order.ENGINEER))
        finally:
            await desk.aclose()
        (order,) = msgspec.convert(shown.body, list[Ordered])
        return [one.not_after for one in order.releases]

    def key_set(self) -> str:
        """The one that it issues by."""
        return self._io.submit(self._greeted()).result(60)

    async def _greeted(self) -> str:
        desk = self._desk()
        try:
            return (await desk.greet()).key_set
        finally:
            await desk.aclose()


@contextmanager
def vault(folder: Path, station: str) -> Iterator[Vault]:
    process, io = VaultProcess.start(folder), IoThread()
    io.start()
    try:
        yield Vault(process, io, station)
    finally:
        io.stop()
        process.stop()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Vault]:
    with vault(tmp_path / "vault", config.load(simulated_station_file()).station.name) as made:
        yield made


@pytest.fixture
def station(tmp_path: Path, running: Vault) -> Iterator[Floor]:
    """The simulated station, whose file names the vault that runs; the first officer has enrolled."""
    text, table = simulated_station_file().read_text(), '[vault]\nmode = "development"\n'
    assert table in text
    told = (
        f'[vault]\nmode = "running"\norder = "{running.order}"\naddress = "unix:{running.process.socket}"\n'
    )
    (tmp_path / "station.toml").write_text(text.replace(table, told))
    with people(tmp_path / "people", "sim-ft-01", RealClock().unix, Cost.LOW) as inside:
        inside.enrol(inside.found()["first security officer"], *OFFICER)
    with floor(tmp_path, "--speed", "jump", "--station", "station.toml") as made:
        yield made


def test_a_key_release_is_taken_by_the_vault(station: Floor, running: Vault, context: BrowserContext) -> None:
    until = int(RealClock().unix()) + 3600
    release = KeyRelease(
        key_set=running.key_set(), order=running.order, stations=("sim-ft-01",), not_after=until
    )
    data = station.folder / "station-data"
    name = key_releases.bring(data, signed(release, [development(one) for one in NAMES]))
    page = opened(station, context)
    page.locator("[data-view=security]").tap()
    page.locator("button.person").tap()
    shows(page, OFFICER)
    bring = page.locator(f'[data-release="{name}"] [data-bring]')
    expect(bring).to_have_attribute("aria-disabled", "false")
    assert until not in running.releases()
    bring.tap()
    expect(page.locator("[role=dialog]")).to_contain_text(running.order)
    page.locator("[data-ok]").tap()
    expect(page.locator(".message")).to_contain_text("accepted")
    assert running.releases().count(until) == 1
    (taken,) = (one for one in read(data / NAME) if isinstance(one, acts.KeysReleased))
    assert taken.release == name
