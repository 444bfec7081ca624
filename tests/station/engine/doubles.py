"""A cell small enough to see every step: a scripted handler, rows that are plain functions, no files."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.errors import EquipmentError
from drivers.roles import Handler, Resource, Smu, Supply, Touchdown
from sim.time import new_loop
from station import commands, events
from station.clock import RealClock
from station.custody.journal import Journal
from station.engine.averages import averaging
from station.engine.bound import Bound
from station.engine.bus import Bus
from station.engine.cell import Cell
from station.engine.lot_journal import LotJournal
from station.engine.plan import Folder, LotVault, Plan
from station.engine.records import Records
from station.errors import StorageError
from station.model import Bin, BinKind, Limit, LotInfo, TouchdownResult
from station.rules import StopRules
from station.sequence import Parametric, Retest, Row, Sequence, Site, StationBins

OP, TE, EN = frozenset({"operator"}), frozenset({"technician"}), frozenset({"engineer"})
GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
CONTACT = Bin(2, "contact", hard=5)
BAD = Bin(3, "bad", hard=3)
OTHER_BAD = Bin(4, "other bad", hard=3)
SPOILED = Bin(10, "spoiled", hard=6)
ERROR = Bin(20, "error", hard=7, kind=BinKind.OTHER)
UNTESTED = Bin(21, "untested", hard=7, kind=BinKind.OTHER)
DEFAULT = Bin(22, "default", hard=3)
BINS = StationBins(passing=GOOD, error=ERROR, default=DEFAULT, untested=UNTESTED)
ANY = Limit(-1e9, 1e9, "V")


def virtual(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    """Run a test on the virtual loop: its seconds cost nothing, and load cannot change them."""

    def run(tmp_path: Path) -> None:
        with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
            runner.run(test(tmp_path))

    run.__name__ = test.__name__
    return run


class Box(Resource):
    """A resource that can be told to fail its safe state."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.made_safe = 0
        self.stays_live = ""

    async def make_safe(self) -> None:
        self.made_safe += 1
        if self.stays_live:
            raise EquipmentError(self.stays_live)


@dataclass(frozen=True)
class BenchSite(Site):
    """One box and whatever a test wants to remember."""

    box: Box = field(default_factory=lambda: Box("box"))
    seen: list[str] = field(default_factory=list)
    io: dict[str, Smu] = field(default_factory=dict)
    vdd: Supply | None = None


class ScriptedHandler(Handler):
    """Presents the given touchdowns, remembers the bins, replunges the same devices."""

    can_replunge = True
    hard_bins = frozenset(range(16))

    def __init__(self, touchdowns: list[frozenset[int]]) -> None:
        super().__init__("handler")
        self._left = list(touchdowns)
        self._again: frozenset[int] | None = None
        self._present: frozenset[int] = frozenset()
        self.sorted: list[dict[int, int]] = []
        self.replunged = 0
        self.sort_fails = ""
        self.before_sort: Callable[[], None] = lambda: None
        self.made_safe = 0

    async def start_lot(self, lot: str) -> None:
        del lot

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        while self._again is not None or self._left:
            self._present = self._again if self._again is not None else self._left.pop(0)
            self._again = None
            yield Touchdown(self._present)

    async def sort(self, bins: Mapping[int, int]) -> None:
        self.before_sort()
        if self.sort_fails:
            raise EquipmentError(self.sort_fails)
        self.sorted.append(dict(bins))

    async def replunge(self) -> None:
        self.replunged += 1
        self._again = self._present

    async def make_safe(self) -> None:
        self.made_safe += 1


class MemoryStore:
    """Keeps landings in a list; can be told to refuse."""

    def __init__(self) -> None:
        self.landings: list[TouchdownResult] = []
        self.texts: list[str] = []
        self.refuses = ""
        self.fails_in = ""
        """The name of the operation that raises StorageError."""

    def _maybe(self, operation: str) -> None:
        if operation == self.fails_in:
            raise StorageError(f"store: {operation}")

    def open(self) -> None:
        self._maybe("open")

    def begin(self, info: LotInfo) -> int:
        del info
        self._maybe("begin")
        return 1

    def commit(self, result: TouchdownResult) -> None:
        if self.refuses:
            raise StorageError(self.refuses)
        self.landings.append(result)

    def event(self, kind: str, text: str, at: float) -> None:
        self._maybe("event")
        self.texts.append(text)

    def finish(self, ended: float) -> None:
        self._maybe("finish")

    def close(self) -> None:
        self._maybe("close")


class MemoryFile:
    """An STDF file that is a list."""

    def __init__(self) -> None:
        self.landings: list[TouchdownResult] = []
        self.texts: list[str] = []
        self.refuses = ""
        self.fails_in = ""
        self.closed = False
        self.path = Path("lot.std")

    def open(self) -> None:
        if self.fails_in == "open":
            raise StorageError("file: open")

    def touchdown(self, result: TouchdownResult) -> None:
        if self.refuses:
            raise StorageError(self.refuses)
        self.landings.append(result)

    def event_text(self, text: str) -> None:
        self.texts.append(text)

    def close(self, finished: float) -> Path:
        if self.fails_in == "close":
            raise StorageError("file: close")
        self.closed = True
        self.path.write_text(str(finished))
        return self.path

    def abandon(self) -> None:
        pass


def sequence(
    *rows: Row[BenchSite], retest: Retest | None = None, rules: StopRules | None = None
) -> Sequence[BenchSite]:
    """A sequence of these rows with the bins above."""
    return Sequence(
        name="bench",
        version="1",
        site=BenchSite,
        bins=BINS,
        rows=rows,
        retest=retest or Retest(frozenset()),
        rules=rules or StopRules(),
    )


def returning(value: Any, number: int = 1, bin_: Bin = BAD, limit: Limit = ANY) -> Parametric[BenchSite]:
    """A row that returns `value`, or raises it if it is an exception."""

    async def row(site: BenchSite) -> float:
        del site
        if isinstance(value, Exception):
            raise value
        return value  # type: ignore[no-any-return]

    row.__name__ = f"row_{number}"
    return Parametric(number, row, limit, bin=bin_)


class Bench:
    """A cell of these doubles, and what became of a lot in it."""

    def __init__(
        self,
        folder: Path,
        plan: Sequence[BenchSite],
        touchdowns: list[frozenset[int]],
        vault: LotVault | None = None,
    ) -> None:
        self.sites = {
            n: BenchSite(number=n, box=Box(f"box-{n}")) for n in sorted(frozenset().union(*touchdowns))
        }
        self.handler = ScriptedHandler(touchdowns)
        self.store, self.file, self.bus = MemoryStore(), MemoryFile(), Bus()
        self.file.path = folder / "lot.std"
        self.journal = Journal(folder / "journal", reserve_bytes=0)
        self.quantity = sum(len(sites) for sites in touchdowns)
        self.path = folder / "journal"
        self.history: list[events.Any] = []
        self._clock = RealClock()
        self._sequence = plan
        self._vault = vault
        self.traveller: dict[str, Any] = {}
        """What is said of the lot besides."""
        self._alter: Callable[[Plan[BenchSite]], Plan[BenchSite]] = lambda plan: plan
        self.use(self.handler)

    def alter(self, alter: Callable[[Plan[BenchSite]], Plan[BenchSite]]) -> None:
        """Make the cell of another plan."""
        self._alter = alter
        self.use(self.handler)

    def use(self, handler: ScriptedHandler) -> None:
        """Make the cell, with this handler."""
        self.handler = handler
        bound = Bound(handler, self.sites, {n: (site.box,) for n, site in self.sites.items()})
        plan = Plan(
            bound=bound,
            resources=(*(site.box for site in self.sites.values()), handler),
            sequence=self._sequence,
            describe=self._describe,
            open_folder=self._open,
            vault=self._vault,
            clock=self._clock,
            bus=self.bus,
        )
        self.cell: Cell[BenchSite] = Cell(self._alter(plan))

    def _describe(self, command: commands.Load) -> LotInfo:
        return LotInfo(
            lot=command.lot,
            product="p",
            sequence="bench",
            sequence_version="1",
            fingerprint="00",
            station="s",
            sites=tuple(self.sites),
            quantity=command.quantity,
            tests=self._sequence.definitions(),
            bins=self._sequence.all_bins(),
            pins=(),
            set_up=0.0,
            averaging=averaging(self._sequence),
            mode=command.mode or "P",
        )

    def _open(self, info: LotInfo) -> Folder:
        del info
        self.journal.open()
        return Folder(
            self.path.parent,
            LotJournal(self.journal, self.bus, self._clock),
            Records(self.store, self.file),
        )

    async def start(self) -> None:
        """Load and start the lot; nothing runs before `run`."""
        await self.cell.request(commands.Load(id="1", actor="t", roles=OP, lot="L", quantity=self.quantity))
        await self.cell.request(commands.Start(id="2", actor="t", roles=OP))

    async def run(
        self, meanwhile: Coroutine[Any, Any, None] | None = None, *, unattended: bool = True
    ) -> str:
        """Run the lot to its end, `meanwhile` beside it; return the state."""
        watched = self.bus.subscribe()
        await self.start()
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            if meanwhile is not None:
                group.create_task(meanwhile)
            state = await self.cell.run_lot(unattended=unattended)
        await self.cell.aclose()
        self.history = [event async for event in watched]
        return state.value

    def happened(self, kind: type[Any]) -> list[Any]:
        """The events of one kind, in order."""
        return [event for event in self.history if isinstance(event, kind)]
