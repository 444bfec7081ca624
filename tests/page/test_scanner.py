"""A scanner in the keyboard's place: a burst with its prefix fills the lot in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.page.conftest import button, floor
from tests.page.test_look import LANGUAGES

pytestmark = pytest.mark.timeout(600)
BURST = """codes => { for (const code of codes) {
  for (const key of ['F12', ...code, 'Enter'])
    document.activeElement.dispatchEvent(
      new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true })); } }"""


@pytest.fixture
def page(tmp_path: Path, context: BrowserContext) -> Iterator[Page]:
    with floor(tmp_path, "--speed", "jump") as station:
        opened = context.new_page()
        opened.goto(station.url)
        expect(opened.locator("body")).to_have_attribute("data-state", "EMPTY")
        yield opened


def test_a_traveller_is_scanned(page: Page) -> None:
    page.evaluate(BURST, ["L:L26K0417-A.01", "Q:64", "D:se1"])
    expect(page.locator("#lot")).to_have_value("L26K0417-A.01")
    expect(page.locator("#quantity")).to_have_value("64")
    expect(page.locator("[data-ok]")).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.locator("[role=dialog]")).to_be_visible()
    page.locator("[data-ok]").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "LOADED")


def test_a_lot_that_is_being_loaded_is_told(page: Page) -> None:
    waiting: list[Route] = []
    page.route("**/commands/lot.load", lambda route: waiting.append(route))
    page.evaluate(BURST, ["L:L1", "Q:16"])
    page.locator("[data-ok]").tap()
    message = page.locator(".message")
    expect(message).to_contain_text("The lot is being loaded")
    expect(page.locator("body")).to_have_attribute("data-state", "EMPTY")
    (one,) = waiting
    one.continue_()
    expect(message).to_contain_text("accepted")
    expect(page.locator("body")).to_have_attribute("data-state", "LOADED")


def test_another_device_program_or_card_is_not_loaded(page: Page) -> None:
    page.evaluate(BURST, ["L:L1", "Q:64", "D:se9"])
    dialog, ok = page.locator("[role=dialog]"), page.locator("[data-ok]")
    expect(dialog).to_contain_text("The traveller says se9; this cell has se1.")
    expect(ok).to_be_disabled()
    page.evaluate(BURST, ["D:se1", "P:se9-sort"])
    expect(dialog).to_contain_text("The traveller says se9-sort; this cell has se1-final-test.")
    expect(ok).to_be_disabled()
    page.evaluate(BURST, ["P:se1-final-test", "C:PC-9"])
    expect(dialog).to_contain_text("The traveller says PC-9; this cell has none named.")
    expect(ok).to_be_disabled()
    page.locator("#card").fill("")
    expect(ok).to_be_enabled()


CUT = """
['.dialog', '.foot', '.traveller'].map(s => document.querySelector(s))
.filter(e => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1).map(e => e.className)
"""


def test_all_of_a_traveller_is_seen_at_once(page: Page) -> None:
    url = page.url
    for lang in LANGUAGES:
        page.goto(f"{url}?lang={lang}")
        expect(page.locator("html")).to_have_attribute("lang", lang)
        expect(page.locator("body")).to_have_attribute("data-state", "EMPTY")
        page.evaluate(BURST, ["L:L1", "Q:64", "D:se9", "P:se9-sort", "C:PC-9"])
        expect(page.locator("[data-differs]")).to_have_count(3)
        assert page.evaluate(CUT) == [], lang


def test_the_trend_is_whole_before_there_is_a_lot(page: Page) -> None:
    plot, axis_px, half_a_label_px = page.locator("section.trend .u-over"), 20, 28
    expect(plot).to_be_visible()
    over, box = plot.bounding_box(), page.locator("section.trend").bounding_box()
    assert over is not None
    assert box is not None
    assert over["y"] + over["height"] + axis_px < box["y"] + box["height"]
    assert over["x"] + over["width"] + half_a_label_px < box["x"] + box["width"]


def test_a_code_of_no_kind_is_said(page: Page) -> None:
    page.evaluate(BURST, ["X:12345"])
    expect(page.locator(".message")).to_contain_text("Scanned X:12345")
    expect(page.locator("[role=dialog]")).to_have_count(0)


def test_a_badge_is_no_code_where_nobody_logs_in(page: Page) -> None:
    page.evaluate(BURST, ["B:12345"])
    expect(page.locator(".message")).to_contain_text("Scanned B:12345")
    expect(page.locator("[role=dialog]")).to_have_count(0)


def test_a_serial_number_looks_the_device_up(page: Page) -> None:
    page.evaluate(BURST, ["S:SE1KUHPLGYF224JE"])
    expect(page.locator("[data-view=devices]")).to_have_attribute("aria-current", "page")
    expect(page.locator("#wanted")).to_have_value("SE1KUHPLGYF224JE")


def test_a_point_of_the_trend_comes_once_however_often_it_is_told(page: Page) -> None:
    told = """async () => {
      const { S } = await import('/model.js'), { apply } = await import('/stream.js');
      const state = await (await fetch('api/v1/state')).json(), none = { epoch: state.epoch, seq: state.seq };
      apply({ ...none, trend: [[25, 1], [50, 0.9]], swept: [[1, 1, 0.1, null, 1, 2]] });
      apply({ ...none, trend: [[50, 0.9], [75, 0.8]],
        swept: [[1, 1, 0.1, null, 1, 2], [1, 1, 0.2, null, 0, 2]] });
      return [S.trend.map((one) => one[0]), S.swept.get(1).map((one) => one[2])]; }"""
    assert page.evaluate(told) == [[25, 50, 75], [0.1, 0.2]]


def test_what_a_person_types_is_no_scan(page: Page) -> None:
    button(page, "lot.load").tap()
    page.locator("#lot").press_sequentially("L1", delay=60)
    expect(page.locator("#lot")).to_have_value("L1")
    page.keyboard.press("F12", delay=60)
    page.locator("#lot").press_sequentially("L:X", delay=60)
    expect(page.locator("#lot")).to_have_value("L1L:X")


def test_neither_space_nor_enter_starts_anything(page: Page) -> None:
    page.evaluate(BURST, ["L:L1", "Q:16"])
    page.locator("[data-ok]").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "LOADED")
    button(page, "lot.start").focus()
    for key in ("Space", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("body")).to_have_attribute("data-state", "LOADED")
    page.keyboard.press("Control+Enter")
    expect(page.locator("body")).to_have_attribute("data-state", "CLOSED")


def test_a_command_that_may_not_be_pressed_says_why(page: Page) -> None:
    button(page, "hold.release").tap(force=True)
    expect(page.locator(".message")).to_contain_text("this is for: Engineer, Officer, Technician")
    page.goto(page.url + "?lang=hi")
    button(page, "lot.start").tap(force=True)
    expect(page.locator(".message")).to_contain_text("जब लॉट की स्थिति खाली हो")
