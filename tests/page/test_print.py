"""The summary of a lot on paper: the whole sheet, black on white, and nothing of the page around it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.conftest import PATIENCE_MS, Floor, button, floor, load

pytestmark = pytest.mark.timeout(600)
A4 = {"width": 718, "height": 1047}
"""Pixels (96 a inch) of a sheet within margins of 10 mm."""
PAGES = re.compile(rb"/Type\s*/Page\b")
AROUND = (".title", ".command", ".navigation")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Floor]:
    """A lot that has ended, with rejects."""
    faults = ("--fault", "dut.leaky_input=3", "--fault", "dut.idd_high=8")
    with floor(tmp_path_factory.mktemp("floor"), "--speed", "jump", *faults) as made:
        page = sheet(browser, made.url)
        load(page, "L1", 40)
        button(page, "lot.start").tap()
        expect(page.locator("body")).to_have_attribute("data-state", "CLOSED")
        page.context.close()
        yield made


def sheet(browser: Browser, url: str) -> Page:
    context = browser.new_context(has_touch=True)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["en", "gu"])
def test_the_summary_is_printed_and_nothing_else(
    closed: Floor, browser: Browser, tmp_path: Path, theme: str, lang: str
) -> None:
    page = sheet(browser, f"{closed.url}?theme={theme}&lang={lang}")
    page.locator("[data-view=lot]").tap()
    expect(page.locator("[data-table=tests]")).to_be_visible()
    page.set_viewport_size({"width": A4["width"], "height": A4["height"]})
    page.emulate_media(media="print")
    for part in AROUND:
        expect(page.locator(part)).to_be_hidden()
    text = "e => e.innerText.trim()"
    printed = page.locator("body").evaluate(text)
    assert printed == page.locator(".sheet").evaluate(text)
    assert "L1" in printed
    for table in ("sites", "soft", "hard", "tests"):
        expect(page.locator(f"[data-table={table}]")).to_be_visible()
    assert beyond(page) == []
    assert pale(page) == []
    pdf = page.pdf(format="A4", margin={"top": "10mm", "right": "10mm", "bottom": "10mm", "left": "10mm"})
    assert pdf.startswith(b"%PDF")
    assert 1 <= len(PAGES.findall(pdf)) <= 2
    page.context.close()


def beyond(page: Page) -> list[str]:
    """What reaches over the edge of the paper."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('.sheet *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.outerHTML.slice(0, 100))"
    )
    return found


def pale(page: Page) -> list[str]:
    """Words that are not dark, or stand on something that is not white."""
    found: list[str] = page.evaluate("""
        [...document.querySelectorAll('body, .sheet, .sheet *')].filter((e) => {
          const style = getComputedStyle(e), parts = (c) => (c.match(/[\\d.]+/g) ?? []).map(Number);
          const [r, g, b] = parts(style.color), [x, y, z, alpha = 1] = parts(style.backgroundColor);
          return Math.max(r, g, b) > 120 || (alpha && Math.min(x, y, z) < 240 && e.tagName !== 'PROGRESS');
        }).map((e) => e.outerHTML.slice(0, 100))
    """)
    return found
