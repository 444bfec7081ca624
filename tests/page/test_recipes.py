"""A recipe is staged at the page by an engineer, and the next lot runs by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from station import events
from station.custody.journal import read
from station.surroundings import simulated_station_file
from tests.cell.lots import hardbin
from tests.cell.test_recipe import DRAFT
from tests.page.conftest import Faults, Floor, button, floor

pytestmark = pytest.mark.timeout(600)


def said(*arguments: str) -> str:
    done = hardbin("recipe", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Floor]:
    """A station to which a recipe of two persons and one of one person were brought."""
    anna, ben = ("--development", "p-00000001"), ("--development", "p-00000002")
    drafts = {"both": DRAFT, "one": DRAFT.replace("version = 1", "version = 2")}
    for name, text in drafts.items():
        (tmp_path / f"{name}.toml").write_text(text)
        made = [str(tmp_path / f"{name}.{step}") for step in range(3)]
        said("build", str(tmp_path / f"{name}.toml"), "--out", made[0])
        said("sign", made[0], *anna, "--out", made[1])
        said("sign", made[1], *ben, "--out", made[2])
        brought = made[2] if name == "both" else made[1]
        assert "recipe.stage" in said("stage", brought, "--data", str(tmp_path / "station-data"))
    (tmp_path / "trust.toml").write_text(said("key", *anna) + said("key", *ben))
    file = tmp_path / "station.toml"
    file.write_text(simulated_station_file().read_text() + '\n[recipe]\ntrust = "trust.toml"\n')
    options = ("--station", str(file), "--speed", "jump")
    with floor(tmp_path, *options, roles=("operator", "engineer")) as made_:
        yield made_


def test_a_recipe_is_staged_and_a_lot_runs_by_it(station: Floor, context: BrowserContext) -> None:
    page = context.new_page()
    faults = Faults(page)
    page.goto(station.url)
    page.locator("[data-view=recipes]").tap()
    entries = page.locator("[data-recipe]")
    expect(entries).to_have_count(2)
    expect(page.locator("[data-stage]")).to_have_count(1)  # the other is signed by one person alone
    expect(page.locator(".entry.caution")).to_contain_text("alone")
    page.locator("[data-stage]").tap()
    expect(page.locator("[role=dialog]")).to_contain_text("p-00000002")
    page.locator("[data-ok]").tap()
    expect(page.locator('[data-staged="true"]')).to_contain_text("careful 1")
    page.locator("[data-view=jobs]").tap()
    button(page, "lot.load").tap()
    page.locator("#lot").fill("L1")
    page.locator("#quantity").fill("8")
    page.locator(".choice").get_by_role("button", name="careful 1").tap()
    page.locator("[data-ok]").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "LOADED")
    expect(page.locator('[data-check="recipe"]')).to_contain_text("careful 1")
    button(page, "lot.start").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "CLOSED", timeout=120_000)
    page.locator("[data-view=lot]").tap()
    expect(page.locator(".sheet")).to_contain_text("careful 1")
    page.locator("[data-view=devices]").tap()
    page.locator("#wanted").fill("3")
    page.locator("[data-find]").tap()
    expect(page.locator(".sheet")).to_contain_text("What happened")
    happened = read(station.folder / "lots/L1/journal")
    (loaded,) = [one for one in happened if isinstance(one, events.LotLoaded)]
    assert loaded.info.limit_set.startswith("careful 1 ")
    assert faults.said == []
