"""Persons at the page: nobody is let in without badge and PIN, and the live view needs nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from station import events
from station.clock import RealClock
from station.custody.journal import read
from station.people.people import people
from station.people.pins import Cost
from tests.page.conftest import Floor, button, floor, load
from tests.page.test_scanner import BURST

pytestmark = pytest.mark.timeout(600)
BADGE, PIN = "badge-0001", "840175"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Floor]:
    """The first engineer has an account, and no other."""
    with people(tmp_path / "people", "sim-ft-01", RealClock().unix, Cost.LOW) as inside:
        inside.enrol(inside.found()["first engineer"], BADGE, PIN)
    with floor(tmp_path, "--speed", "jump") as made:
        yield made


def test_a_person_logs_in_works_and_leaves(station: Floor, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(station.url)
    person = page.locator("button.person")
    expect(person).to_contain_text("Login Here")
    button(page, "lot.load").tap(force=True)
    expect(page.locator(".message")).to_contain_text("log in first")
    for pin, said in (("111111", "badge or PIN is wrong"), (PIN, "first engineer")):
        person.tap()
        page.locator("#badge").fill(BADGE)
        for digit in pin:
            page.locator(".pad").get_by_role("button", name=digit, exact=True).tap()
        page.locator("[data-ok]").tap()
        expect(page.locator("header")).to_contain_text(said)
    load(page, "L1", 32)
    button(page, "lot.start").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "CLOSED")
    person.tap()
    page.locator("[data-ok]").tap()
    expect(person).to_contain_text("Login Here")
    expect(page.locator(".strip")).to_contain_text("32 / 32")
    happened = read(station.folder / "lots/L1/journal")
    accepted = [one for one in happened if isinstance(one, events.CommandAccepted)]
    assert {one.roles for one in accepted} == {("engineer",)}
    assert all(one.actor.startswith("p-") for one in accepted)


def test_a_badge_that_is_scanned_is_a_name_only(station: Floor, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(station.url)
    expect(page.locator("button.person")).to_contain_text("Login Here")
    page.evaluate(BURST, [f"B:{BADGE}"])
    expect(page.locator("#badge")).to_have_value(BADGE)
    expect(page.locator("[data-ok]")).to_be_disabled()  # the PIN is still to come
    page.locator("#pin").fill(PIN)
    page.locator("[data-ok]").tap()
    expect(page.locator("button.person")).to_contain_text("first engineer")


def test_a_cookie_after_logout_is_worth_nothing(station: Floor, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(station.url)
    page.locator("button.person").tap()
    page.locator("#badge").fill(BADGE)
    page.locator("#pin").fill(PIN)
    page.locator("[data-ok]").tap()
    expect(page.locator("button.person")).to_contain_text("first engineer")
    (kept,) = context.cookies()
    assert kept["httpOnly"]
    assert kept["sameSite"] == "Strict"
    page.locator("button.person").tap()
    page.locator("[data-ok]").tap()
    expect(page.locator("button.person")).to_contain_text("Login Here")
    context.add_cookies([{"name": kept["name"], "value": kept["value"], "url": station.url}])
    page.reload()
    expect(page.locator("button.person")).to_contain_text("Login Here")
