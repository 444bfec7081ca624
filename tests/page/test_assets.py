"""A contactor at its limit: an engineer answers for it at the page, or no lot begins; then it counts on."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from station import cell_record, events
from station.config import AssetTable
from station.custody.journal import read
from station.life import counted, worn
from station.surroundings import simulated_station_file
from tests.page.conftest import Faults, Floor, button, floor

pytestmark = pytest.mark.timeout(600)
ASSET = AssetTable(name="CT-4", kind="contactor", limit=1000, warning=900)
TABLE = """
[[asset]]
name = "CT-4"
kind = "contactor"
limit = 1000
warning = 900
"""


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Floor]:
    file = tmp_path / "station.toml"
    text = simulated_station_file().read_text()
    file.write_text(text.replace("[station]", '[station]\nrecord = "ws.cell"') + TABLE)
    kept = cell_record.append(tmp_path / "ws.cell", *counted((ASSET,), "L0", 1000, 0.0))
    with ThreadPoolExecutor() as beside:  # the browser has this thread's loop
        beside.submit(asyncio.run, kept).result()
    roles = ("operator", "engineer")
    with floor(tmp_path, "--station", str(file), "--speed", "jump", roles=roles) as made:
        yield made


def answered(page: Page, check: Locator, why: str) -> None:
    """Answer for a check at the page."""
    check.locator("[data-waive]").tap()
    expect(page.locator("[data-ok]")).to_be_disabled()
    page.locator("#reason").fill(why)
    page.locator("[data-ok]").tap()
    expect(check.locator("[data-waived]")).to_contain_text(f"operator: {why}")


def test_an_engineer_answers_for_what_is_over_its_limit(station: Floor, context: BrowserContext) -> None:
    page = context.new_page()
    faults = Faults(page)
    page.goto(station.url)
    button(page, "lot.load").tap()
    for field, value in (("lot", "L1"), ("quantity", "40"), ("product", "se1"), ("card", "CT-9")):
        page.locator(f"#{field}").fill(value)
    expect(page.locator("[data-differs=card]")).to_contain_text("says CT-9; this cell has CT-4")
    page.locator("[data-ok]").tap()  # an engineer may: it is he who answers for it
    differs = page.locator('[data-check="lot data"]')
    expect(differs).to_contain_text("the traveller says CT-9, this cell has CT-4")
    expect(differs.locator("[data-who]")).to_contain_text("Engineer")
    button(page, "lot.start").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "HELD")
    answered(page, differs, "the label is old")
    check = page.locator('[data-check="assets"]')
    expect(check).to_have_attribute("data-health", "bad")
    answered(page, check, "contacts were measured")
    button(page, "hold.release").tap()
    page.locator("#reason").fill("compared")
    page.locator("[data-ok]").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "LOADED")
    button(page, "lot.start").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "CLOSED")
    page.locator("[data-view=lot]").tap()
    landed = sum(isinstance(one, events.TouchdownOpened) for one in read(station.folder / "lots/L1/journal"))
    expect(page.locator('[data-asset="CT-4"]')).to_contain_text(f"1,{landed:03}")
    station.stop()
    assert worn(station.folder / "ws.cell").had("CT-4") == 1000 + landed
    happened = list(read(station.folder / "lots/L1/journal"))
    waived = [(one.check, one.reason) for one in happened if isinstance(one, events.CheckWaived)]
    assert waived == [("lot data", "the label is old"), ("assets", "contacts were measured")]
    assert [one for one in faults.said if "404" not in one] == []
