"""What is found wrong while a lot runs; what concerns the lot holds it."""

from collections.abc import Callable, Iterable, Mapping

from station import events
from station.engine.codes import Codes
from station.engine.keeper import Keeper
from station.engine.landing import Tested
from station.engine.lot_journal import LotJournal
from station.engine.quarantine import Quarantine
from station.engine.recount import NOT_JUDGED_LIMIT, Counters
from station.engine.sites import Sites
from station.engine.stop_rules import Action, Tripped
from station.engine.stops import Cause, Hold
from station.model import DeviceResult
from station.sequence import S


class Findings:
    """Of one lot."""

    def __init__(
        self,
        keeper: Keeper,
        journal: LotJournal,
        sites: Sites,
        counters: Counters,
        quarantine: Quarantine | None,
    ) -> None:
        self._keeper = keeper
        self._journal = journal
        self._sites = sites
        self._counters = counters
        self._quarantine = quarantine
        self.hold: Hold | None = None
        """Why the lot is to be held after this touchdown."""
        self.clean: Callable[[str], None] = _not_cleaned
        """Has the tips cleaned at the boundary, and is told why."""

    def count_with(self, counters: Counters) -> None:
        """Count with these: a lot that is taken up goes on counting where it was."""
        self._counters = counters

    def want(self, reason: str, cause: Cause = Cause.EQUIPMENT) -> None:
        """Have the lot held after this touchdown, if there is a reason; the first one stands."""
        if reason and self.hold is None:
            self.hold = Hold(reason, cause=cause)

    def take_hold(self) -> None:
        """Have the lot held if its records are in doubt."""
        self.want(self._keeper.hold)
        self._keeper.hold = ""

    async def consider(self, tested: Tested[S]) -> None:
        """Look at what went wrong at single sites: what concerns the lot holds it after this touchdown."""
        if self._quarantine is not None:
            await self._quarantine.keep()
        for site, standing in tested.standings.items():
            for reason in (standing.unjudged, standing.custody_fault, standing.no_verdict):
                if reason:
                    await self._journal.commit(events.Faulted(at=self._journal.now, site=site, reason=reason))
                    break
            if standing.stuck:
                await self._trip("R12", site, "not judged", standing.stuck)
            if standing.outlier:
                await self._trip("PAT", site, "bin of outliers", standing.outlier)
            if standing.rejected:
                await self._trip("QA", site, "bin, hold", standing.rejected)
            self.want(standing.holding(site), standing.cause)
            self._counters.not_judged.append(bool(standing.unjudged))
        if unsafe := [s.unsafe for s in tested.standings.values() if s.unsafe]:
            raise Hold(unsafe[0], unsafe=True)
        await self._must_be_judged()
        await self._look_for_quarantine()

    async def doubt(self, codes: Codes) -> None:
        """Tell of devices that were not tested because nobody knows who they are."""
        for site, why in codes.refused.items():
            await self._journal.commit(events.Faulted(at=self._journal.now, site=site, reason=why))
            self._counters.not_judged.append(True)
        for seen in codes.doubled:
            await self._trip("R13", 0, "hold", seen)
            self.want(f"rule R13: {seen}")
        codes.doubled.clear()
        for seen in codes.strangers:
            await self._trip("golden", 0, "hold", seen)
            self.want(f"a golden unit is among the devices: {seen}")
        codes.strangers.clear()
        await self._must_be_judged()

    async def _must_be_judged(self) -> None:
        if (many := sum(self._counters.not_judged)) < NOT_JUDGED_LIMIT or self.hold is not None:
            return
        seen = f"{many} contacts could not be judged"
        await self._trip("R10", 0, "hold", seen)
        self.want(f"rule R10: {seen}")

    async def _look_for_quarantine(self) -> None:
        for site, reason in self._sites.newly_quarantined().items():
            await self._journal.commit(
                events.Quarantined(at=self._journal.now, resource=f"site {site}", reason=reason)
            )
            await self._note(f"site {site} off: {reason}")
        self.want(self._sites.too_few())

    async def heed(self, first: Mapping[int, DeviceResult]) -> None:
        """Do what the stop rules ask for after the first contacts of a touchdown."""
        if first:
            await self.act(self._counters.watch.seen({site: result.bin for site, result in first.items()}))
            await self.act(self._counters.retries.seen(result.notes for result in first.values()))

    async def act(self, trips: Iterable[Tripped]) -> None:
        """Do what these trips ask for."""
        for trip in trips:
            await self._trip(trip.rule, trip.site, trip.action.value, trip.seen)
            match trip.action:
                case Action.SITE_OFF:
                    self._sites.switch_off(trip.site, f"rule {trip.rule}: {trip.seen}")
                    self._counters.watch.off(trip.site)
                    self.want(self._sites.too_few(), trip.cause)
                case Action.CLEAN:
                    self.clean(trip.seen)
                case Action.ALARM:
                    pass
                case Action.HOLD:
                    self.want(f"rule {trip.rule}: {trip.seen}", trip.cause)

    async def _trip(self, rule: str, site: int, action: str, seen: str) -> None:
        await self._journal.commit(
            events.RuleTripped(at=self._journal.now, rule=rule, site=site, action=action, seen=seen)
        )
        where = f"site {site}" if site else "lot"
        await self._note(f"rule {rule}, {where}: {seen}: {action}")

    async def _note(self, text: str) -> None:
        await self._keeper.note(text, self._journal.now)
        self.take_hold()

    async def helped(self, before: Mapping[int, DeviceResult], after: Mapping[int, DeviceResult]) -> None:
        """Tell which retests a rule has something to say of."""
        for site in before.keys() & after.keys():
            for rule, seen in self._counters.retests.again(before[site], after[site]):
                await self._trip(rule, 0, "retest", seen)


def _not_cleaned(seen: str) -> None:
    """Nobody has said who cleans."""
    del seen
