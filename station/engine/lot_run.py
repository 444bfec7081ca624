"""A lot from the first start of test to the last device sorted: the touchdown cycle."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Generic

import msgspec

from drivers.errors import EquipmentError
from drivers.roles import Touchdown
from drivers.uninterrupted import uninterrupted
from station import events
from station.engine.arrivals import Arrivals
from station.engine.bound import Bound
from station.engine.boundary import Asked, Boundary, Parts
from station.engine.codes import Codes
from station.engine.collector import collecting_between_touchdowns
from station.engine.contact import Contact
from station.engine.findings import Findings
from station.engine.keeper import Keeper
from station.engine.landing import Landing
from station.engine.late import Kept, LateRetests
from station.engine.lot_journal import LotJournal
from station.engine.outcomes import opened, placed, untested
from station.engine.overheard import Overheard
from station.engine.plan import in_time
from station.engine.records import Records
from station.engine.recount import Counters
from station.engine.sites import Sites
from station.engine.states import State
from station.engine.stops import Aborted, Adjourned, Ended, Hold, Wish
from station.engine.tempering import RULE as TEMPERATURE
from station.engine.tempering import Tempering
from station.errors import StorageError
from station.model import DeviceResult, LotInfo, Measurement, Place
from station.sequence import S, Sequence


class LotRun(Generic[S]):
    """Arm, wait, open, test, commit, decide, sort, close; over and over."""

    def __init__(
        self,
        info: LotInfo,
        bound: Bound[S],
        sequence: Sequence[S],
        landing: Landing[S],
        records: Records,
        journal: LotJournal,
        shift: Callable[[State, str], Awaitable[None]],
    ) -> None:
        self._info = info
        self._bound = bound
        self._sequence, self._landing = sequence, landing
        self._keeper = Keeper(records, journal, sequence.bins.error)
        self._journal, self._shift = journal, shift
        self._begun, self._wish = False, Wish.GO_ON
        self._asked = asyncio.Event()
        self._arrivals = Arrivals(bound.handler)
        self._overheard = Overheard(bound.handler, journal)
        self._tempering = Tempering(
            bound.climate, self._arrivals, journal, self._asked, lambda: self._wish, self._lift
        )
        self._seq = self._parts = 0
        self._arrived = Touchdown(frozenset())
        of_pass = "" if info.second_pass is None else info.second_pass.name
        self._codes = Codes(bound.readers, of_pass, bound.golden)
        self._wafers = set[str]()
        self._sites = Sites(bound.resources)
        self._counters = Counters.of(sequence, info.quantity)
        self._found = Findings(self._keeper, journal, self._sites, self._counters, bound.quarantine)
        self._late = LateRetests(sequence.retest, self._counters.retests)
        self.retested = 0
        self.overdue: Callable[[float, int], str] = in_time
        """Asked at each boundary, with time and landings so far: why the lot is to be held, or empty."""
        counted = lambda site: self._counters.watch.off(site), lambda: self._counters.watch.cleaned()
        parts = Parts(bound.handler, self._late, self._sites, *counted, journal, records)
        self.boundary = Boundary(parts)
        self._found.clean = self.boundary.clean

    @property
    def landings(self) -> int:
        """How often it has landed on devices so far, in all runs of the lot."""
        return self._seq

    def heed(self, waived: Callable[[], Collection[str]]) -> None:
        """Be told for which checks somebody answers."""
        self._tempering.waived = lambda: TEMPERATURE in waived()

    def take(self, asked: Asked) -> None:
        """Take what a person asks for the next boundary."""
        self.boundary.ask(asked)
        self._asked.set()

    def ask(self, wish: Wish, *, at_once: bool = False) -> None:
        """Say what is wanted; what is asked later takes back neither an abort nor an end.

        An abort `at_once` does not even wait for a personalisation.
        """
        if wish is Wish.ABORT or self._wish not in (Wish.ABORT, Wish.END):
            self._wish = wish
        self._asked.set()
        if wish is Wish.ABORT:
            self._landing.cut_short(at_once=at_once)

    async def run(self) -> None:
        """Return when all devices of the lot are sorted or an end was asked; Hold or Aborted otherwise."""
        self._found.hold = None
        if self._begun:
            self._counters.restart()
        self._overheard.listen()
        try:
            if not self._begun:
                self._bound.handler.due = self._due
                await self._bound.handler.start_lot(self._info.lot)
                self._begun = True
            with suppress(Ended), collecting_between_touchdowns() as collect:
                await self._touchdowns(collect)
            await self._end()
        except EquipmentError as error:
            raise Hold(str(error)) from error
        finally:
            await uninterrupted(self._arrivals.disarm())
            await uninterrupted(self._overheard.ignore())
        if self._wish is Wish.ABORT:
            raise Aborted
        if self._found.hold is not None:
            raise self._found.hold

    async def _touchdowns(self, collect: Callable[[], None]) -> None:
        if self._tempering.needed:
            await self._boundary()
            await self._tempering.begin()
        self._arrivals.arm()
        while self._more():
            await self._boundary()
            arrival = await self._arrival()
            if arrival is None:
                return
            if isinstance(arrival, Touchdown) and await self._tempering.may_test():
                await self._touchdown(arrival)
                collect()

    def _more(self) -> bool:
        """Whether the machine has not presented all devices yet, or one is to come again."""
        return self._parts < self._info.quantity or self._late.pending or self.boundary.waits

    def _due(self, wafer: str, *, used_up: bool) -> Mapping[tuple[int, int], frozenset[int]]:
        all_here = self._parts >= self._info.quantity
        return self._late.due(wafer, used_up=used_up or all_here, out=self._sites.all_out_of_use())

    async def _end(self) -> None:
        """No device follows: the machine gives back what it holds, as a prober its wafer."""
        if self._wish is not Wish.ABORT and self._found.hold is None:
            await uninterrupted(self._arrivals.disarm())
            await self._bound.handler.end_lot()

    # -- waiting
    async def _boundary(self) -> None:
        """Take up what is asked; return when the lot is to go on and nothing new was asked meanwhile."""
        self._must_not_be_held()
        await self.tell()
        await self._overheard.heed(at_rest=not self._arrivals.moving)
        while True:
            self._asked.clear()
            match self._wish:
                case Wish.ABORT:
                    raise Aborted
                case Wish.END:
                    raise Ended
                case Wish.LEAVE:
                    raise Adjourned
                case Wish.PAUSE:
                    await self._rest()
                case Wish.GO_ON if self.boundary.needs_rest:
                    await self._rest_for_a_while()
                case Wish.GO_ON:
                    await self._shift(State.RUNNING, "")
                    if not self._asked.is_set():
                        return

    def _must_not_be_held(self) -> None:
        if self._found.hold is not None:
            raise self._found.hold
        if self._journal.failed:
            raise Hold(self._journal.failed)
        if why := self.overdue(self._journal.now, self._seq):
            raise Hold(why)

    async def _rest_for_a_while(self) -> None:
        if await self._arrived_at(Wish.GO_ON):
            await self._lift()
            await self.boundary.at_rest()
            await self._arrivals.go_on()

    async def _rest(self) -> None:
        """Be paused until something else is asked; needles do not stand on a wafer meanwhile."""
        rests = self._bound.handler.rests
        if rests and not await self._arrived_at(Wish.PAUSE):
            return
        if rests:
            await self._lift()
        await self._shift(State.PAUSED, "")
        while self._wish is Wish.PAUSE:
            self._asked.clear()
            await self.boundary.at_rest()
            await self._asked.wait()
        if rests and self._wish is not Wish.LEAVE:
            await self._arrivals.go_on()

    async def _arrived_at(self, wish: Wish) -> bool:
        """Let a machine that is on its way come to its contact; false if something else is asked first."""
        while self._arrivals.moving and self._wish is wish:
            self._asked.clear()
            await self._arrivals.ready(self._asked)
        return self._wish is wish

    async def _lift(self) -> None:
        if not await self._arrivals.rest(self._arrived.wafer):
            self.boundary.wafer("")

    async def _arrival(self) -> "Touchdown | Wish | None":
        """Wait for the machine or a person: the next contact, the wish that came first, None at the end."""
        if not await self._overheard.ready(self._arrivals, self._asked):
            return self._wish
        arrival = self._arrivals.take()
        await self._overheard.heed()
        return arrival

    # -- one set of devices, as often as it is landed
    def _on_wafer(self, wafer: str) -> None:
        """Begin anew with a wafer; Hold for one that was there before."""
        if wafer == self._arrived.wafer:
            return
        if wafer in self._wafers:
            raise Hold(f"wafer id {wafer!r} was read before in this lot: no die of it is tested")
        self._wafers.add(wafer)
        self._counters.retests.restart()
        self._late.restart(wafer)

    async def _touchdown(self, arrived: Touchdown) -> None:
        self._on_wafer(arrived.wafer)
        arrived = await self._codes.read(arrived)
        self._must_go_on()
        met = self._late.met(arrived)
        self._must_be_wanted(met)
        self._must_be_ours(arrived.sites - met.keys())
        new = sorted(arrived.sites - met.keys())
        parts = {site: self._parts + n for n, site in enumerate(new, start=1)}
        self._parts += len(parts)
        numbers = dict.fromkeys(parts, 1) | {site: kept.last.contact + 1 for site, kept in met.items()}
        parts |= {site: kept.last.part for site, kept in met.items()}
        self.boundary.wafer(arrived.wafer)
        known = {site: arrived.ids[site] for site in met if site in arrived.ids}
        self._arrived = arrived = self._codes.named(arrived, parts, known)
        try:
            first = await self._landed(parts, numbers)
            await self._found.doubt(self._codes)
            await self._found.helped({site: kept.last for site, kept in met.items()}, first)
            results = await self._landed_again(arrived, parts, first)
            await self._sort({site: result.bin.hard for site, result in sorted(results.items())})
            self._late.sorted(arrived, results)
            self.retested += len(met)
            await self._found.heed({site: first[site] for site in new})
        finally:
            await self._project()

    def _must_be_wanted(self, met: Mapping[int, Kept]) -> None:
        if strangers := self._late.strangers(met.values()):
            raise Hold(
                f"devices {', '.join(map(str, strangers))} had their bins and come again: none is tested"
            )

    def _must_be_ours(self, sites: frozenset[int]) -> None:
        if unknown := sites - self._bound.sites.keys():
            raise Hold(f"the handler names sites that are not configured: {sorted(unknown)}")
        left = self._info.quantity - self._parts
        if len(sites) > left:
            raise Hold(
                f"the handler presents {len(sites)} devices, and {left} of the lot are left: none is tested"
            )

    async def _landed_again(
        self, arrived: Touchdown, parts: Mapping[int, int], first: Mapping[int, DeviceResult]
    ) -> dict[int, DeviceResult]:
        """Land those in retest bins again, and return the last result of each device."""
        results = dict(first)
        self._counters.retests.first({site: result for site, result in first.items() if result.contact == 1})
        if self._sequence.retest.late:
            return results
        for _ in range(max(self._sequence.retest.times, self._sequence.retest.always)):
            again = sorted(site for site, result in results.items() if self._may_land_again(result))
            if not again or self._found.hold is not None or not self._bound.handler.can_replunge:
                break
            await self._replunge(arrived)
            self.retested += len(again)
            numbers = {site: results[site].contact + 1 for site in again}
            second = await self._landed({site: parts[site] for site in again}, numbers)
            await self._found.helped(results, second)
            results |= second
        return results

    def _may_land_again(self, result: DeviceResult) -> bool:
        usable = self._sites.out_of_use(result.site) is None
        return usable and self._counters.retests.wants(result)

    async def _landed(self, parts: Mapping[int, int], numbers: Mapping[int, int]) -> dict[int, DeviceResult]:
        """Land devices; should the lot be cancelled meanwhile, they are cut short and closed before it is."""
        landing = asyncio.get_running_loop().create_task(self._land(parts, numbers))
        cancelled: asyncio.CancelledError | None = None
        while not landing.done():
            try:
                await asyncio.wait([landing])
            except asyncio.CancelledError as error:
                cancelled = error
                self.ask(Wish.ABORT)
        if cancelled is not None:
            landing.exception()
            raise cancelled
        return landing.result()

    async def _replunge(self, arrived: Touchdown) -> None:
        await self._bound.handler.replunge()
        while not isinstance(again := await self._arrival(), Touchdown):
            if again is None or self._wish is Wish.ABORT:
                raise Aborted if again is not None else Hold("the handler ended the lot in a retest")
            self._asked.clear()
        if again.sites != arrived.sites:
            before, after = sorted(arrived.sites), sorted(again.sites)
            raise Hold(f"sites {before} were occupied before the retest, {after} after it")

    async def _land(self, parts: Mapping[int, int], numbers: Mapping[int, int]) -> dict[int, DeviceResult]:
        """Test the devices of these sites in one landing and make the results durable."""
        self._seq += 1
        refused = self._codes.refused
        out = {s: why for s in parts if (why := refused.get(s) or self._sites.out_of_use(s))}
        contacts = {
            site: self._contact(site, part, numbers[site]) for site, part in parts.items() if site not in out
        }
        await self._journal.commit(
            opened(self._seq, parts, contacts, numbers, self._arrived, now=self._journal.now)
        )
        tested = await self._landing.test(self._seq, contacts)
        others = [self._untested(site, parts[site], numbers[site], why) for site, why in out.items()]
        devices = placed([*tested.result.devices, *others], self._arrived)
        result = msgspec.structs.replace(tested.result, devices=tuple(devices))
        result = await self._keeper.keep(result)
        self._found.take_hold()
        self._landing.seen(result)
        await self._found.consider(tested)
        self._must_go_on()
        return {device.site: device for device in result.devices}

    def _contact(self, site: int, part: int, number: int) -> Contact:
        session = sha256(f"{self._info.lot}:{self._seq}:{site}".encode()).digest()[:16]
        lot = self._info.lot
        return Contact(
            self._seq, part, number, unit=f"{lot}/{part}", lot=lot, session=session, past=self._past(site)
        )

    def _past(self, site: int) -> Mapping[str, Measurement]:
        """Ask what earlier insertions have measured on the device at a site."""
        arrived = self._arrived
        die = arrived.positions.get(site)
        place = None if die is None else Place(arrived.wafer, *die)
        return self._bound.past(arrived.ids.get(site, ""), place)

    def _untested(self, site: int, part: int, number: int, reason: str) -> DeviceResult:
        return untested(site, part, number, reason, bin_=self._sequence.bins.untested, now=self._journal.now)

    def _must_go_on(self) -> None:
        """After an abort no bin is sent."""
        if self._wish is Wish.ABORT:
            raise Aborted

    async def _sort(self, bins: Mapping[int, int]) -> None:
        self._must_go_on()
        await self._journal.commit(events.BinsSent(at=self._journal.now, seq=self._seq, bins=dict(bins)))
        self._must_go_on()
        try:
            await self._bound.handler.sort(bins)
        except EquipmentError as error:
            raise Hold(f"what the handler took is unknown: {error}") from error
        await self._journal.commit(events.Sorted(at=self._journal.now, seq=self._seq, bins=dict(bins)))

    async def tell(self) -> None:
        """Write what store and datalog do not have yet, and what was asked or seen; Hold if that fails."""
        try:
            await self._keeper.catch_up()
            await self._keeper.project()
            await self.boundary.tell()
        except StorageError as error:
            raise Hold(str(error)) from error

    async def _project(self) -> None:
        await self._keeper.project()
        self._found.take_hold()
