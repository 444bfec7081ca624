"""Takes the engine's events from the station's loop to the outbox, each once, whatever is lost on the way.

The journal has them all: an event's number is its line there. What a start or a full queue has skipped is
read from it again.
"""

import asyncio
import gzip
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar

import msgspec

from drivers.uninterrupted import heed
from station import events
from station.between import NAME
from station.custody.journal import read
from station.engine.bus import Subscription
from station.engine.states import State
from station.errors import StorageError
from station.remote.link import AGAIN_S
from station.remote.memory import Memory
from station.remote.messages import CloudEvent, Touchdown, WaferMap, utc
from station.remote.projection import Told
from station.remote.teller import Said
from station.remote.topics import Tree
from station.remote.view import View
from station.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")
QUEUE = 10_000
APART_S = 10.0
TURN_S = 0.05
"""So long after its turn a class of E10 is looked at."""
ALARMING = events.VaultTold | events.QuotaLow | events.Acknowledged
NOTED = events.StateChanged | events.ReasonGiven | ALARMING
"""What is said between lots and changes how the cell stands; a vault's alarms also after a restart."""
Numbered: TypeAlias = tuple[int, events.Any]
"""An event and its line in the journal."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Followed:
    """A lot in one life of its station, and how many lines its journal had before that."""

    journal: Path
    lines: int


class Herald:
    """Made on the io loop; `follow` runs on the station's."""

    def __init__(
        self, tree: Tree, memory: Memory, writer: Writer, view: View, now: Callable[[], float]
    ) -> None:
        """`now`: seconds since 1970, of this machine."""
        self._tree, self._memory, self._writer, self.view = tree, memory, writer, view
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._pending: deque[tuple[_Followed, int, events.Any]] = deque(maxlen=QUEUE)
        self._notes = deque[tuple[Path, int, events.Any]]()
        self._followed: _Followed | None = None
        self._lines = self._told = 0
        self._taking_up = False
        self._heard_at: float | None = None
        """When the last event of the lot came, by the loop's clock."""
        self._same_clock = False
        """Whether the cell has this machine's time; a simulated one has its own."""
        self.changed = asyncio.Event()
        """Set when the state is another one."""
        self.queued = asyncio.Event()
        """Set when the outbox has something."""
        self.touchdowns: deque[Touchdown] = deque(maxlen=1000)

    async def catch_up(self) -> None:
        """Queue what the lots of an earlier start had to tell and did not."""
        for name, lines in (await self._writer.run(self._memory.journals)).items():
            try:
                found = await self._writer.run(_events, Path(name))
            except (OSError, StorageError):
                await self._writer.run(self._memory.finished, name)
            else:
                await self._queue(Path(name), found, lines, View(()))
                self._recall(Path(name), found)

    def _recall(self, journal: Path, found: list[Numbered]) -> None:
        """Know again what a vault has told before this start."""
        for _, event in found if journal.name == NAME else ():
            if isinstance(event, ALARMING):
                self._look(0, event, self.view)

    # -- on the station's loop
    async def follow(self, journal: Path, lines: int, happened: Subscription) -> None:
        """Hand over the events of a lot as they come; the path is an absolute one.

        `lines` of its journal are from before: told already as far as memory says so, in the life of the
        station that wrote them or by `catch_up`. That life may have ended before it told any.
        """
        followed = _Followed(journal, lines)
        number = lines
        async for event in happened:
            number += 1
            self._pending.append((followed, number + happened.lost, event))
            self._loop.call_soon_threadsafe(self._arrived.set)
        self._loop.call_soon_threadsafe(self._arrived.set)

    # -- on whichever loop
    def noted(self, journal: Path, line: int, event: events.Any) -> None:
        """Hand over what was said between lots, from the station's own journal, in order."""
        self._notes.append((journal, line, event))
        with suppress(RuntimeError):  # nobody is on the network any more: it is told at the next start
            self._loop.call_soon_threadsafe(self._arrived.set)

    # -- on the io loop
    @property
    def busy(self) -> bool:
        """Whether something that happened is not in the outbox yet."""
        return bool(self._pending or self._notes or self._taking_up)

    async def run(self) -> None:
        """Take events up as they arrive, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s()):
                    await self._arrived.wait()
            self._arrived.clear()
            self._taking_up = True
            await self._take_up()
            self._taking_up = False
            await self._wait_for_devices()

    def _patience_s(self) -> float | None:
        """Return in how long a productive cell will count as one that waits; None if never."""
        equipment = self.view.teller.equipment
        if equipment.turn is None or not self._same_clock:
            return None
        return max(0.0, equipment.turn - equipment.at - self.later_s) + TURN_S

    async def _wait_for_devices(self) -> None:
        """Tell that it has come to wait, if it has: no event of the cell does."""
        if self._same_clock and (
            said := self.view.teller.waits(self.view.teller.equipment.at + self.later_s)
        ):
            await self._kept(self._memory.put, self._outgoing(said, self.view))
            self.queued.set()
            self.changed.set()

    async def _take_up(self) -> None:
        for journal, line, event in [self._notes.popleft() for _ in range(len(self._notes))]:
            await self._queue(journal, [(line, event)], line - 1, View(()))
            if isinstance(event, NOTED):
                self._look(0, event, self.view)
        arrived = [self._pending.popleft() for _ in range(len(self._pending))]
        for followed, group in groupby(arrived, key=lambda one: one[0]):
            if followed is not self._followed:
                known = await self._kept(self._memory.journals)
                self._told = min(known.get(str(followed.journal), 0), followed.lines)
                self._followed, self._lines = followed, 0
            await self._take(followed, [(number, event) for _, number, event in group])

    async def _take(self, followed: _Followed, batch: list[Numbered]) -> None:
        whole = await self._whole(followed.journal, batch)
        await self._queue(followed.journal, whole, max(self._lines, self._told), self.view)
        self._lines = batch[-1][0]

    async def _whole(self, journal: Path, batch: list[Numbered]) -> list[Numbered]:
        """Return the events and those that are missing before and between them, if they can be read."""
        wanted = range(self._lines + 1, batch[-1][0] + 1)
        if len(batch) == len(wanted):
            return batch
        try:
            known = dict(await self._writer.run(_events, journal)) | dict(batch)
        except (OSError, StorageError) as error:
            heed()
            log.warning("what was missed of a lot is not told: %s", error)
            return batch
        return [(number, known[number]) for number in wanted if number in known]

    async def _queue(self, journal: Path, batch: list[Numbered], lines: int, view: View) -> None:
        """Queue what the events behind line `lines` tell; those before it only make the view."""
        told_of: list[tuple[str, bytes]] = []
        for number, event in batch:
            said = self._look(number, event, view)
            if number > lines:
                told_of += self._outgoing(said, view)
                if view.map is not None:
                    told_of.append(await self._writer.run(self._packed, view.map))
        name = str(journal)
        await self._kept(self._memory.put, told_of, name, batch[-1][0] if batch else lines)
        if view.cell is State.CLOSED:
            await self._kept(self._memory.finished, name)
        if told_of:
            self.queued.set()

    async def _kept(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return when memory has done it: what comes meanwhile waits, and is in the journal."""
        failures = 0
        while True:
            try:
                return await self._writer.run(job, *args, **kwargs)
            except StorageError as error:
                heed()
                log.warning("outbox: %s", error)
            await asyncio.sleep(AGAIN_S[min(failures, len(AGAIN_S) - 1)])
            failures += 1

    def _look(self, number: int, event: events.Any, view: View) -> list[Said]:
        before = view.cell
        said = view.take(number, event)
        if view is self.view:
            self._heard_at = self._loop.time()
            self._same_clock = abs(event.at - self._now()) < APART_S
            if view.landed is not None:
                self.touchdowns.append(view.landed)
        if said or view.cell is not before or view.landed is not None:
            self.changed.set()
        return said

    def _outgoing(self, said: list[Said], view: View) -> list[tuple[str, bytes]]:
        lot = "" if view.info is None else view.info.lot
        return [self.enveloped(one.id, one.told, at=one.at, subject=lot) for one in said]

    def _packed(self, found: WaferMap) -> tuple[str, bytes]:
        return self._tree.map(found.wafer), gzip.compress(msgspec.json.encode(found), mtime=0)

    @property
    def later_s(self) -> float:
        """How long ago the last event of the lot came."""
        return 0.0 if self._heard_at is None else self._loop.time() - self._heard_at

    def enveloped(self, name: str, one: Told, *, at: float, subject: str = "") -> tuple[str, bytes]:
        """Return topic and bytes of an event."""
        kind, data = one
        event = CloudEvent(
            id=name, source=f"/{self._tree.root}", type=kind, time=utc(at), subject=subject, data=data
        )
        return self._tree.evt(kind), msgspec.json.encode(event)


def _events(journal: Path) -> list[Numbered]:
    return list(enumerate(read(journal), start=1))
