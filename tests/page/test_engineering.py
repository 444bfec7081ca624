"""What engineers see of stored lots, in a real browser: the analyses of `hardbin report`, drawn."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.conftest import BOX, PATIENCE_MS, Faults, Floor, floor
from tests.page.test_look import LANGUAGES, faults
from tests.station.analysis.kept import kept

pytestmark = pytest.mark.timeout(600)
ASKS = ("test", "where", "groups", "pairs", "worth", "wafers", "report")


@pytest.fixture(scope="module")
def kept_lots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    """A station without a lot, whose folder has two of the same devices, and one of two wafers."""
    folder = tmp_path_factory.mktemp("floor")
    kept(folder / "lots" / "A", "A")
    kept(folder / "lots" / "B", "B", more=0.2e-3)
    kept(folder / "lots" / "S", "S", wafers=True)
    with floor(folder, roles=("engineer",)) as made:
        yield made


def opened(browser: Browser, url: str, *lots: str, bypass_csp: bool = False) -> Page:
    """Return the page of stored lots with these chosen."""
    context = browser.new_context(viewport=BOX, has_touch=True, bypass_csp=bypass_csp)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    page.locator("[data-view=engineering]").tap()
    page.locator("[data-tab=lots]").tap()
    expect(page.locator("[data-lot]")).to_have_count(1)
    page.locator("[data-lot]").tap()
    for lot in lots:
        page.locator("#lots").select_option(value=lot)
        expect(page.locator(f'[data-lot="{lot}"]')).to_have_count(1)
    return page


def asked(page: Page, what: str) -> None:
    page.locator(f"[data-ask={what}]").tap()
    expect(page.locator(f"[data-ask={what}]")).to_have_attribute("aria-pressed", "true")


def test_one_test_closely(kept_lots: Floor, browser: Browser) -> None:
    page = opened(browser, kept_lots.url, "A")
    seen = Faults(page)
    page.locator("#lot-test").select_option(value="300")
    expect(page.locator("[data-capability]")).to_contain_text("Cpk")
    expect(page.locator("[data-capability]")).to_contain_text("95 %")
    expect(page.locator("[data-rule='1']")).to_contain_text(
        "1 point beyond 3 sigma: 3 signals at points (40, 80, 120)"
    )
    expect(page.locator("section.trace .plot canvas")).to_have_count(3)
    expect(page.locator("[data-table=of-sites] tbody tr")).to_have_count(2)
    page.locator('[data-choice="5"]').tap()
    expect(page.locator("section.trace")).to_contain_text("Means")
    assert seen.said == []
    assert seen.asked == {kept_lots.url.split("/")[2]}
    page.context.close()


def test_lots_beside_each_other(kept_lots: Floor, browser: Browser) -> None:
    page = opened(browser, kept_lots.url, "A")
    asked(page, "groups")
    expect(page.locator("[data-table=groups] tbody tr").first).to_contain_text("differ")
    page.locator("#lots").select_option(value="B")
    expect(page.locator("[data-table=groups] thead")).to_contain_text("AB")
    asked(page, "pairs")
    expect(page.locator("[data-table=pairs] tbody tr").first).to_contain_text("0.0002 A")
    page.locator("#lot-test").select_option(value="300")
    expect(page.locator("section.trace .plot canvas")).to_have_count(1)
    asked(page, "worth")
    expect(page.locator("[data-table=worth] tbody tr").first).to_contain_text("310 idd_twin")
    asked(page, "where")
    expect(page.locator('[data-bars="where.bins"] div.bar')).to_have_count(1)
    asked(page, "wafers")
    expect(page.locator("section.trace")).to_contain_text("These lots have no wafers")
    page.context.close()


def test_wafers_stacked_and_compared(kept_lots: Floor, browser: Browser) -> None:
    page = opened(browser, kept_lots.url, "S")
    asked(page, "wafers")
    expect(page.locator("h2").first).to_contain_text("2 wafers stacked")
    canvas = page.locator("wafer-map canvas").first
    canvas.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("output").first).to_contain_text("2 of 2 good")
    page.locator("#one").select_option(value="0")
    page.locator("#two").select_option(value="1")
    expect(page.locator("[data-kind='wafers.lost']")).to_contain_text("2")
    expect(page.locator("[data-kind='wafers.recovered']")).to_contain_text("1")
    expect(page.locator("[data-table=changed] tbody tr")).to_have_count(2)
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_wcag_finds_nothing_in_any_analysis(kept_lots: Floor, browser: Browser, theme: str) -> None:
    page = opened(browser, f"{kept_lots.url}?theme={theme}", "S", bypass_csp=True)
    page.locator("#lot-test").select_option(value="300")
    expect(page.locator("[data-capability]")).to_be_visible()
    for what in ASKS:
        asked(page, what)
        expect(page.locator("[role=status]", has_text="Working")).to_have_count(0)
        assert faults(page) == [], what
        small = page.evaluate(
            "[...document.querySelectorAll('button, select')]"
            ".map(b => [b.outerHTML, b.getBoundingClientRect()])"
            ".filter(([, r]) => r.width < 60 || r.height < 60).map(([text]) => text)"
        )
        assert small == [], what
    page.context.close()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_analysis_fits(kept_lots: Floor, browser: Browser, lang: str) -> None:
    page = opened(browser, f"{kept_lots.url}?lang={lang}", "S", "A")
    for what in ASKS:
        asked(page, what)
        expect(page.locator("section.trace > p[role=status]")).to_have_count(0)
        wide = page.evaluate(
            "[...document.querySelectorAll('button, .panel, body, section.trace')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 100))"
        )
        assert wide == [], what
    page.context.close()
