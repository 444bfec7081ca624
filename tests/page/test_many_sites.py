"""A cell of 64 sites on small and large panels: each is seen, a glove can meet it, it hides nothing."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.conftest import PATIENCE_MS, Floor, button, floor, load
from tests.page.test_look import LANGUAGES

pytestmark = pytest.mark.timeout(900)
SITES = 64
PANELS = [(1366, 768), (1920, 1080), (1024, 768)]
BOXES = (
    "all => all.map(e => e.getBoundingClientRect())"
    ".map(r => [r.left, r.top, r.right, r.bottom].map(Math.round))"
)
SCROLLS = "(e => e.scrollHeight > innerHeight || e.scrollWidth > innerWidth)(document.scrollingElement)"
CUT = (
    "tiles => tiles.flatMap(t => [...t.querySelectorAll('span, b')])"
    ".filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
)
Box = list[int]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Floor]:
    """A lot that has ended on 64 sites."""
    cell = ("--sites", str(SITES), "--speed", "jump")
    with floor(tmp_path_factory.mktemp("floor"), *cell, roles=("technician",)) as made:
        page = opened(browser, made, (1366, 768))
        load(page, "L1", SITES)
        button(page, "lot.start").tap()
        expect(page.locator("body")).to_have_attribute("data-state", "CLOSED", timeout=4 * PATIENCE_MS)
        page.context.close()
        yield made


def opened(browser: Browser, station: Floor, panel: tuple[int, int], query: str = "") -> Page:
    context = browser.new_context(viewport={"width": panel[0], "height": panel[1]}, has_touch=True)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(station.url + query)
    return page


@pytest.mark.parametrize("panel", PANELS)
def test_all_sites_are_seen_and_none_hides_another(
    wide: Floor, browser: Browser, panel: tuple[int, int]
) -> None:
    page = opened(browser, wide, panel)
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(SITES)
    (left, top, right, bottom), *_ = page.locator("#information").evaluate_all(BOXES)
    boxes: list[Box] = tiles.evaluate_all(BOXES)
    for box in boxes:
        assert left <= box[0] < box[2] <= right, box
        assert top <= box[1] < box[3] <= bottom, box
        assert min(box[2] - box[0], box[3] - box[1]) >= 60, box
    beneath = page.locator(".mapbox, .figures, .pareto").evaluate_all(BOXES)
    assert pairs([*boxes, *beneath]) == []
    (map_box,) = page.locator(".mapbox").evaluate_all(BOXES)
    for tool in page.locator(".below > *").evaluate_all(BOXES):
        assert map_box[0] <= tool[0] < tool[2] <= map_box[2], tool
    assert not page.evaluate(SCROLLS)
    (_, above, _, below), *_ = page.locator(".canvas").evaluate_all(BOXES)
    assert below - above >= 80, "the map is still there"
    page.context.close()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_tile_tells_its_site_and_last_bin(wide: Floor, browser: Browser, lang: str) -> None:
    page = opened(browser, wide, PANELS[0], f"?lang={lang}")
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(SITES)
    assert tiles.evaluate_all(CUT) == []
    for site in (1, 37, SITES):
        tile = page.locator(f'[data-site="{site}"]')
        expect(tile).to_contain_text(str(site))
        expect(tile.locator(".last")).to_be_visible()
    expect(page.locator(".pareto [data-bin]").first).to_be_in_viewport(ratio=1)
    page.context.close()


def test_each_tile_opens(wide: Floor, browser: Browser) -> None:
    page = opened(browser, wide, PANELS[0])
    for site in (1, 37, SITES):
        page.locator(f'[data-site="{site}"]').tap()
        expect(page.locator("#dialog-title")).to_have_text(f"Site {site}")
        page.get_by_role("button", name="Cancel").tap()
    page.context.close()


def pairs(boxes: list[Box]) -> list[tuple[Box, Box]]:
    """Those that lie over each other."""
    return [(a, b) for n, a in enumerate(boxes) for b in boxes[n + 1 :] if overlap(a, b)]


def overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
