"""What persons ask of a run for its next touchdown boundary: sites, cleaning, a second pass over a wafer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from drivers.errors import EquipmentError
from drivers.roles import Feeder
from station import commands, events
from station.engine.late import LateRetests
from station.engine.lot_journal import LotJournal
from station.engine.records import Records
from station.engine.second_pass import chosen
from station.engine.sites import Sites
from station.engine.stops import Hold

Asked: TypeAlias = commands.SetSite | commands.Clean | commands.Retest | commands.Check

BY_RULE = "rule R8"
"""The actor of a cleaning for which nobody has asked."""


@dataclass(frozen=True)
class Parts:
    """What of a run it works with."""

    feeder: Feeder
    late: LateRetests
    sites: Sites
    not_compared: Callable[[int], None]
    """Told of a site that is switched off: no rule compares it with others any more."""
    cleaned: Callable[[], None]
    """Told when tips were cleaned."""
    journal: LotJournal
    records: Records


class Boundary:
    """Takes requests at any time, and does at the boundary what may not be done in contact."""

    def __init__(self, parts: Parts) -> None:
        self._in = parts
        self._wafer = ""
        self._clean: commands.Clean | None = None
        self._retest: commands.Retest | None = None
        self._check = False
        self._texts: list[str] = []
        self.check: Callable[[], Awaitable[None]] = _nothing
        """Does the checks of a paused lot; Hold if one fails."""

    @property
    def sites(self) -> Sites:
        """Those of the lot."""
        return self._in.sites

    @property
    def waits(self) -> bool:
        """Whether there is something that keeps the lot from ending."""
        return self._retest is not None

    def wafer(self, name: str) -> None:
        """Be told which wafer is on the chuck; empty if the one before has gone."""
        self._wafer = name

    # -- asked
    def objection(self, asked: Asked) -> tuple[str, str] | None:
        """Return why it cannot be, as code and reason."""
        feeder = self._in.feeder
        match asked:
            case commands.SetSite():
                why = self._in.sites.objection(asked.site, on=asked.on)
                return None if not why else ("bad_arguments", f"site.set: {why}")
            case commands.Clean() if not feeder.can_clean:
                return "equipment", f"probe.clean: {feeder.name} has nothing that cleans"
            case commands.Retest() if not feeder.picks_site:
                return "equipment", f"retest.start: {feeder.name} presents each device once"
            case commands.Retest() if not self._chosen(asked):
                return "not_found", "retest.start: no device of this wafer that was tested is meant by it"
            case _:
                return None

    def ask(self, asked: Asked) -> None:
        """Take it: a site counts from the next landing on, the rest waits for the boundary."""
        match asked:
            case commands.SetSite(site=site, on=True):
                self._in.sites.switch_on(site)
                self._texts.append(f"site {site} on: {asked.reason}")
            case commands.SetSite(site=site):
                self._in.sites.switch_off(site, asked.reason)
                self._in.not_compared(site)
                self._texts.append(f"site {site} off: {asked.reason}")
            case commands.Clean():
                self._clean = asked
            case commands.Retest():
                self._retest = asked
            case commands.Check():
                self._check = True

    def clean(self, why: str) -> None:
        """Have the tips cleaned, for a rule asks for it."""
        self._clean = commands.Clean(id="", actor=BY_RULE, reason=why)

    # -- at the boundary
    def note(self, text: str) -> None:
        """Have it written into the datalog at the next boundary."""
        self._texts.append(text)

    async def tell(self) -> None:
        """Write into the datalog what was asked of sites; no result may wait to be written before it.

        StorageError: what the store has refused is told the next time, and a datalog that failed is written
        anew from there.
        """
        while self._texts:
            await self._in.records.note(self._texts[0], self._in.journal.now, kind="person")
            await self._in.records.say(self._texts.pop(0))

    @property
    def needs_rest(self) -> bool:
        """Whether something waits for which the machine must be at rest."""
        return self._check or self._clean is not None or self._retest is not None

    async def at_rest(self) -> None:
        """Do it, with nothing in contact; Hold if it fails."""
        await self.checked()
        retest, self._retest = self._retest, None
        if retest is not None:
            await self._begin(retest)
        clean, self._clean = self._clean, None
        if clean is not None:
            await self._cleaned(clean)

    async def checked(self) -> None:
        """Do the checks, if they are asked for."""
        check, self._check = self._check, False
        if check:
            await self.check()

    async def _begin(self, retest: commands.Retest) -> None:
        """Begin a second pass, over no die at all if their wafer is gone by now."""
        dies = self._chosen(retest)
        journal = self._in.journal
        await journal.commit(events.RetestBegun(at=journal.now, dies=tuple(sorted(dies)), actor=retest.actor))
        self._in.late.ask(self._wafer, dies)
        self._texts.append(f"second pass over {len(dies)} dies: {retest.reason}")

    def _chosen(self, retest: commands.Retest) -> frozenset[tuple[int, int]]:
        """Which dies are meant; none that the station began with before it was stopped."""
        balance, dies = self._in.journal.balance, self._in.late.dies(self._wafer)
        return chosen(retest, dies, lambda part: balance.sealed(part) or balance.spoiled(part))

    async def _cleaned(self, clean: commands.Clean) -> None:
        failed = ""
        try:
            await self._in.feeder.clean()
        except EquipmentError as error:
            failed = str(error)
        else:
            self._in.cleaned()
        journal = self._in.journal
        await journal.commit(events.Cleaned(at=journal.now, actor=clean.actor, failed=failed))
        if failed:
            raise Hold(f"the tips were not cleaned: {failed}")


async def _nothing() -> None:
    """Nobody has said how to check."""
