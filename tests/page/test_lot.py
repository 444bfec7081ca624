"""A lot from the traveller to its end at the page, in a real browser before a real station."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import json
from playwright.sync_api import BrowserContext, Page, expect

from station import events
from station.custody.journal import read
from station.model import Disposition
from tests.page.conftest import Faults, Floor, button, floor, load

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Floor]:
    with floor(tmp_path, "--speed", "40") as made:
        yield made


def state_of(station: Floor) -> dict[str, object]:
    with urllib.request.urlopen(f"{station.url}api/v1/state") as answer:  # noqa: S310 - our own, on loopback
        told: dict[str, object] = json.decode(answer.read())
    return told


def test_a_lot_start_to_end(station: Floor, context: BrowserContext) -> None:
    page = context.new_page()
    faults = Faults(page)
    page.goto(station.url)
    body = page.locator("body")
    expect(body).to_have_attribute("data-state", "EMPTY")
    button(page, "lot.start").tap(force=True)
    expect(page.locator(".message")).to_contain_text("not while the lot is in state Empty")
    load(page, "L1", 400)
    button(page, "lot.start").tap()
    expect(body).to_have_attribute("data-state", "RUNNING")
    expect(page.locator(".tile")).to_have_count(4)
    expect(page.locator(".tile b").first).to_contain_text("%")
    button(page, "lot.pause").tap()
    expect(body).to_have_attribute("data-state", "PAUSED")
    tested = state_of(station)["sum"]["tested"]  # type: ignore[index]
    assert 0 < tested < 400
    assert page.evaluate("window.hardbin.gaps") == 0
    assert map_of_page(page) == map_of_server(station)
    button(page, "lot.resume").tap()
    expect(body).to_have_attribute("data-state", "RUNNING")
    button(page, "lot.end").tap()
    expect(page.locator("[role=dialog]")).to_contain_text("finished and sorted")
    page.locator("[data-ok]").tap()
    expect(body).to_have_attribute("data-state", "CLOSED")
    happened = list(read(station.folder / "lots/L1/journal"))
    page.locator("[data-view=engineering]").tap()
    page.locator("[data-tab=lots]").tap()
    page.locator("[data-ask=report]").tap()
    page.locator("[data-report]").tap()
    report = page.frame_locator("iframe.report")
    expect(report.locator("h1")).to_have_text("Lot L1", timeout=60_000)
    assert report.locator("body").evaluate("body => getComputedStyle(body).maxWidth") == "1080px"
    accepted = [(one.command, one.source) for one in happened if isinstance(one, events.CommandAccepted)]
    asked = ["lot.load", "lot.start", "lot.pause", "lot.resume", "lot.end"]
    assert accepted == [(command, "console") for command in asked]
    assert faults.said == []
    assert faults.asked == {station.url.split("/")[2]}


def map_of_page(page: Page) -> bytes:
    octets = "document.querySelector('wafer-map').octets"
    return bytes(page.evaluate(f"(o => [...o.last, ...o.first, ...o.site])({octets})"))


def map_of_server(station: Floor) -> bytes:
    with urllib.request.urlopen(f"{station.url}api/v1/map") as answer:  # noqa: S310 - our own, on loopback
        found: bytes = answer.read()
    return found


def test_an_abort_is_held_for_a_second(station: Floor, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(station.url)
    body, abort = page.locator("body"), button(page, "lot.abort")
    load(page, "L1", 4000)
    button(page, "lot.start").tap()
    expect(body).to_have_attribute("data-state", "RUNNING")
    abort.tap()
    expect(page.locator(".message")).to_contain_text("press and hold")
    expect(body).to_have_attribute("data-state", "RUNNING")
    page.keyboard.press("Space")
    abort.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    expect(page.locator("[role=dialog]")).to_have_count(0)
    page.keyboard.press("Control+Enter")
    expect(page.locator("[role=dialog]")).to_contain_text("No bin is sent")
    page.get_by_role("button", name="Cancel").tap()
    abort.hover()
    page.mouse.down()
    expect(body).to_have_attribute("data-state", "ABORTED")
    page.mouse.up()
    expect(page.locator(".message")).to_contain_text("Lot aborted")
    page.locator("[data-view=alarms]").tap()
    expect(page.locator(".entry")).to_have_count(2)  # the station has taken the lot up again
    expect(page.locator(".entry .what").first).to_contain_text("Call a technician")
    page.locator("[data-acknowledge]").first.tap()
    expect(page.locator(".entry").first).to_contain_text("Acknowledged by operator")


def under_way(station: Floor) -> set[str]:
    """The devices that are with the vault now, by the lot's journal."""
    happened = list(read(station.folder / "lots/L1/journal"))
    begun = {one.unit for one in happened if isinstance(one, events.Intended)}
    return begun - {one.unit for one in happened if isinstance(one, events.PersonalisationEnded)}


def test_an_abort_waits_for_a_personalisation_under_way(tmp_path: Path, context: BrowserContext) -> None:
    with floor(tmp_path, "--speed", "2", "--sites", "1", "--fault", "dut.population=ideal") as station:
        page = context.new_page()
        page.goto(station.url)
        body, abort = page.locator("body"), button(page, "lot.abort")
        load(page, "L1", 40)
        button(page, "lot.start").tap()
        expect(body).to_have_attribute("data-state", "RUNNING")
        abort.focus()
        page.keyboard.press("Control+Enter")
        expect(page.locator("[role=dialog]")).to_contain_text("A personalisation under way is waited for.")
        with_vault = page.locator(".dialog [data-with-vault]")
        expect(with_vault).to_contain_text("Site 1")
        waited_for = under_way(station)
        assert waited_for
        page.locator("[data-ok]").tap()
        expect(body).to_have_attribute("data-state", "ABORTED")
        happened = list(read(station.folder / "lots/L1/journal"))
    asked = next(n for n, one in enumerate(happened) if getattr(one, "command", "") == "lot.abort")
    ended = [one for one in happened[asked:] if isinstance(one, events.PersonalisationEnded)]
    assert {one.unit: one.disposition for one in ended} == dict.fromkeys(waited_for, Disposition.SEALED)


def test_a_console_that_dies_is_old_news_and_comes_back_by_itself(
    station: Floor, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(station.url)
    body = page.locator("body")
    load(page, "L1", 160)
    button(page, "lot.start").tap()
    expect(body).to_have_attribute("data-state", "RUNNING")
    page.locator("[data-view=lot]").tap()
    expect(page.locator("[data-table=sites]")).to_be_visible()
    old = page.locator("[data-old]")
    expect(old).to_have_count(0)
    station.console.kill()
    expect(page.locator(".message")).to_contain_text("Live data lost")
    expect(old).to_have_text(re.compile(r"as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"))
    page.locator("[data-view=jobs]").tap()
    expect(old).to_contain_text("as of")  # when the last picture came
    expect(button(page, "lot.pause")).to_have_attribute("aria-disabled", "true")
    expect(body).to_have_class("old")
    station.console_again()
    expect(page.locator(".message")).not_to_contain_text("Live data lost")
    expect(button(page, "lot.abort")).to_have_attribute("aria-disabled", "false")
    expect(body).to_have_attribute("data-state", "CLOSED", timeout=120_000)  # nothing waited for the console
    assert state_of(station)["sum"]["tested"] == 160  # type: ignore[index]
    expect(page.locator(".strip")).to_contain_text("160 / 160")
    assert map_of_page(page) == map_of_server(station)
    page.locator("[data-view=lot]").tap()
    expect(page.locator("[data-figure=tested]")).to_have_text("160")
    expect(old).to_have_count(0)


def test_an_engine_that_dies_disables_what_it_would_have_to_do(
    station: Floor, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(station.url)
    load(page, "L1", 4000)
    station.station.kill()
    expect(page.locator(".message")).to_contain_text("The engine is not reached")
    expect(button(page, "lot.start")).to_have_attribute("aria-disabled", "true")
    station.station.start()
    expect(page.locator("body")).to_have_attribute("data-state", "PAUSED")  # the lot that was loaded is open
    expect(button(page, "lot.resume")).to_have_attribute("aria-disabled", "false")
