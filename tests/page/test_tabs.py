"""Two tabs of one browser: what one asks for the other shows, and who leaves has left both."""

from playwright.sync_api import BrowserContext, expect

from tests.page.conftest import Floor, button, load
from tests.page.test_login import BADGE, PIN, pytestmark, station

__all__ = ["pytestmark", "station"]
LOADS = """
    fetch('api/v1/commands/lot.load', {
      method: 'POST', body: '{"lot": "L2", "quantity": 8}',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'abcdefgh' },
    }).then((answer) => answer.status)
"""


def test_two_tabs_are_one_person_before_one_cell(station: Floor, context: BrowserContext) -> None:
    one, other = context.new_page(), context.new_page()
    for tab in (one, other):
        tab.goto(station.url)
        expect(tab.locator("button.person")).to_contain_text("Login Here")
    one.bring_to_front()
    one.locator("button.person").tap()
    one.locator("#badge").fill(BADGE)
    one.locator("#pin").fill(PIN)
    one.locator("[data-ok]").tap()
    for tab in (one, other):
        expect(tab.locator("button.person")).to_contain_text("first engineer")
    other.bring_to_front()
    load(other, "L1", 32)
    expect(one.locator("body")).to_have_attribute("data-state", "LOADED")
    expect(one.locator(".strip")).to_contain_text("L1")
    one.bring_to_front()
    button(one, "lot.start").tap()
    for tab in (one, other):
        expect(tab.locator("body")).to_have_attribute("data-state", "CLOSED")
        expect(tab.locator(".strip")).to_contain_text("32 / 32")
    octets = "(o => [...o.last, ...o.first, ...o.site])(document.querySelector('wafer-map').octets)"
    assert one.evaluate(octets) == other.evaluate(octets)
    one.locator("button.person").tap()
    one.locator("[data-ok]").tap()
    for tab in (one, other):
        expect(tab.locator("button.person")).to_contain_text("Login Here")
    other.bring_to_front()
    expect(button(other, "lot.load")).to_have_attribute("aria-disabled", "true")
    assert other.evaluate(LOADS) == 403
