"""A second pass over a wafer and clean tips, asked for at the page while the lot is paused."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from station import events
from station.custody.journal import read
from station.model import BinKind
from station.surroundings import WAFER_SORT, simulated_station_file
from tests.page.conftest import Faults, button, floor, load

pytestmark = pytest.mark.timeout(600)


def test_rejects_of_one_bin_are_landed_on_once_more(tmp_path: Path, context: BrowserContext) -> None:
    defects = ("--fault", "dut.idd_high@p=0.3", "--fault", "dut.leaky_input@p=0.3")
    cell = ("--station", str(simulated_station_file(WAFER_SORT)), *defects, "--speed", "20")
    with floor(tmp_path, *cell, roles=("technician",)) as made:
        page = context.new_page()
        faults = Faults(page)
        page.goto(made.url)
        body = page.locator("body")
        load(page, "L1", 190)
        button(page, "lot.start").tap()
        expect(body).to_have_attribute("data-state", "RUNNING")
        expect(page.locator(".pareto [data-bin]").nth(2)).to_be_visible()  # two kinds of rejects
        button(page, "lot.pause").tap()
        expect(body).to_have_attribute("data-state", "PAUSED")
        button(page, "probe.clean").tap()
        page.locator("[data-ok]").tap()
        expect(page.locator(".message")).to_contain_text("Clean Tips…: accepted")
        button(page, "retest.start").tap()
        dialog = page.locator("[role=dialog]")
        chosen = dialog.locator("[role=group]").first.locator("[data-choice]").first
        number = int(chosen.get_attribute("data-choice") or "0")
        chosen.tap()
        expect(page.locator("[data-ok]")).to_be_disabled()  # it takes a reason
        page.locator("#reason").fill("a cable was loose")
        page.locator("[data-ok]").tap()
        expect(page.locator(".message")).to_contain_text("Retest…: accepted")
        button(page, "lot.resume").tap()
        expect(body).to_have_attribute("data-state", "RUNNING")
        button(page, "lot.end").tap()
        page.locator("[data-ok]").tap()
        expect(body).to_have_attribute("data-state", "CLOSED")
        happened = list(read(made.folder / "lots/L1/journal"))
        assert faults.said == []
    assert [one.failed for one in happened if isinstance(one, events.Cleaned)] == [""]
    (begun,) = (one for one in happened if isinstance(one, events.RetestBegun))
    before = happened[: happened.index(begun)]
    places = {
        (one.seq, site): place
        for one in before
        if isinstance(one, events.TouchdownOpened)
        for site, place in one.positions.items()
    }
    bins = {
        places[closed.seq, one.site]: (one.soft, one.kind)
        for closed in before
        if isinstance(closed, events.ContactsClosed)
        for one in closed.outcomes
    }
    assert set(begun.dies) == {die for die, found in bins.items() if found == (number, BinKind.FAIL)}
    assert 0 < len(begun.dies) < sum(kind is BinKind.FAIL for _, kind in bins.values())
