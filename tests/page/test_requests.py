"""What persons ask in mid-lot, at the page; and what a console that was started again still knows of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from station import events
from station.between import NAME
from station.custody.journal import read
from tests.page.conftest import Faults, Floor, button, floor, load

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Floor]:
    with floor(tmp_path, "--speed", "40", roles=("technician",)) as made:
        yield made


def said(page: Page, reason: str) -> None:
    """Give a reason in the open dialog and confirm it."""
    expect(page.locator("[data-ok]")).to_be_disabled()
    page.locator("#reason").fill(reason)
    page.locator("[data-ok]").tap()
    expect(page.locator("[role=dialog]")).to_have_count(0)


def test_a_site_is_switched_off_and_on_by_its_tile(station: Floor, context: BrowserContext) -> None:
    page = context.new_page()
    faults = Faults(page)
    page.goto(station.url)
    load(page, "L1", 4000)
    button(page, "lot.start").tap()
    tile = page.locator('[data-site="2"]')
    expect(tile).to_contain_text("%")
    tile.tap()
    said(page, "pin bent")
    expect(tile).to_contain_text("Off")
    tile.tap()
    expect(page.locator("[role=dialog]")).to_contain_text("pin bent")
    said(page, "pin changed")
    expect(tile).to_contain_text("%")
    expect(button(page, "probe.clean")).to_have_count(0)  # a handler has no tips
    set_ = [one for one in read(station.folder / "lots/L1/journal") if isinstance(one, events.SiteSet)]
    assert [(one.site, one.on, one.reason) for one in set_] == [
        (2, False, "pin bent"),
        (2, True, "pin changed"),
    ]
    assert faults.said == []


def test_an_alarm_that_was_seen_stays_seen_when_the_console_is_started_again(
    station: Floor, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(station.url)
    load(page, "L1", 4000)
    button(page, "lot.start").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "RUNNING")
    button(page, "lot.abort").hover()
    page.mouse.down()
    expect(page.locator("body")).to_have_attribute("data-state", "ABORTED")
    page.mouse.up()
    page.locator("[data-view=alarms]").tap()
    expect(page.locator(".entry")).to_have_count(2)  # the station has taken the lot up again
    entry = page.locator(".entry").first
    page.locator("[data-shelve]").first.tap()
    page.locator('[data-choice="60"]').tap()
    said(page, "known")
    expect(entry).to_contain_text("Shelved")
    page.locator("[data-acknowledge]").first.tap()
    expect(entry).to_contain_text("Acknowledged by operator")
    station.console.kill()
    station.console_again()
    page.reload()
    page.locator("[data-view=alarms]").tap()
    expect(page.locator(".entry").first).to_contain_text("Acknowledged by operator")
    expect(page.locator(".entry").first).to_contain_text("Shelved")
    sayings = events.Shelved | events.Acknowledged
    places = (station.folder / "station-data" / NAME, station.folder / "lots/L1/journal")
    kept = [one for path in places for one in read(path) if isinstance(one, sayings)]
    assert {(type(one).__name__, one.actor) for one in kept} == {
        ("Shelved", "operator"),
        ("Acknowledged", "operator"),
    }


def test_a_reason_is_given_between_lots(station: Floor, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(station.url)
    expect(page.locator("body")).to_have_attribute("data-state", "EMPTY")
    page.locator("[data-e10]").tap()
    page.locator('[data-choice="SDT"]').tap()
    said(page, "PM-W04")
    expect(page.locator("[data-e10]")).to_contain_text("SDT")
    station.console.kill()
    station.console_again()
    page.reload()
    expect(page.locator("[data-e10]")).to_contain_text("PM-W04")
