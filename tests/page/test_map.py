"""A wafer at the page: map and die, dialogs that stay, taps that count once, what adds up at its end."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import json
from playwright.sync_api import Browser, Page, expect

from station import events
from station.custody.journal import read
from station.surroundings import WAFER_SORT, simulated_station_file
from tests.page.conftest import BOX, PATIENCE_MS, Faults, Floor, button, floor, load

pytestmark = pytest.mark.timeout(600)
DIES = 48


@pytest.fixture(scope="module")
def wafer(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Floor]:
    """A lot of dies, loaded, put back, loaded, checked, and tested to its end at the page."""
    folder = tmp_path_factory.mktemp("floor")
    file = str(simulated_station_file(WAFER_SORT))
    with floor(folder, "--station", file, "--speed", "jump", roles=("operator", "engineer")) as made:
        page = opened(browser, made)
        body = page.locator("body")
        load(page, "L0", DIES)
        button(page, "lot.unload").tap()
        expect(body).to_have_attribute("data-state", "EMPTY")
        load(page, "L1", DIES)
        button(page, "lot.check").tap()
        expect(body).to_have_attribute("data-state", "READY")
        expect(page.locator('[data-check="records"]')).to_have_attribute("data-health", "ok")
        twice = "button => { button.click(); button.click(); }"
        button(page, "lot.start").evaluate(twice)
        expect(body).to_have_attribute("data-state", "CLOSED")
        page.context.close()
        yield made


def opened(browser: Browser, station: Floor) -> Page:
    context = browser.new_context(viewport=BOX, has_touch=True)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(station.url)
    return page


@pytest.fixture
def page(wafer: Floor, browser: Browser) -> Iterator[Page]:
    """The page of the lot that is closed."""
    made = opened(browser, wafer)
    expect(made.locator("body")).to_have_attribute("data-state", "CLOSED")
    yield made
    made.context.close()


def look(page: Page) -> list[Any]:
    how = "m => [m.zoom, m.turn, m.mirrored, m.plane, m.only]"
    found: list[Any] = page.locator("wafer-map").evaluate(how)
    return found


def test_the_map_is_turned_and_filtered(page: Page) -> None:
    seen = Faults(page)
    assert look(page) == [1, 0, False, "last", 0]
    for name in ("Closer", "Turn", "Mirror"):
        page.get_by_role("button", name=name).tap()
    assert look(page)[:3] == [1.6, 1, True]
    page.get_by_role("button", name="Whole Map").tap()
    page.locator("[data-look=plane]").tap()
    expect(page.locator("[data-look=plane]")).to_contain_text("first contact")
    page.locator("[data-look=only]").tap()
    expect(page.locator(".bin.only")).to_have_count(1)
    zoom, *_, plane, only = look(page)
    assert (zoom, plane) == (1, "first")
    assert only > 0
    assert seen.said == []


def test_each_view_colours_the_dies_by_what_it_says(page: Page) -> None:
    how = """(m, key) => [...m.pixels].map((colour, at) => [m.octets[key][at], colour])
        .filter((_, at) => m.octets.last[at] > 0 && m.octets.last[at] < 255)"""
    plane = page.locator("[data-look=plane]")
    for label, name, key in (
        ("last result", "last", "last"),
        ("first contact", "first", "first"),
        ("changed by retest", "again", ""),
        ("site", "site", "site"),
    ):
        expect(plane).to_contain_text(label)
        assert look(page)[3] == name
        if key:
            dies = page.locator("wafer-map").evaluate(how, key)
            assert len(dies) == DIES
            kinds = {of for of, _ in dies}
            assert len(kinds) > 1
            assert len({(of, colour) for of, colour in dies}) == len(kinds), "one of a kind has one colour"
        else:
            changed = """m => [...m.pixels].map((colour, at) =>
                colour !== 0 && colour !== m.none && m.octets.first[at] === m.octets.last[at])"""
            assert not any(page.locator("wafer-map").evaluate(changed))
        plane.tap()
    assert look(page)[3] == "last"


def test_the_notch_is_where_the_station_file_says(page: Page) -> None:
    seen = """m => { m.draw(); const s = m.measure(), w = m.canvas.width / 2, h = m.canvas.height / 2;
        const x = (s.columns * 0.5 + 0.5) * s.scale, y = (s.rows * 0.5 + 0.5) * s.scale;
        const at = (dx, dy) => String(m.context.getImageData(w + dx, h + dy, 1, 1).data);
        return Object.entries({ R: [x, 0], D: [0, y], L: [-x, 0], U: [0, -y] })
            .filter(([, place]) => at(...place) === at(1 - w, 1 - h)).map(([side]) => side); }"""
    grows = "m => { m.enter(m.context, m.measure()); const t = m.context.getTransform(); return [t.a, t.d]; }"
    shown = page.locator("wafer-map")
    assert shown.evaluate(seen) == ["D"]
    assert min(shown.evaluate(grows)) > 0
    shown.evaluate("m => { m.of.mirrored = [true, true]; m.stale = true; }")
    assert max(shown.evaluate(grows)) < 0
    assert shown.evaluate(seen) == ["D"], "how its axes lie does not turn a wafer"
    shown.evaluate("m => { m.of.notch = 'L'; m.stale = true; }")
    assert shown.evaluate(seen) == ["L"]


def test_two_fingers_pinch_the_map_and_one_moves_it(page: Page) -> None:
    box = page.locator("wafer-map canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x + dx, "y": y + dy, "id": n} for n, (dx, dy) in enumerate(fingers)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (-20, 0), (20, 0))
    touch("touchMove", (-60, 0), (60, 0))
    touch("touchEnd")
    assert look(page)[0] == pytest.approx(3.0)
    expect(page.locator(".below output")).to_contain_text("Tap a die")  # nothing was picked by it
    touch("touchStart", (0, 0))
    touch("touchMove", (0, 30))
    touch("touchEnd")
    assert page.locator("wafer-map").evaluate("m => [m.panX, m.panY]") == [0, 30]
    page.get_by_role("button", name="Whole Map").click()  # a tap would only end the swing of the map
    assert look(page)[0] == 1


def test_bins_are_counted_soft_and_hard(page: Page) -> None:
    told = json.decode(page.request.get(f"{page.url}api/v1/state").body())["sum"]
    for kind, label in (("bins", "Soft bins"), ("hard", "Hard bins")):
        expect(page.locator('[data-look="bins"]')).to_contain_text(label)
        wanted = {str(number): count for number, count in told[kind].items()}
        rows = page.locator(".pareto [data-bin]")
        expect(rows).to_have_count(len(wanted))
        shown = rows.evaluate_all(
            "rows => rows.map(r => [r.dataset.bin, +r.querySelectorAll('span')[1].textContent])"
        )
        assert dict(shown) == wanted
        page.locator('[data-look="bins"]').tap()


def test_a_die_is_picked_and_looked_up(page: Page) -> None:
    canvas, told = page.locator("wafer-map canvas"), page.locator(".below output")
    expect(canvas).to_have_attribute("aria-label", f"Map: {DIES} Tested, {good(page)} Good")
    box = canvas.bounding_box()
    assert box is not None
    canvas.tap(position={"x": box["width"] / 2, "y": box["height"] / 2})
    expect(told).to_contain_text("Die x ")
    before = told.inner_text()
    canvas.focus()
    page.keyboard.press("ArrowLeft")
    expect(told).not_to_have_text(before)
    page.locator("[data-look=device]").tap()
    expect(page.locator("[data-view=devices]")).to_have_attribute("aria-current", "page")
    expect(page.locator("#view")).to_contain_text("Measurements")


def good(page: Page) -> int:
    told = json.decode(page.request.get(f"{page.url}api/v1/state").body())
    found: int = told["sum"]["good"]
    return found


def test_a_dialog_is_there_when_one_comes_back(page: Page) -> None:
    button(page, "lot.load").tap()
    page.locator("#lot").fill("L2")
    page.locator("[data-view=alarms]").tap()
    expect(page.locator("[data-view=alarms]")).to_have_attribute("aria-current", "page")
    page.locator("[data-view=jobs]").tap()
    expect(page.locator("#lot")).to_have_value("L2")
    expect(page.locator("[data-ok]")).to_be_disabled()
    button(page, "probe.clean").tap(force=True)
    expect(page.locator(".message")).to_contain_text("close the dialog first")


def test_every_die_is_accounted_for(page: Page, wafer: Floor) -> None:
    page.locator("[data-view=lot]").tap()
    expect(page.locator('[data-figure="tested"]')).to_have_text(str(DIES))
    rows = page.locator("[data-table=soft] tbody tr td:nth-of-type(3)")
    assert sum(map(int, rows.all_inner_texts())) == DIES
    balance = json.decode(page.request.get(f"{page.url}api/v1/state").body())["sum"]["balance"]
    assert balance["in"] == DIES == balance["good"] + balance["rejects"] + balance["spoiled"]
    assert (balance["open"], balance["waiting"]) == (0, 0)
    sheet = page.request.get(f"{page.url}api/v1/lot/summary.txt").text()
    assert "L1" in sheet
    happened = list(read(wafer.folder / "lots/L1/journal"))
    taken = [one.command for one in happened if isinstance(one, events.CommandAccepted)]
    assert taken == ["lot.load", "lot.check", "lot.start"]  # which was tapped twice at once
    assert not [one for one in happened if isinstance(one, events.CommandRefused)]


def test_settings_stay_with_the_screen(page: Page) -> None:
    page.locator("[data-view=settings]").tap()
    page.locator('[data-set="lang=ja"]').tap()
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    page.locator('[data-set="hand=left"]').tap()
    page.locator('[data-set="theme=dark"]').tap()
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    at = page.locator("#command").bounding_box()
    assert at is not None
    assert at["x"] < BOX["width"] / 2
