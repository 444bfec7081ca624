"""Security keys and acts of two persons at the page, with a key of the browser's own."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from station import events, key_releases
from station.clock import RealClock
from station.custody.journal import read
from station.evidence.bundle import BUNDLE
from station.model import Disposition
from station.people.people import people
from station.people.pins import Cost
from tests.page.conftest import Faults, Floor, button, floor, load
from tests.station.test_key_releases import BOTH

pytestmark = pytest.mark.timeout(600)
ENGINEER, OFFICER = ("badge-0001", "840175"), ("badge-0002", "193756")


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Floor]:
    """The first engineer and the first security officer have enrolled."""
    with people(tmp_path / "people", "sim-ft-01", RealClock().unix, Cost.LOW) as inside:
        codes = inside.found()
        inside.enrol(codes["first engineer"], *ENGINEER)
        inside.enrol(codes["first security officer"], *OFFICER)
    with floor(tmp_path, "--speed", "jump") as made:
        yield made


def with_a_key(page: Page) -> None:
    """Plug a security key into the browser, which verifies its person."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "usb",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def opened(station: Floor, context: BrowserContext) -> Page:
    """Open the page under a name: a key belongs to one, and to no address."""
    page = context.new_page()
    page.goto(station.url.replace("127.0.0.1", "localhost"))
    expect(page.locator("button.person")).to_be_visible()
    return page


def shows(page: Page, who: tuple[str, str]) -> None:
    page.locator("#badge").fill(who[0])
    page.locator("#pin").fill(who[1])
    page.locator("[data-ok]").tap()


def test_an_officer_registers_a_key_and_logs_in_with_it(station: Floor, context: BrowserContext) -> None:
    page = opened(station, context)
    faults = Faults(page)
    with_a_key(page)
    page.locator("button.person").tap()
    shows(page, OFFICER)
    expect(page.locator("button.person")).to_contain_text("first security officer")
    page.locator("[data-view=security]").tap()
    expect(page.locator("[data-table=people]")).to_contain_text("first engineer")
    root = page.locator("[data-root]").inner_text()
    assert len(root) == 64
    page.locator("[data-add-key]").tap()
    expect(page.locator(".message")).to_contain_text("Add Security Key: accepted")
    page.locator("button.person").tap()
    page.locator("[data-ok]").tap()
    expect(page.locator("button.person")).to_contain_text("Login Here")
    page.locator("button.person").tap()
    shows(page, OFFICER)  # from the first key on the PIN opens no session
    expect(page.locator(".message")).to_contain_text("logs in with the security key")
    page.locator("button.person").tap()
    page.locator("[data-key]").tap()
    expect(page.locator("button.person")).to_contain_text("first security officer")
    page.locator("[data-view=security]").tap()
    expect(page.locator("[data-root]")).not_to_have_text(root)
    assert [one for one in faults.said if "403" not in one] == []


def test_an_account_takes_two_persons_who_see_the_same(station: Floor, context: BrowserContext) -> None:
    page = opened(station, context)
    page.locator("button.person").tap()
    shows(page, ENGINEER)
    page.locator("[data-view=security]").tap()
    page.locator("[data-act]").tap()
    page.locator("#name").fill("Asha")
    page.locator('[data-choice="operator"]').tap()
    shows(page, ENGINEER)
    digest = page.locator("[data-digest]")
    expect(digest).to_be_visible()
    whole = digest.get_attribute("data-digest") or ""
    assert digest.inner_text().replace("-", "").lower() == whole[:16]
    expect(page.locator("[role=dialog]")).to_contain_text("Asha")
    shows(page, ENGINEER)  # the same person again
    expect(page.locator(".message")).to_contain_text("another person must")
    page.locator("[data-act]").tap()
    page.locator("#name").fill("Asha")
    page.locator('[data-choice="operator"]').tap()
    shows(page, ENGINEER)
    expect(digest).to_be_visible()
    assert digest.get_attribute("data-digest") != whole
    shows(page, OFFICER)
    code = page.locator("[data-code]")
    expect(code).to_be_visible()
    enrolled = code.inner_text()
    page.locator("[data-ok]").tap()
    expect(page.locator("[data-table=people]")).to_contain_text("Asha")
    station.stop()
    with people(station.folder / "people", "sim-ft-01", RealClock().unix, Cost.LOW) as inside:
        assert inside.enrol(enrolled, "badge-0003", "518240").name == "Asha"


def test_an_officer_consents_with_a_key(station: Floor, context: BrowserContext) -> None:
    page = opened(station, context)
    with_a_key(page)
    page.locator("button.person").tap()
    shows(page, OFFICER)
    page.locator("[data-view=security]").tap()
    page.locator("[data-add-key]").tap()
    expect(page.locator(".message")).to_contain_text("Add Security Key: accepted")
    page.locator("[data-act]").tap()
    page.locator("#name").fill("Ravi")
    page.locator('[data-choice="technician"]').tap()
    shows(page, ENGINEER)
    page.locator("[data-key]").tap()
    expect(page.locator("[data-code]")).to_be_visible()


def test_quota_and_evidence_are_shown(station: Floor, context: BrowserContext) -> None:
    page = opened(station, context)
    page.locator("button.person").tap()
    shows(page, ENGINEER)
    load(page, "L1", 8)
    button(page, "lot.start").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "CLOSED")
    sealed = sealed_in(station)
    page.locator("[data-view=security]").tap()
    expect(page.locator("[data-quota=quantity]")).to_have_text("8")
    expect(page.locator("[data-quota=sealed]")).to_have_text(str(sealed))
    expect(page.locator("[data-quota=left]")).to_have_text(str(8 - sealed))
    bundle = station.folder / "lots/L1" / BUNDLE
    row = page.locator('[data-evidence="L1"]')
    expect(row).to_contain_text("Closed")
    expect(row).to_contain_text(sha256(bundle.read_bytes()).hexdigest())


def test_an_officer_has_a_key_release_brought_to_the_vault(station: Floor, context: BrowserContext) -> None:
    name = key_releases.bring(station.folder / "station-data", BOTH)
    page = opened(station, context)
    page.locator("[data-view=security]").tap()
    release = page.locator(f'[data-release="{name}"]')
    expect(release).to_contain_text("WO-1")
    expect(release).to_contain_text("p-00000002, p-00000003")
    bring = release.locator("[data-bring]")
    page.locator("button.person").tap()
    shows(page, ENGINEER)
    expect(page.locator("button.person")).to_contain_text("first engineer")
    expect(bring).to_have_attribute("aria-disabled", "true")  # engineers do not release keys
    page.locator("button.person").tap()
    page.locator("[data-ok]").tap()
    expect(page.locator("button.person")).to_contain_text("Login Here")
    page.locator("button.person").tap()
    shows(page, OFFICER)
    expect(bring).to_have_attribute("aria-disabled", "false")
    bring.tap()
    expect(page.locator("[role=dialog]")).to_contain_text("KS-1")
    page.locator("[data-ok]").tap()  # this station's vault lives as long as a lot
    expect(page.locator(".message")).to_contain_text("this station has no vault that runs")


def sealed_in(station: Floor) -> int:
    """How many devices the vault has sealed, by the lot's journal."""
    happened = read(station.folder / "lots/L1/journal")
    ended = (one for one in happened if isinstance(one, events.PersonalisationEnded))
    return sum(one.disposition is Disposition.SEALED for one in ended)
