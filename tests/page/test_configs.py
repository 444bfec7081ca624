"""At the page, between lots: the machines are asked, and another station file is taken."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from station import config as station_config
from station import events
from station.between import NAME
from station.clock import RealClock
from station.custody.journal import read
from station.people.people import people
from station.people.pins import Cost
from station.surroundings import simulated_station_file
from tests.cell.lots import hardbin
from tests.page.conftest import Faults, Floor, button, floor, load
from tests.page.test_security import ENGINEER, OFFICER, opened, shows

pytestmark = pytest.mark.timeout(600)
TEXT = simulated_station_file().read_text()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Floor]:
    """A station to which two files were brought: one that an engineer takes, one that takes two persons."""
    with people(tmp_path / "people", "sim-ft-01", RealClock().unix, Cost.LOW) as inside:
        codes = inside.found()
        inside.enrol(codes["first engineer"], *ENGINEER)
        inside.enrol(codes["first security officer"], *OFFICER)
    file = tmp_path / "station.toml"
    file.write_text(TEXT)
    texts = {
        "one": f"{TEXT}\n[golden]\nhours = 8.0\n",
        "two": TEXT.replace("[station]", '[station]\nrecord = "sim.cell"'),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
        where = ("--station", str(file), "--data", str(tmp_path / "station-data"))
        done = hardbin("config", "apply", str(tmp_path / f"{name}.toml"), *where)
        assert done.returncode == 0, done.stderr
        assert ("security officer" in done.stdout) is (name == "two"), done.stdout
    with floor(tmp_path, "--station", str(file), "--speed", "jump") as made:
        yield made


def test_a_station_file_is_taken_between_lots(station: Floor, context: BrowserContext) -> None:
    page = opened(station, context)
    faults = Faults(page)
    page.locator("button.person").tap()
    shows(page, ENGINEER)
    page.locator("[data-view=engineering]").tap()
    button(page, "selftest.run").tap()
    expect(page.locator(".message")).to_contain_text("Self-Test: accepted")
    page.locator("[data-view=recipes]").tap()
    expect(page.locator("[data-apply]")).to_have_count(2)
    one = page.locator("[data-config]").filter(has_text="golden.hours")
    one.locator("[data-apply]").tap()
    page.locator("#reason").fill("checked more often")
    page.locator("[data-ok]").tap()
    expect(page.locator(".message")).to_contain_text("Apply…: accepted")
    assert station_config.load(station.folder / "station.toml").golden.hours == 8
    two = page.locator("[data-config]").filter(has_text="station.record")
    two.locator("[data-apply]").tap()
    page.locator("#reason").fill("beside the file")
    shows(page, ENGINEER)
    expect(page.locator('[data-dialog="second"]')).to_contain_text("beside the file")
    shows(page, OFFICER)
    expect(page.locator("[role=dialog]")).to_have_count(0)
    expect(page.locator(".message")).to_contain_text("Apply…: accepted")
    page.locator("[data-view=jobs]").tap()
    load(page, "L1", 4)
    page.locator("[data-view=engineering]").tap()
    button(page, "selftest.run").tap(force=True)
    expect(page.locator(".message")).to_contain_text("not while the lot is in state Loaded")
    told = list(read(station.folder / "station-data" / NAME))
    (tested,) = (one for one in told if isinstance(one, events.SelfTested))
    assert (tested.failed, len(tested.machines) > 4) == ({}, True)
    applied = [one for one in told if isinstance(one, events.ConfigApplied)]
    assert [(one.changed, bool(one.second)) for one in applied] == [
        (("golden.hours",), False),
        (("golden.hours", "station.record"), True),
    ]
    assert [
        one for one in faults.said if "404" not in one
    ] == []  # nothing is kept of a lot that was just loaded
