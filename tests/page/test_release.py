"""A lot that was held for its yield, at the page: of a secure product two engineers let it go on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from station import events
from station.clock import RealClock
from station.custody.journal import read
from station.people.people import people
from station.people.pins import Cost
from station.vault.desk.roles import Role
from tests.page.conftest import Faults, Floor, button, floor, load
from tests.page.test_scanner import BURST
from tests.page.test_security import ENGINEER, OFFICER, opened, shows

pytestmark = pytest.mark.timeout(600)
ANOTHER = ("badge-0003", "620481")
HIDDEN = """() => {
  const whole = document.querySelector('.dialog'), why = whole.querySelector('.body p');
  const most = whole.parentElement.clientHeight - 24;
  const lines = 2 * parseFloat(getComputedStyle(why).lineHeight);
  return whole.scrollHeight - Math.max(0, why.offsetHeight - lines) - most; }"""
"""How much of a dialog is below the edge, were the reason of the hold two lines."""


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    """Two engineers and a security officer."""
    with people(tmp_path / "people", "sim-ft-01", RealClock().unix, Cost.LOW) as inside:
        codes = inside.found()
        inside.enrol(codes["first engineer"], *ENGINEER)
        inside.enrol(codes["first security officer"], *OFFICER)
        both = inside.proof(*ENGINEER), inside.proof(*OFFICER)
        inside.enrol(inside.add("Ravi", frozenset({Role.ENGINEER}), both), *ANOTHER)
    return tmp_path


@pytest.fixture
def station(accounts: Path) -> Iterator[Floor]:
    """No device draws the current that it should."""
    with floor(accounts, "--speed", "jump", "--fault", "dut.idd_high") as made:
        yield made


def test_two_engineers_release_a_yield_hold(station: Floor, context: BrowserContext) -> None:
    page = opened(station, context)
    faults = Faults(page)
    page.locator("button.person").tap()
    shows(page, ENGINEER)
    load(page, "L1", 400)
    button(page, "lot.start").tap()
    body = page.locator("body")
    expect(body).to_have_attribute("data-state", "HELD")
    button(page, "hold.release").tap()
    expect(page.locator("[data-takes]")).to_contain_text("Engineer + Engineer")
    badge, pin = page.locator("#badge").bounding_box(), page.locator("#pin").bounding_box()
    assert badge is not None
    assert pin is not None
    assert badge["y"] == pin["y"]
    page.locator("#reason").fill("limits checked")
    expect(page.locator("[data-ok]")).to_be_disabled()
    shows(page, ENGINEER)
    dialog = page.locator('[data-dialog="second"]')
    expect(dialog).to_contain_text("limits checked")
    shows(page, OFFICER)  # no engineer
    expect(page.locator(".message")).to_contain_text("hold.release is not for security-officer")
    expect(body).to_have_attribute("data-state", "HELD")
    button(page, "hold.release").tap()
    page.locator("#reason").fill("limits checked")
    page.evaluate(BURST, [f"B:{OFFICER[0]}"])  # into the dialog that asks for a badge
    expect(page.locator("#badge")).to_have_value(OFFICER[0])
    expect(page.locator("#reason")).to_have_value("limits checked")
    shows(page, ENGINEER)
    expect(dialog).to_be_visible()
    shows(page, ANOTHER)
    expect(page.locator(".message")).to_contain_text("accepted")
    expect(body).to_have_attribute("data-state", "PAUSED")
    told = list(read(station.folder / "lots/L1/journal"))
    (taken,) = (one for one in told if isinstance(one, events.CommandAccepted) and "release" in one.command)
    assert (taken.reason, len({taken.actor, taken.second, ""})) == ("limits checked", 3)
    assert [one for one in faults.said if "409" not in one] == []


def vault_of(station: Floor) -> int:
    """The process of the lot's own vault."""
    (found,) = (pid for pid in children(station.station.pid) if "station.vault" in command_of(pid))
    return found


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")


def test_two_engineers_sign_for_a_balance_that_stays_open(accounts: Path, context: BrowserContext) -> None:
    with floor(accounts, "--speed", "40") as station:
        page = opened(station, context)
        faults = Faults(page)
        page.locator("button.person").tap()
        shows(page, ENGINEER)
        load(page, "L1", 4000)
        button(page, "lot.start").tap()
        body = page.locator("body")
        expect(body).to_have_attribute("data-state", "RUNNING")
        button(page, "lot.pause").tap()
        expect(body).to_have_attribute("data-state", "PAUSED")
        expect(button(page, "lot.close")).to_have_count(0)
        os.kill(vault_of(station), signal.SIGKILL)
        button(page, "lot.end").tap()
        page.locator("[data-ok]").tap()
        expect(body).to_have_attribute("data-state", "HELD")
        button(page, "lot.close").tap()
        expect(page.locator("[data-takes]")).to_contain_text("Signing takes: Engineer + Engineer")
        assert page.evaluate(HIDDEN) <= 0
        page.locator("#reason").fill("counted: none is missing")
        expect(page.locator("[data-ok]")).to_be_disabled()
        shows(page, ENGINEER)
        dialog = page.locator('[data-dialog="second"]')
        expect(dialog).to_contain_text("counted: none is missing")
        shows(page, ANOTHER)
        expect(body).to_have_attribute("data-state", "CLOSED")
        told = list(read(station.folder / "lots/L1/journal"))
    (signed,) = (one for one in told if isinstance(one, events.BalanceSigned))
    assert (signed.reason, len({signed.actor, signed.second, ""})) == ("counted: none is missing", 3)
    assert [one for one in faults.said if "409" not in one] == []
