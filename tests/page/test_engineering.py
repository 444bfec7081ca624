"""What engineers see of stored lots, in a real browser: the analyses of `hardbin report`, drawn."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec import json
from playwright.sync_api import Browser, Page, expect

from station import events
from station.analysis import gauge
from station.analysis.golden import Check
from station.custody.journal import read
from station.set_up import Study
from station.surroundings import simulated_station_file
from tests.page.conftest import BOX, PATIENCE_MS, Faults, Floor, floor
from tests.page.test_look import LANGUAGES, PICTURES, faults
from tests.station.analysis.kept import kept

pytestmark = pytest.mark.timeout(600)
ASKS = ("test", "where", "groups", "pairs", "worth", "wafers", "sweeps", "report")


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


PARTS = ("live", "lots", "study", "golden", "step")
SMALL = """
[...document.querySelectorAll('button, select, input, summary')]
.map(b => [b.outerHTML, b.getBoundingClientRect()])
.filter(([, r]) => r.width < 60 || r.height < 60).map(([text]) => text)
"""
WIDE = """
[...document.querySelectorAll('button, .panel, body, section.trace')]
.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 100))
"""


def kept_picture(page: Page, name: str) -> None:
    """Leave a picture of the view where pictures are kept, if they are."""
    if PICTURES:
        page.wait_for_timeout(1000)  # charts are drawn
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


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
    kept_picture(page, "wafers-en")
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
        assert page.evaluate(SMALL) == [], what
    for name in PARTS:
        page.locator(f"[data-tab={name}]").tap()
        expect(page.locator("[data-part]")).to_have_attribute("data-part", name)
        assert faults(page) == [], name
        assert page.evaluate(SMALL) == [], name
    page.context.close()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_analysis_fits(kept_lots: Floor, browser: Browser, lang: str) -> None:
    page = opened(browser, f"{kept_lots.url}?lang={lang}", "S", "A")
    for what in ASKS:
        asked(page, what)
        expect(page.locator("section.trace > p[role=status]")).to_have_count(0)
        assert page.evaluate(WIDE) == [], what
    asked(page, "test")
    page.locator("#lot-test").select_option(value="300")
    expect(page.locator("[data-capability]")).to_be_visible()
    kept_picture(page, f"stored-{lang}")
    for name in PARTS:
        page.locator(f"[data-tab={name}]").tap()
        expect(page.locator("[data-part]")).to_have_attribute("data-part", name)
        assert page.evaluate(WIDE) == [], name
    page.context.close()


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Floor]:
    """A cell that an engineer has for himself."""
    with floor(tmp_path, "--speed", "jump", roles=("operator", "engineer")) as made:
        yield made


def part(browser: Browser, url: str, name: str, *, bypass_csp: bool = False) -> Page:
    """Return the page with a part of the engineers' view."""
    context = browser.new_context(viewport=BOX, has_touch=True, bypass_csp=bypass_csp)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    page.locator("[data-view=engineering]").tap()
    page.locator(f"[data-tab={name}]").tap()
    return page


def test_a_gauge_study_is_led_to_its_verdict(cell: Floor, browser: Browser) -> None:
    page = part(browser, cell.url, "study")
    seen = Faults(page)
    page.locator("#study").fill("GRR-1")
    expect(page.locator("[data-study-begin]")).to_be_disabled()
    page.locator("#study-test").select_option(value="300")
    page.locator("#parts").fill("4")
    page.locator("#trials").fill("2")
    page.locator("[data-study-begin]").tap()
    expect(page.locator("section.trace")).to_contain_text("Put devices 1 to 4 in, in this order")
    for number, who in enumerate(("Asha", "Ravi"), start=1):
        page.locator("#who").fill(who)
        page.locator("[data-study-in]").tap()
        step = page.locator(f'[data-step="GRR-1.{number}"]')
        expect(step).to_contain_text(who)
        expect(step).to_contain_text("done")
    expect(page.locator("[data-verdict]")).to_contain_text("GR&R")
    expect(page.locator("[data-table=gauge] tbody tr")).to_have_count(6)
    kept_picture(page, "study-en")
    assert seen.said == []
    lots = "lot=GRR-1.1&lot=GRR-1.2"
    table = page.request.get(f"{cell.url}api/v1/lots/gauge.csv?{lots}&test=300").text().splitlines()
    assert table[0] == "part,operator,trial,value"
    assert len(table) == 1 + 4 * 2 * 2
    told = page.request.get(f"{cell.url}api/v1/lots/gauge?{lots}&test=300").json()
    values = np.array(told["values"])
    assert gauge.anova(values, tolerance=7e-3).grr.percent == pytest.approx(told["anova"]["grr"]["percent"])
    happened = list(read(cell.folder / "lots/GRR-1.2/journal"))
    loaded = next(one for one in happened if isinstance(one, events.LotLoaded))
    assert loaded.info.study == Study(2, "GRR-1", 300, "Ravi")
    assert not any(isinstance(one, events.Intended) for one in happened)
    page.reload()
    page.locator("[data-view=engineering]").tap()
    page.locator("[data-tab=study]").tap()
    page.locator('[data-study="GRR-1"]').tap()
    expect(page.locator("[data-verdict]")).to_contain_text("GR&R")
    page.context.close()


def whole(page: Page) -> list[str]:
    """Return what axe-core has against the same view in another browser."""
    browser = page.context.browser
    assert browser is not None
    beside = part(browser, page.url, "step", bypass_csp=True)
    expect(beside.locator("[data-sweep='1']")).to_contain_text("over")
    found = faults(beside)
    beside.context.close()
    return found


def test_an_engineering_lot_goes_row_by_row_and_is_swept(cell: Floor, browser: Browser) -> None:
    page = part(browser, cell.url, "step")
    seen = Faults(page)
    page.locator("#lot").fill("ENG-1")
    page.locator("[data-act='lot.load']").tap()
    page.locator("[data-act='next-all']").tap()
    expect(page.locator(".message")).to_contain_text("Step: accepted")
    page.locator("[data-act='lot.start']").tap()
    site = page.locator("[data-stand='1']")
    expect(site).to_contain_text("stands before the first row")
    expect(page.locator("[data-stand='2']")).to_contain_text("stands before the first row")
    page.locator("[data-act='next-1']").tap()
    expect(site).to_contain_text("stands behind 100 continuity")
    page.locator("#step-to").select_option(value="300")
    page.locator("[data-act='to-1']").tap()
    expect(site).to_contain_text("stands behind 300 idd_idle")
    expect(site.locator("[data-table=readings] tbody tr")).to_have_count(2)
    expect(site.locator("[data-table=readings] tr[aria-current=true]")).to_contain_text("0.002 … 0.009 A")
    page.locator("#x-points").fill("11")
    page.locator("[data-act='shmoo-1']").tap()
    expect(page.locator("[data-sweep='1']")).to_contain_text("11 in all · over")
    page.locator("[data-sweep='1']").scroll_into_view_if_needed()
    kept_picture(page, "step-en")
    assert whole(page) == [], "what stands and is swept"
    page.reload()  # what a page is told that comes later is the same
    page.locator("[data-view=engineering]").tap()
    page.locator("[data-tab=step]").tap()
    expect(page.locator("[data-sweep='1']")).to_contain_text("11 in all · over")
    page.locator("[data-act='on-all']").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "CLOSED")
    assert seen.said == []
    points = [one for one in read(cell.folder / "lots/ENG-1/journal") if isinstance(one, events.ShmooPoint)]
    assert len(points) == 11
    page.locator("[data-tab=lots]").tap()
    asked(page, "sweeps")
    expect(page.locator("[data-past='1']")).to_contain_text("300 idd_idle")
    expect(page.locator("[data-past='1']")).to_contain_text("11 in all · over")
    page.context.close()


GOLDEN = """
[golden]
units = "units.toml"
result = "golden.json"
"""
UNITS = """
name = "GU"
product = "se1"
sequence = "se1-final-test"

[tolerance]
300 = { shift = 1e-3, spread = 1e-3 }
"""
UNIT = """
[[units]]
name = "G%d"
values = { 300 = 5e-3 }
"""


def test_golden_units_are_led_and_their_check_lets_lots_begin(tmp_path: Path, browser: Browser) -> None:
    file = tmp_path / "station.toml"
    file.write_text(simulated_station_file().read_text() + GOLDEN)
    (tmp_path / "units.toml").write_text(UNITS + "".join(UNIT % n for n in range(1, 9)))
    with floor(tmp_path, "--station", str(file), "--speed", "jump", roles=("operator", "engineer")) as made:
        page = part(browser, made.url, "golden")
        expect(page.locator("[data-part=golden]")).to_contain_text("No check of these units is kept")
        page.locator("#who").fill("Meena")
        page.locator("[data-study-in]").tap()
        expect(page.locator("[data-golden]")).to_contain_text("GU")
        expect(page.locator("[data-table=golden] tbody tr")).to_have_count(4)
        page.context.close()
    check = json.decode((tmp_path / "golden.json").read_bytes(), type=Check)
    assert (check.units, check.sites) == ("GU", (1, 2, 3, 4))
    assert sum(one.contacts for one in check.seen) == 8 * 5
    happened = list(read(tmp_path / "lots/golden.1/journal"))
    assert not any(isinstance(one, events.Intended) for one in happened)
