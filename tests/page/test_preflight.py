"""The list before a start, at the page: docking, vault, and a lot that begins without a site."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from station import events
from station.custody.journal import read
from tests.page.conftest import Faults, button, floor, load

pytestmark = pytest.mark.timeout(600)
CURVE = Path(__file__).parents[2] / "sequences" / "example" / "curve.toml"
SAFETY = """
[[equipment]]
name = "safety"
driver = "modbus"
port = "tcp:interlock-1:502"

[equipment.options.points.door]
kind = "input"
address = 0
interlock = true

[equipment.options.points.docked]
kind = "input"
address = 1
interlock = true

[site]
"""


def station_file(folder: Path) -> str:
    """A bench that finds something in its second socket, with contacts at its door and its test head."""
    text = CURVE.read_text("utf-8").replace(
        "sequences.example.curve:CURVE", "tests.cell.left_behind:LEFT_BEHIND"
    )
    path = folder / "station.toml"
    path.write_text(text.replace("\n[site]\n", SAFETY), "utf-8")
    return str(path)


def reasoned(page: Page, why: str) -> None:
    page.locator("#reason").fill(why)
    page.locator("[data-ok]").tap()


def test_a_lot_begins_without_the_site_that_is_not_empty(tmp_path: Path, context: BrowserContext) -> None:
    cell = ("--station", station_file(tmp_path), "--sites", "2", "--speed", "20")
    with floor(tmp_path, *cell, roles=("operator", "technician")) as made:
        page = context.new_page()
        faults = Faults(page)
        page.goto(made.url)
        load(page, "L1", 4)
        docking = page.locator('[data-check="docking"]')
        expect(docking).to_have_attribute("data-health", "ok")
        expect(docking).to_contain_text("safety: door, docked")
        expect(page.locator('[data-check="vault"]')).to_have_count(0)  # nothing of it has keys
        contacts, body = page.locator('[data-check="empty contacts"]'), page.locator("body")
        expect(contacts).to_contain_text("10 nothing_left")
        button(page, "lot.start").tap()
        expect(body).to_have_attribute("data-state", "HELD")
        expect(contacts).to_have_attribute("data-health", "bad")
        expect(contacts).to_contain_text("site 2: 10 nothing_left")
        contacts.locator('[data-without="2"]').tap()
        reasoned(page, "a pin is bent")
        expect(contacts).to_have_attribute("data-health", "warning")
        expect(contacts.locator("[data-without]")).to_have_count(0)
        button(page, "hold.release").tap()
        reasoned(page, "without site 2")
        expect(body).to_have_attribute("data-state", "LOADED")
        button(page, "lot.start").tap()
        expect(body).to_have_attribute("data-state", "CLOSED")
        expect(page.locator('[data-site="2"]')).to_contain_text("Off")
        happened = list(read(made.folder / "lots/L1/journal"))
        (off,) = (one for one in happened if isinstance(one, events.SiteSet))
        assert (off.site, off.on, off.reason) == (2, False, "a pin is bent")
        assert faults.said == []


def test_a_head_that_is_not_docked_aborts_the_lot_and_the_list_says_so(
    tmp_path: Path, context: BrowserContext
) -> None:
    cell = ("--station", station_file(tmp_path), "--sites", "2", "--speed", "20")
    with floor(tmp_path, *cell, "--fault", "safety.interlock_open") as made:
        page = context.new_page()
        page.goto(made.url)
        button(page, "lot.load").tap()
        page.locator("#lot").fill("L1")
        page.locator("#quantity").fill("4")
        page.locator("[data-ok]").tap()
        expect(page.locator("body")).to_have_attribute("data-state", "ABORTED")
        docking = page.locator(".preflight li").first  # what is wrong comes first
        expect(docking).to_have_attribute("data-check", "docking")
        expect(docking).to_have_attribute("data-health", "bad")
        expect(docking).to_contain_text("safety is open: door, docked")
        expect(docking).to_contain_text("Nobody can answer for this.")


def test_the_vault_of_a_lot_that_personalises(tmp_path: Path, context: BrowserContext) -> None:
    with floor(tmp_path, "--speed", "jump") as made:
        page = context.new_page()
        page.goto(made.url)
        load(page, "L1", 8)
        vault = page.locator('[data-check="vault"]')
        expect(vault).to_have_attribute("data-health", "ok")
        expect(vault).to_contain_text("development")
        button(page, "lot.check").tap()
        expect(page.locator("body")).to_have_attribute("data-state", "READY")
        expect(vault).to_contain_text("may still be begun")
