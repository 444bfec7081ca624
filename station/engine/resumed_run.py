"""A lot that was taken up: devices that waited in contact get what they need, then the cycle goes on."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace

import msgspec

from drivers.roles import Touchdown
from station.engine.bound import Bound
from station.engine.contact import Contact
from station.engine.history import History
from station.engine.landing import Landing
from station.engine.late import Kept, Name
from station.engine.lot_journal import LotJournal
from station.engine.lot_run import LotRun
from station.engine.outcomes import result_of
from station.engine.records import Records
from station.engine.recount import Recount
from station.engine.recovery import Left, Recovery
from station.engine.states import State
from station.engine.stop_rules import Tripped
from station.engine.stops import Aborted, Adjourned, Hold, Wish
from station.model import DeviceResult, Place, Verdict
from station.sequence import S, Sequence


class ResumedRun(LotRun[S]):
    """Paused until a person says go on; counts where the journal ends."""

    def __init__(  # noqa: PLR0913 - what a run has, and where it goes on
        self,
        recovery: Recovery[S],
        bound: Bound[S],
        sequence: Sequence[S],
        landing: Landing[S],
        records: Records,
        journal: LotJournal,
        shift: Callable[[State, str], Awaitable[None]],
    ) -> None:
        history = recovery.history
        super().__init__(history.info, bound, sequence, landing, records, journal, shift)
        self._seq, self._parts, self.retested = history.seq, history.parts, history.retested
        for site, why in history.off.items():
            self._sites.switch_off(site, why)
        bound.handler.landed_before += history.seq
        self._ending = history.ending
        self._left = dict(recovery.left())
        self._codes.seen |= history.codes
        self._settled = {wafer: frozenset(dies) for wafer, dies in history.dies.items()}
        self._owed: tuple[Tripped, ...] = ()
        """Trips of rules that the station had no time to act on."""
        if history.recount is not None:
            self._go_on_counting(history.recount)
        self._late.recall(self._sorted_before(sequence, history))
        self._wish = Wish.PAUSE

    def _sorted_before(self, sequence: Sequence[S], history: History) -> Iterator[tuple[Name, Kept]]:
        """Yield rejected devices that can be known again."""
        bins = {bin_.number: bin_ for bin_ in sequence.all_bins()}
        for seen in history.rejected.values():
            name = seen.id if seen.place is None else (seen.place.wafer, seen.place.x, seen.place.y)
            if name and seen.outcome is not None:
                yield name, Kept(result_of(seen.outcome, bins[seen.outcome.soft]), seen.sites)

    def _go_on_counting(self, recount: Recount) -> None:
        self._owed, self._counters = recount.owed(), recount.counters
        self._found.count_with(self._counters)
        self._late.count_with(self._counters.retests)
        if recount.wafers:
            *before, last = recount.wafers
            self._wafers |= {*before}
            self._arrived = Touchdown(frozenset(), wafer=last)

    async def run(self) -> None:
        """Wait until the lot is to go on, then as any lot."""
        if not self._begun:
            await self._wait()
            self._bound.handler.settled(self._not_by_plan())
            await self._found.act(self._owed)
            self._owed = ()
            if self._found.hold is not None:
                raise self._found.hold
        if few := self._sites.too_few_machines():
            raise Hold(few)
        await super().run()

    async def _wait(self) -> None:
        while self._wish is Wish.PAUSE:
            self._asked.clear()
            await self.boundary.checked()
            await self._asked.wait()
        await self.boundary.checked()
        if self._wish is Wish.ABORT:
            raise Aborted
        if self._wish is Wish.LEAVE:
            raise Adjourned
        await self._shift(State.RUNNING, "")
        if self._ending:
            self.ask(Wish.END)

    def _not_by_plan(self) -> Mapping[str, frozenset[tuple[int, int]]]:
        """Dies that have their bin, and those that `_due` brings to the site that has met them."""
        dies = {wafer: set(places) for wafer, places in self._settled.items()}
        if self._bound.handler.picks_site:
            for one in self._left.values():
                if one.place is not None:
                    dies.setdefault(one.place.wafer, set()).add((one.place.x, one.place.y))
        return {wafer: frozenset(places) for wafer, places in dies.items()}

    def _due(self, wafer: str, *, used_up: bool) -> Mapping[tuple[int, int], frozenset[int]]:
        """First what was in contact before the stop, by the same site: its bin goes out by that."""
        left = {
            (one.place.x, one.place.y): frozenset(self._bound.sites) - {one.site}
            for one in self._left.values()
            if one.place is not None and one.place.wafer == wafer
        }
        return left or super()._due(wafer, used_up=used_up)

    def _more(self) -> bool:
        return bool(self._left) or super()._more()

    # -- devices that are met again
    async def _touchdown(self, arrived: Touchdown) -> None:
        met = self._met(arrived)
        if not met:
            await super()._touchdown(arrived)
            return
        self._must_be_ours(arrived.sites - met.keys())
        self.boundary.wafer(arrived.wafer)
        new = sorted(arrived.sites - met.keys())
        parts = {site: self._parts + n for n, site in enumerate(new, start=1)}
        all_parts = parts | {site: one.part for site, one in met.items()}
        known = {site: one.code for site, one in met.items() if one.code}
        arrived = await self._codes.read(arrived)
        self._must_go_on()
        self._arrived = arrived = self._codes.named(arrived, all_parts, known)
        self._parts += len(parts)
        again = {site: one for site, one in met.items() if one.hard is None}
        numbers = dict.fromkeys(parts, 1) | {site: one.contact + 1 for site, one in again.items()}
        parts |= {site: one.part for site, one in again.items()}
        heeded = {site for site in parts if not (site in met and met[site].recovers)}
        try:
            first = await self._landed(parts, numbers) if parts else {}
            await self._found.doubt(self._codes)
            results = await self._landed_again(arrived, parts, first)
            bins = {site: one.hard for site, one in met.items() if one.hard is not None}
            bins |= {site: result.bin.hard for site, result in results.items()}
            await self._sort(dict(sorted(bins.items())))
            self._late.sorted(arrived, results)
            for one in met.values():
                del self._left[one.part]
            await self._found.heed({site: result for site, result in first.items() if site in heeded})
        finally:
            await self._project()

    def _met(self, arrived: Touchdown) -> Mapping[int, Left]:
        """Which of the devices in contact waited there before the stop, by site; Hold if that cannot be told.

        A handler does not name its devices: the machine that stood still presents the same sockets again.
        """
        if not self._left:
            return {}
        if arrived.positions:
            places = {one.place: one for one in self._left.values()}
            here = {site: Place(arrived.wafer, *die) for site, die in arrived.positions.items()}
            return {site: places[place] for site, place in here.items() if place in places}
        met = {one.site: one for one in self._left.values()}
        if met.keys() != arrived.sites:
            raise Hold(
                f"sites {sorted(met)} held devices when the station stopped, now the machine presents "
                f"{sorted(arrived.sites)}: somebody must say where they are"
            )
        return met

    def _contact(self, site: int, part: int, number: int) -> Contact:
        contact = super()._contact(site, part, number)
        known = self._left.get(part)
        if known is None or not known.recovers:
            return contact
        return replace(contact, recovers=True)

    def _untested(self, site: int, part: int, number: int, reason: str) -> DeviceResult:
        """A device that the vault had begun with is spoiled also where its site is out of use."""
        result = super()._untested(site, part, number, reason)
        known, spoiled = self._left.get(part), self._sequence.spoiled
        if known is None or not known.spoiled or spoiled is None:
            return result
        return msgspec.structs.replace(result, bin=spoiled, verdict=Verdict.FAILED)
