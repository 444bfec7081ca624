"""The floor's page in a real browser: every station, live, and what it says when it knows nothing new."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from station.clock import RealClock
from station.floor.database import opened as database
from station.floor.keeping import Keeper, told
from station.remote.messages import Birth, CloudEvent, CountState, LotState, Online, SiteState, State, utc
from station.remote.topics import Tree
from tests.page.conftest import BOX, PATIENCE_MS, Process
from tests.page.test_look import LANGUAGES, PICTURES, faults

pytestmark = pytest.mark.timeout(600)
NOW = 1_795_335_000.0
AHEAD_S = 3600.0
"""The collector's clock: it is not away because a test takes long."""
CELLS = {"ws-01": "RUNNING", "ws-02": "HELD", "ws-03": "CLOSED", "ws-04": "PAUSED"}


class Floor:
    """A database that the test writes as a collector, and the process of the page."""

    def __init__(self, folder: Path) -> None:
        self._engine = database(f"sqlite:///{folder}/floor.db")
        self._keeper = Keeper(self._engine, lambda: RealClock().unix() + AHEAD_S)
        self._process = Process(folder, "floor", "--database", "sqlite:///floor.db", "--port", "0")
        self._seq = 0
        self.url = ""

    def start(self) -> None:
        """Have four stations, and the page."""
        for name, cell in CELLS.items():
            self.tell(name, "online", Online(True, 1))
            self.tell(name, "birth", birth(name))
            self.stands(name, cell)
        self.tell("ws-04", "online", Online(False, 1))
        data = {"product": "se1", "sequence": "sort", "fingerprint": "00", "quantity": 100}
        self.happened("ws-03", "lot.loaded", data)
        self.happened("ws-03", "lot.completed", {"outcome": "PASSED", "tested": 100, "good": 97})
        self.happened("ws-02", "alarm.raised", {"alarm": "hold", "reason": "<b>yield</b> below 90 %"})
        self.there()
        self._process.start()
        self.url = self._process.said.removeprefix("hardbin: ")

    def there(self) -> None:
        """The collector lives."""
        self._keeper.there("collector", connected=True)

    def gone(self) -> None:
        """The collector has lost its broker."""
        self._keeper.there("collector", connected=False)

    def tell(self, name: str, part: str, message: Any) -> None:
        """A station says something."""
        self._keeper.keep([told(f"{Tree('ahm1', name).root}/{part}", msgspec.json.encode(message), b"")])

    def stands(self, name: str, cell: str, tested: int = 40) -> None:
        """A station is in a state."""
        self._seq += 1
        state = State(
            epoch=1,
            seq=self._seq,
            t=utc(NOW + self._seq),
            control="ONLINE-REMOTE",
            lease=None,
            cell=cell,
            run="EXECUTE",
            reason="yield below 90 %" if cell == "HELD" else "",
            lot=LotState("L1", "se1", "sort", "00", 100),
            count=CountState(tested, tested - 1),
            sites=(SiteState(1, "ON", 0.9), SiteState(2, "OFF", None)),
        )
        self.tell(name, "state", state)

    def happened(self, name: str, kind: str, data: dict[str, Any]) -> None:
        """A station tells an event of lot L1."""
        root = f"/{Tree('ahm1', name).root}"
        event = CloudEvent(id=kind, source=root, type=kind, time=utc(NOW), subject="L1", data=data)
        self.tell(name, f"evt/{kind}", event)

    def stop(self) -> None:
        """End the page's process."""
        self._process.stop()
        self._engine.dispose()


def birth(name: str) -> Birth:
    """What a station is."""
    return Birth(
        epoch=1,
        t=utc(NOW),
        plant="ahm1",
        station=name,
        version="1.0",
        product="se1",
        sequence="sort",
        fingerprint="00",
        sites=(1, 2),
        commands=(),
        keys={},
        schema="",
    )


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    made = Floor(tmp_path_factory.mktemp("floor"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def opened(browser: Browser, url: str, *, bypass_csp: bool = False) -> Page:
    context = browser.new_context(viewport=BOX, has_touch=True, bypass_csp=bypass_csp)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    expect(page.locator("[data-station]")).to_have_count(len(CELLS))
    return page


def test_every_station_is_there_and_what_changes_is_shown(plant: Floor, browser: Browser) -> None:
    page = opened(browser, plant.url)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    for name, state in (CELLS | {"ws-04": "OFFLINE"}).items():
        expect(page.locator(f"[data-station={name}]")).to_have_attribute("data-state", state)
    expect(page.locator(".message")).to_contain_text("ws-02")
    expect(page.locator("[data-lot=L1]")).to_contain_text("97 / 100")
    expect(page.locator("li", has_text="<b>yield</b> below 90 %")).to_be_visible()
    page.locator("[data-only=stopped]").tap()
    expect(page.locator("[data-station]")).to_have_count(1)
    page.locator("[data-only=every]").tap()
    plant.stands("ws-01", "RUNNING", tested=77)
    expect(page.locator("[data-station=ws-01]")).to_contain_text("77 / 100")
    page.evaluate("floor.marked = true")
    plant.tell("ws-04", "online", Online(True, 2))
    expect(page.locator("[data-station=ws-04]")).to_have_attribute("data-state", "PAUSED")
    assert page.evaluate("floor.marked"), "the page was not loaded anew"
    plant.tell("ws-04", "online", Online(False, 2))
    assert said == []
    page.context.close()


def test_without_a_collector_the_page_says_that_it_is_old(plant: Floor, browser: Browser) -> None:
    page = opened(browser, plant.url)
    plant.gone()
    expect(page.locator(".message")).to_contain_text("collector")
    expect(page.locator("body")).to_have_class(re.compile(r"\bold\b"))
    plant.there()
    expect(page.locator(".message")).not_to_contain_text("collector")
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_wcag_finds_nothing(plant: Floor, browser: Browser, theme: str) -> None:
    page = opened(browser, f"{plant.url}?theme={theme}", bypass_csp=True)
    assert faults(page) == []
    page.context.close()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_language_fits(plant: Floor, browser: Browser, lang: str) -> None:
    page = opened(browser, f"{plant.url}?lang={lang}")
    expect(page.locator("html")).to_have_attribute("lang", lang)
    wide = page.evaluate(
        "[...document.querySelectorAll('button, .panel, body')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 100))"
    )
    assert wide == []
    assert "floor." not in page.locator("body").inner_text(), "a word is missing"
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"floor-{lang}.png")
    page.context.close()
