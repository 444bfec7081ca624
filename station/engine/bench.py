"""How fast the engine is with the simulator out of the way, beside the floor of the same run.

Workload: 16 sites, 200 parametric rows with two limits, no instrument. CPU is user plus system, all threads.
"""

import asyncio
import resource
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from drivers.roles import Handler, Touchdown
from drivers.transports.fair_selector import fair_loop
from drivers.transports.worker import Worker
from station import commands
from station.authority import OPERATOR
from station.clock import RealClock
from station.custody.journal import Journal
from station.datalog.stdf.file import StdfFile
from station.datalog.store import Store
from station.engine.bound import Bound
from station.engine.bus import Bus
from station.engine.cell import Cell
from station.engine.lot_journal import LotJournal
from station.engine.plan import Folder, Plan
from station.engine.records import Records
from station.engine.states import State
from station.model import Bin, BinKind, Limit, LotInfo, TouchdownResult
from station.sequence import Parametric, Sequence, Site, StationBins

SITES = 16
ROWS = 200
INSTRUMENT_S = 0.005
GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
BAD = Bin(2, "bad", hard=2)
ERROR = Bin(20, "error", hard=7, kind=BinKind.OTHER)
LIMIT = Limit(0.0, 1.0, "V")
BINS = StationBins(passing=GOOD, error=ERROR, default=BAD, untested=Bin(21, "untested", 7, BinKind.OTHER))


@dataclass(frozen=True)
class BenchSite(Site):
    """A site with a port whose far end takes its time."""

    instrument: Worker | None = None
    busy: Event = field(default_factory=Event)
    """Never set: waiting for it is what an instrument's time is."""


class Feeder(Handler):
    """Hands over devices at once, and takes them at once."""

    hard_bins = frozenset(range(16))

    def __init__(self, sites: int, touchdowns: int) -> None:
        super().__init__("feeder")
        self._sites = frozenset(range(1, sites + 1))
        self._touchdowns = touchdowns
        self.resident_mb: list[float] = []
        """Memory of the process at each tenth of the lot."""

    async def start_lot(self, lot: str) -> None:
        pass

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        tenths = {self._touchdowns * tenth // 10 for tenth in range(1, 11)}
        for number in range(1, self._touchdowns + 1):
            if number in tenths:
                self.resident_mb.append(_resident_mb())
            yield Touchdown(self._sites)

    async def sort(self, bins: Mapping[int, int]) -> None:
        pass

    async def replunge(self) -> None:
        pass

    async def make_safe(self) -> None:
        pass


class LastStore:
    """A store that keeps the last landing only."""

    def __init__(self) -> None:
        self.last: TouchdownResult | None = None

    def open(self) -> None:
        pass

    def begin(self, info: LotInfo) -> int:
        del info
        return 1

    def commit(self, result: TouchdownResult) -> None:
        self.last = result

    def event(self, kind: str, text: str, at: float) -> None:
        pass

    def finish(self, ended: float) -> None:
        pass

    def close(self) -> None:
        pass


class NoFile:
    """A datalog with nothing in it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "empty.std"

    def open(self) -> None:
        pass

    def touchdown(self, result: TouchdownResult) -> None:
        pass

    def event_text(self, text: str) -> None:
        pass

    def close(self, finished: float) -> Path:
        self._path.write_text(str(finished))
        return self._path

    def abandon(self) -> None:
        pass


def quick(number: int) -> Parametric[BenchSite]:
    """Return a row that measures nothing."""

    async def row(site: BenchSite) -> float:
        return 0.5

    row.__name__ = f"row_{number}"
    return Parametric(number, row, LIMIT, bin=BAD)


def waiting(number: int) -> Parametric[BenchSite]:
    """Return a row that waits for the instrument of its own site, on the thread of that port."""

    async def row(site: BenchSite) -> float:
        if site.instrument is not None:
            await site.instrument.call(site.busy.wait, INSTRUMENT_S)
        return 0.5

    row.__name__ = f"wait_{number}"
    return Parametric(number, row, LIMIT, bin=BAD)


def sequence(rows: tuple[Parametric[BenchSite], ...]) -> Sequence[BenchSite]:
    """Return the workload."""
    return Sequence(name="bench", version="1", site=BenchSite, bins=BINS, rows=rows)


async def lot(
    plan: Sequence[BenchSite], sites: int, touchdowns: int, folder: Path, *, recorded: bool
) -> tuple[float, Feeder]:
    """Run a lot on `sites` through the engine; return the seconds of the last landing, and the feeder."""
    kept = LastStore()
    bound_sites = {n: BenchSite(number=n, instrument=Worker(f"bench-{n}")) for n in range(1, sites + 1)}
    feeder, bus, clock = Feeder(sites, touchdowns), Bus(), RealClock()

    def open_folder(info: LotInfo) -> Folder:
        journal = Journal(folder / "journal", reserve_bytes=0)
        journal.open()
        if recorded:
            records = Records(Store(folder / "results.db"), StdfFile(folder, info))
        else:
            records = Records(kept, NoFile(folder))
        return Folder(folder, LotJournal(journal, bus, clock), records)

    def describe(command: commands.Load) -> LotInfo:
        return LotInfo(
            lot=command.lot,
            product="bench",
            sequence=plan.name,
            sequence_version=plan.version,
            fingerprint=plan.fingerprint().hex(),
            station="bench",
            sites=tuple(bound_sites),
            quantity=command.quantity,
            tests=plan.definitions(),
            bins=plan.all_bins(),
            pins=(),
            set_up=clock.unix(),
        )

    bound = Bound(feeder, bound_sites, dict.fromkeys(bound_sites, ()))
    cell = Cell(Plan(bound, (feeder,), plan, describe, open_folder, None, clock, bus))
    await cell.request(
        commands.Load(id="load", actor="bench", roles=OPERATOR, lot="bench", quantity=sites * touchdowns)
    )
    await cell.request(commands.Start(id="start", actor="bench", roles=OPERATOR))
    state = await cell.run_lot(unattended=True)
    await cell.aclose()
    for site in bound_sites.values():
        if site.instrument is not None:
            await site.instrument.aclose()
    if state is not State.CLOSED:
        raise RuntimeError(f"the lot ended {state.value}: {cell.reason}")
    return 0.0 if kept.last is None else kept.last.ended - kept.last.started, feeder


def rate(plan: Sequence[BenchSite], sites: int, touchdowns: int, *, recorded: bool) -> float:
    """Return measurements per CPU-second."""
    with TemporaryDirectory() as folder:
        began = time.process_time()
        asyncio.run(lot(plan, sites, touchdowns, Path(folder), recorded=recorded))
        return sites * touchdowns * len(plan.rows) / (time.process_time() - began)


def floor_rate(count: int) -> float:
    """Return the same for a bare await, limit check and append."""
    row, results = quick(1).run, list[float]()
    site = BenchSite(number=1)

    async def bare() -> None:
        for _ in range(count):
            value = await row(site)
            if isinstance(value, float) and LIMIT.holds(value):
                results.append(value)

    began = time.process_time()
    asyncio.run(bare())
    return len(results) / (time.process_time() - began)


def efficiency(sites: int, rows: int) -> float:
    """Return how near parallel instrument time comes to the ideal: 1 when no site ever waits for another."""
    plan = sequence(tuple(waiting(number) for number in range(1, rows + 1)))
    return rows * INSTRUMENT_S / last_landing_s(plan, sites, 1)


def last_landing_s(plan: Sequence[BenchSite], sites: int, touchdowns: int) -> float:
    """Run a lot on the loop that lets ports' threads in; return the seconds of its last landing."""
    with TemporaryDirectory() as folder, asyncio.Runner(loop_factory=fair_loop) as runner:
        return runner.run(lot(plan, sites, touchdowns, Path(folder), recorded=False))[0]


def growth_mb(devices: int, rows: int) -> float:
    """Return by how many MB the process grows over 100,000 devices, once a tenth more has warmed it up."""
    plan = sequence(tuple(quick(number) for number in range(1, rows + 1)))
    with TemporaryDirectory() as folder:
        touchdowns = devices * 11 // 10 // SITES
        _, feeder = asyncio.run(lot(plan, SITES, touchdowns, Path(folder), recorded=True))
    return (feeder.resident_mb[-1] - feeder.resident_mb[0]) * 100_000 / devices


def soaked(devices: int, sites: int, rows: int, folder: Path) -> dict[str, float | list[float]]:
    """Run one long lot into a folder; return its speed, and the memory of the process at each tenth."""
    plan = sequence(tuple(quick(number) for number in range(1, rows + 1)))
    wall, cpu = time.perf_counter(), time.process_time()
    touchdowns = devices // sites
    _, feeder = asyncio.run(lot(plan, sites, touchdowns, folder, recorded=True))
    wall_s, memory = time.perf_counter() - wall, feeder.resident_mb
    return {
        "devices": touchdowns * sites,
        "sites": sites,
        "wall_s": round(wall_s, 1),
        "devices_per_s": round(touchdowns * sites / wall_s),
        "devices_per_cpu_s": round(touchdowns * sites / (time.process_time() - cpu)),
        "resident_mb": [round(one, 1) for one in memory],
        "growth_mb": round(memory[-1] - memory[0], 1),
        "disk_mb": round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6, 1),
    }


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def measured(touchdowns: int, devices: int) -> dict[str, float]:
    """Return every figure of the engine's bench."""
    plan = sequence(tuple(quick(number) for number in range(1, ROWS + 1)))
    return {
        "kept_per_cpu_s": round(rate(plan, SITES, touchdowns, recorded=False)),
        "stdf_per_cpu_s": round(rate(plan, SITES, touchdowns, recorded=True)),
        "floor_per_cpu_s": round(floor_rate(SITES * ROWS * touchdowns)),
        "efficiency_8_sites": round(efficiency(8, 100), 3),
        "efficiency_32_sites": round(efficiency(32, 100), 3),
        "rss_growth_mb_per_100k": round(growth_mb(devices, 5), 1),
    }
