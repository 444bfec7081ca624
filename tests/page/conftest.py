"""A station, its console and a real browser, each a process of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
]
BOX: ViewportSize = {"width": 1366, "height": 768}
PATIENCE_MS = 90_000
expect.set_options(timeout=PATIENCE_MS)


class Process:
    """A `hardbin` command that runs until it is told to end."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder, self._arguments = folder, arguments
        self.said = ""
        self._running: subprocess.Popen[str] | None = None

    def start(self, ready: str = "hardbin:") -> None:
        """Start it; return when it has said that it is ready."""
        self._running = subprocess.Popen(
            [sys.executable, "-m", "station.cli", *self._arguments],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
            text=True,
        )
        assert self._running.stdout is not None
        for line in self._running.stdout:
            if line.startswith(ready):
                self.said = line.strip()
                return
        raise AssertionError(f"{self._arguments} has ended with {self._running.wait(30)}")

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return 0 if self._running is None else self._running.pid

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(hard=True)

    def stop(self) -> None:
        """End it as a service manager does."""
        self._end(hard=False)

    def _end(self, *, hard: bool) -> None:
        if self._running is None:
            return
        if hard:
            self._running.kill()
        else:
            self._running.terminate()
        try:
            self._running.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.communicate(timeout=60)
            raise
        finally:
            self._running = None


class Floor:
    """One station that serves, and its console."""

    def __init__(self, folder: Path, *options: str, roles: tuple[str, ...] = ()) -> None:
        self.folder, self._roles = folder, roles
        self.station = Process(folder, "serve", "--console", "s", "--sites", "4", "--json", *options)
        self.console = self._console("0")
        self.url = ""

    def _console(self, port: str) -> Process:
        accounts = (self.folder / "people").exists()
        roles = (part for role in self._roles for part in ("--role", role))
        who = ("--people", "people") if accounts else ("--person", "operator", *roles)
        return Process(self.folder, "console", "--engine", "s", "--port", port, *who)

    def start(self) -> None:
        """Start both."""
        self.station.start()
        self.console.start()
        self.url = self.console.said.removeprefix("hardbin: ")

    def console_again(self) -> None:
        """Start a console where the one before was."""
        self.console = self._console(self.url.rstrip("/").rpartition(":")[2])
        self.console.start()

    def stop(self) -> None:
        """End both."""
        self.console.stop()
        self.station.stop()


@contextmanager
def floor(folder: Path, *options: str, roles: tuple[str, ...] = ()) -> Iterator[Floor]:
    """Have one while the block lasts, with these options of `hardbin serve` and roles of who stands there."""
    made = Floor(folder, *options, roles=roles)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def button(page: Page, command: str) -> Locator:
    """Return the button of a command."""
    return page.locator(f'[data-command="{command}"]')


def load(page: Page, lot: str, quantity: int) -> None:
    """Type what the traveller says."""
    button(page, "lot.load").tap()
    page.locator("#lot").fill(lot)
    expect(page.locator("[data-ok]")).to_be_disabled()
    page.locator("#quantity").fill(str(quantity))
    page.locator("[data-ok]").tap()
    expect(page.locator("body")).to_have_attribute("data-state", "LOADED")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The distribution's Chromium, for a module: asyncio's tests cannot run while it is driven."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # root in a container has none
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *sandbox])
        yield launched
        launched.close()


class Faults:
    """What a page has complained of, and whom it has asked."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        self.asked: set[str] = set()
        page.on(
            "console", lambda message: self.said.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.add(request.url.split("/")[2]))


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without a past."""
    made = browser.new_context(viewport=BOX, has_touch=True)
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()
