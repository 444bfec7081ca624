"""What the page looks like: WCAG, targets for gloves, languages, themes; pictures are kept if asked."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec import json
from playwright.sync_api import Browser, Page, expect

from station.alarms import PRIORITY
from station.authority import RIGHTS
from station.commands import WAIVABLE
from station.config import AssetTable
from station.console.orders import NAMES
from station.console.page_files import FOLDER
from station.engine.states import State
from station.engine.stops import Cause
from tests.page.conftest import BOX, PATIENCE_MS, Floor, button, floor, load

pytestmark = pytest.mark.timeout(600)
LANGUAGES = ("en", "hi", "gu", "ja")
VIEWS = ("jobs", "lot", "devices", "recipes", "engineering", "security", "settings", "alarms", "help")
DIALOGS = ('[data-site="2"]', "[data-e10]", "[data-command='cell.recover']")
LOADED = {"lot": "[data-table=sites]", "security": "[data-quota=order]", "engineering": "[data-tab=live]"}
"""What is there when a view has been told what it has asked for."""
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PICTURES = os.environ.get("HARDBIN_PICTURES", "")
"""A folder in which the pictures of the main views are left."""


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    """A station in mid-lot, which one fault has stopped: every part of the page has something to show."""
    fault = "supply-2.stuck_on@after=20"
    folder = tmp_path_factory.mktemp("floor")
    with floor(folder, "--fault", fault, "--speed", "jump", roles=("technician",)) as made:
        yield made


def opened(browser: Browser, url: str, *, bypass_csp: bool = False) -> Page:
    context = browser.new_context(viewport=BOX, has_touch=True, bypass_csp=bypass_csp)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    expect(page.locator("nav button")).to_have_count(len(VIEWS))
    return page


def stopped(browser: Browser, floor: Floor) -> None:
    """Have a lot that a fault has stopped, and that the station has taken up again."""
    page = opened(browser, floor.url)
    if page.locator("body").get_attribute("data-state") == "EMPTY":
        load(page, "L1", 200)
        button(page, "lot.start").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "ABORTED")
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_wcag_finds_nothing(held: Floor, browser: Browser, theme: str) -> None:
    stopped(browser, held)
    page = opened(browser, f"{held.url}?theme={theme}", bypass_csp=True)
    for view in VIEWS:
        page.locator(f"[data-view={view}]").tap()
        expect(page.locator(f"[data-view={view}]")).to_have_attribute("aria-current", "page")
        expect(page.locator(LOADED.get(view, "#view"))).to_be_visible()
        assert faults(page) == [], view
    page.locator("[data-view=jobs]").tap()
    for opens in DIALOGS:
        page.locator(opens).tap()
        expect(page.locator("[role=dialog]")).to_be_visible()
        assert faults(page) == [], opens
        page.get_by_role("button", name="Cancel").tap()
    page.context.close()


def faults(page: Page) -> list[str]:
    """Return what axe-core has against the page, in words."""
    found = Axe().run(page, options={"runOnly": WCAG})
    return [
        f"{one['id']}: {node['html'][:120]}" for one in found.response["violations"] for node in one["nodes"]
    ]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_language_fits_and_is_whole(held: Floor, browser: Browser, lang: str) -> None:
    stopped(browser, held)
    page = opened(browser, f"{held.url}?lang={lang}")
    expect(page.locator("html")).to_have_attribute("lang", lang)
    for view in VIEWS:
        page.locator(f"[data-view={view}]").tap()
        expect(page.locator(f"[data-view={view}]")).to_have_attribute("aria-current", "page")
        expect(page.locator(LOADED.get(view, "#view"))).to_be_visible()
        wide = page.evaluate(
            "[...document.querySelectorAll('button, .panel, body')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 100))"
        )
        assert wide == [], view
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"{view}-{lang}.png")
    page.context.close()


def test_every_word_is_in_every_language() -> None:
    for part in ("", "engineer-"):
        words = {lang: json.decode((FOLDER / f"i18n/{part}{lang}.json").read_bytes()) for lang in LANGUAGES}
        for lang in LANGUAGES:
            assert set(words[lang]) == set(words["en"]), f"{part}{lang}"
            for name, text in words[lang].items():
                assert values(text) == values(words["en"][name]), f"{part}{lang} {name}"


ALWAYS = ("recipe", "machines", "docking", "vault", "sites", "records", "disk", "clock")
"""Checks before a start for which nobody may answer."""


def test_whatever_the_station_can_say_has_words() -> None:
    words = json.decode((FOLDER / "i18n/en.json").read_bytes())
    roles = {role for right in RIGHTS.values() for role in right.who}
    wanted = {
        *(f"{kind}.{code}" for kind in ("alarm", "do") for code in PRIORITY),
        *(f"preflight.{do}{check}" for do in ("", "do.") for check in (*get_args(WAIVABLE), *ALWAYS)),
        *(f"state.{state.value}" for state in State),
        *(f"cause.{cause.value}" for cause in Cause),
        *(f"asset.{kind}" for kind in get_args(AssetTable.__annotations__["kind"])),
        *(f"command.{name}" for name in NAMES),
        *(f"role.{role}" for role in roles),
    }
    assert wanted - words.keys() == set()


def values(text: object) -> set[str]:
    """Return what a text takes."""
    whole = text["other"] if isinstance(text, dict) else str(text)
    return {part.partition("}")[0] for part in str(whole).split("{")[1:]}


@pytest.mark.parametrize("query", ["", "?hand=left&theme=dark"])
def test_gloves_meet_every_button(held: Floor, browser: Browser, query: str) -> None:
    stopped(browser, held)
    page = opened(browser, held.url + query)
    for view in VIEWS:
        page.locator(f"[data-view={view}]").tap()
        small = page.evaluate(
            "[...document.querySelectorAll('button')].map(b => [b.textContent, b.getBoundingClientRect()])"
            ".filter(([, r]) => r.width < 60 || r.height < 60).map(([text]) => text)"
        )
        assert small == [], view
    commands, middle = page.locator("#command").bounding_box(), page.locator("#information").bounding_box()
    assert commands is not None
    assert middle is not None
    assert (commands["x"] < middle["x"]) is ("left" in query)
    page.context.close()
