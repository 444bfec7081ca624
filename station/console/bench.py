"""What the console costs and how late it paints: a large wafer at a fixed rate, before a real browser."""

import asyncio
import os
import shutil
import statistics
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from station import commands, events
from station.clock import RealClock
from station.console import outlet
from station.console.wire import VERSION, Hello
from station.custody.journal import Journal
from station.engine.bus import Bus
from station.engine.states import State
from station.errors import ConfigError
from station.model import Bin, BinKind, LotInfo, Outcome, Verdict

if TYPE_CHECKING:
    from playwright.async_api import Page

SITES = 8
SHARE = 0.5
"""Of the wafer that is tested when the console comes."""
CLIENTS = 50
CUT_OFF = 3
GOOD, BAD = Bin(1, "good", 1, BinKind.PASS), Bin(3, "leakage", 5)
HELLO = Hello(
    version=VERSION,
    plant="bench",
    station="bench",
    product="bench",
    sequence="bench",
    fingerprint="00",
    sites=tuple(range(1, SITES + 1)),
    more_lots=False,
)


def measured(seconds: float, rate: int, dies: int) -> Mapping[str, float]:
    """Return the figures; ConfigError without Chromium or Playwright."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise ConfigError("no Chromium is installed: the page is measured in one")
    with TemporaryDirectory(prefix="hb-") as folder:
        return asyncio.run(_measured(Path(folder), chromium, seconds, rate, dies))


async def _measured(folder: Path, chromium: str, seconds: float, rate: int, dies: int) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        wafer = await stack.enter_async_context(_wafer(folder, rate, dies))
        console = await stack.enter_async_context(_console(folder))
        page = await stack.enter_async_context(_page(chromium, console.url))
        one = await page.watched(console, seconds)
        for _ in range(CUT_OFF):
            await console.restart()
            await asyncio.sleep(seconds / CUT_OFF)
        wafer.rest.set()
        ended = await page.ended(console)
        wafer.rest.clear()
        await page.page.close()
        return {**one, **ended, "cpu_50_clients_percent": await _crowd(console, seconds)}


# -- the cell
def _landings(dies: int) -> Iterator[list[tuple[int, int]]]:
    """Yield where a card of 4 by 2 lands, row by row over a round wafer, over and over."""
    across = round((dies * 4 / 3.14159) ** 0.5)
    middle = (across - 1) / 2
    while True:
        for y in range(0, across, 2):
            for x in range(0, across, 4):
                places = [(x + n % 4, y + n // 4) for n in range(SITES)]
                inside = [
                    (a, b) for a, b in places if (a - middle) ** 2 + (b - middle) ** 2 < (across / 2) ** 2
                ]
                if inside:
                    yield inside


class _Wafer:
    """Tells of touchdowns as a cell does: journalled first."""

    def __init__(self, journal: Journal, bus: Bus, rate: int, dies: int) -> None:
        self._journal, self._bus, self._rate, self._dies = journal, bus, rate, dies
        self._places = _landings(dies)
        self._seq = self._part = 0
        self.rest = asyncio.Event()
        """Set: no touchdown for now."""

    async def begin(self) -> None:
        """Load a lot and test a share of the wafer."""
        now = RealClock().unix()
        info = LotInfo(
            lot="BENCH",
            product="bench",
            sequence="bench",
            sequence_version="1",
            fingerprint="00",
            station="bench",
            sites=HELLO.sites,
            quantity=self._dies * 10,
            tests=(),
            bins=(GOOD, BAD),
            pins=(),
            set_up=now,
        )
        running = events.StateChanged(at=now, old="CHECKING", new="RUNNING")
        history: list[events.Any] = [events.LotLoaded(at=now, info=info), running]
        while self._part < self._dies * SHARE:
            history += self._touchdown()
        await self._tell(history)

    async def run(self) -> None:
        """Test on at the rate, for ever."""
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        while True:
            if self.rest.is_set():
                await asyncio.sleep(0.05)
                next_at = loop.time()
                continue
            happened = self._touchdown()
            await self._tell(happened)
            next_at += len(happened[0].parts) / self._rate
            await asyncio.sleep(max(0.0, next_at - loop.time()))

    def _touchdown(self) -> list[Any]:
        self._seq += 1
        places, now = next(self._places), RealClock().unix()
        parts = {site: self._part + site for site in range(1, len(places) + 1)}
        self._part += len(places)
        bins = {site: BAD if (part * 7919) % 23 == 0 else GOOD for site, part in parts.items()}
        opened = events.TouchdownOpened(
            at=now,
            seq=self._seq,
            parts=parts,
            contacts=dict.fromkeys(parts, 1),
            wafer="W1",
            positions=dict(enumerate(places, start=1)),
        )
        outcomes = tuple(
            Outcome(
                site,
                part,
                1,
                bins[site].number,
                bins[site].hard,
                bins[site].kind,
                Verdict.PASSED if bins[site].good else Verdict.FAILED,
                0.1,
            )
            for site, part in parts.items()
        )
        closed = events.ContactsClosed(at=now, seq=self._seq, outcomes=outcomes)
        hard = {site: one.hard for site, one in bins.items()}
        sent = events.BinsSent(at=now, seq=self._seq, bins=hard)
        return [opened, closed, sent, events.Sorted(at=now, seq=self._seq, bins=hard)]

    async def _tell(self, happened: list[events.Any]) -> None:
        await self._journal.commit(*happened)
        for event in happened:
            self._bus.publish(event)


@asynccontextmanager
async def _wafer(folder: Path, rate: int, dies: int) -> AsyncGenerator[_Wafer, None]:
    async def request(command: commands.Any) -> commands.Receipt:
        return commands.Receipt(False, "wrong_state", "there is no cell")

    journal, bus = Journal(folder / "journal"), Bus()
    journal.open()
    inside = outlet.Inside(request, lambda: State.RUNNING)
    async with outlet.offered(folder / "s", HELLO, inside) as offered:
        made = _Wafer(journal, bus, rate, dies)
        following = asyncio.ensure_future(offered.follow(folder / "journal", 0, bus.subscribe()))
        await made.begin()
        running = asyncio.ensure_future(made.run())
        try:
            yield made
        finally:
            running.cancel()
            bus.close()
            await asyncio.wait([running, following])
            journal.close()


# -- the console
class _Console:
    """The console's process."""

    def __init__(self, socket: Path) -> None:
        self._socket, self.url = socket, ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, port: str) -> None:
        """Start it; ConfigError if it does not."""
        options = ["--engine", str(self._socket), "--port", port, "--person", "bench"]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "station.cli", "console", *options, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        said = (await self._process.stdout.readline()).decode().strip()
        if not said.startswith("hardbin: http"):
            raise ConfigError("the console does not start")
        self.url = said.removeprefix("hardbin: ")

    async def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def restart(self) -> None:
        """Kill it and start it where it was: its browsers are cut off."""
        await self.kill()
        await self.start(self.url.rstrip("/").rpartition(":")[2])

    @property
    def _pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    def cpu_s(self) -> float:
        """How much CPU it has had."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def fetch(self, path: str) -> bytes:
        """Return what is at a path of it."""
        return await asyncio.get_running_loop().run_in_executor(None, _fetched, self.url + path)

    async def share(self, seconds: float) -> float:
        """Return which part of a core it takes, in %, over some time."""
        loop = asyncio.get_running_loop()
        began, cpu = loop.time(), self.cpu_s()
        await asyncio.sleep(seconds)
        return round(100 * (self.cpu_s() - cpu) / (loop.time() - began), 2)


def _fetched(url: str) -> bytes:
    with urlopen(url) as answer:  # noqa: S310 - our own console, on loopback
        found: bytes = answer.read()
    return found


@asynccontextmanager
async def _console(folder: Path) -> AsyncGenerator[_Console, None]:
    console = _Console(folder / "s")
    try:
        await console.start("0")
        yield console
    finally:
        await console.kill()


async def _crowd(console: _Console, seconds: float) -> float:
    """Return the share with many streams that are read."""
    host, _, port = console.url.removeprefix("http://").rstrip("/").rpartition(":")
    ask = f"GET /api/v1/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()

    async def read() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(ask)
        try:
            while await reader.read(65536):
                pass
        finally:
            writer.close()

    readers = [asyncio.ensure_future(read()) for _ in range(CLIENTS)]
    await asyncio.sleep(1.0)
    share = await console.share(seconds)
    for one in readers:
        one.cancel()
    await asyncio.wait(readers)
    return share


# -- the browser
class _Page:
    """The page in a headless browser."""

    def __init__(self, page: "Page", asked: list[str], host: str) -> None:
        self.page, self._asked, self._host = page, asked, host

    async def watched(self, console: _Console, seconds: float) -> dict[str, float]:
        """Return what one browser costs, how late it paints, and what its page weighs."""
        await self.page.wait_for_timeout(2000)
        await self.page.evaluate("hardbin.late.length = 0")
        share = await console.share(seconds)
        late = await self.page.evaluate("hardbin.late")
        weights = await self.page.evaluate(
            "performance.getEntriesByType('resource').filter(e => !e.name.includes('/api/'))"
            ".reduce((sum, e) => sum + e.decodedBodySize, 0)"
        )
        return {
            "server_cpu_percent": share,
            "paint_p50_ms": round(statistics.median(late), 1),
            "paint_p95_ms": round(statistics.quantiles(late, n=20)[-1], 1),
            "page_kb": round(weights / 1000, 1),
            "external_requests": sum(f"//{self._host}/" not in url for url in self._asked),
        }

    async def ended(self, console: _Console) -> dict[str, float]:
        """Return in how many places the map is another than the server's, when all is told."""
        await asyncio.sleep(4.0)
        octets = "document.querySelector('wafer-map').octets"
        shown = bytes(await self.page.evaluate(f"(o => [...o.last, ...o.first, ...o.site])({octets})"))
        there = await console.fetch("api/v1/map")
        differ = sum(a != b for a, b in zip(shown, there, strict=False))
        return {
            "reconnects": await self.page.evaluate("hardbin.hellos") - 1,
            "lost_dies": differ + abs(len(shown) - len(there)),
        }


@asynccontextmanager
async def _page(chromium: str, url: str) -> AsyncGenerator[_Page, None]:
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        raise ConfigError("Playwright is not installed: pip install playwright") from None
    options = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=options)
        page = await browser.new_page(viewport={"width": 1366, "height": 768})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{url}?lang=hi")
        yield _Page(page, asked, url.split("/")[2])
        await browser.close()
