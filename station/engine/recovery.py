"""A lot is taken up again: journal, store, datalog and vault are brought to agree before anything moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

import msgspec

from drivers.roles import Touchdown
from station import commands, events
from station.custody.balance import Balance
from station.engine.history import History, Seen
from station.engine.outcomes import STOPPED, outcome, placed
from station.engine.plan import Folder, LotVault
from station.model import Bin, DeviceResult, Disposition, Place, TouchdownResult, Verdict, Whereabouts
from station.sequence import S, Sequence

WIP = "WIP"


@dataclass(frozen=True)
class Left:
    """A device that waits in contact: what it needs when the machine presents it again."""

    part: int
    site: int
    contact: int
    """Its last one."""
    place: Place | None
    code: str
    hard: int | None
    """The bin that it is to get; None if it is to be tested, or brought to the vault."""
    recovers: bool
    """The vault had begun with it, or sealed it, and its contact has no result."""
    spoiled: bool


class Recovery(Generic[S]):
    """Works on the files of one lot whose journal was read."""

    def __init__(
        self, history: History, folder: Folder, sequence: Sequence[S], vault: LotVault | None
    ) -> None:
        self.history = history
        self._folder = folder
        self._journal = folder.journal
        self._sequence = sequence
        self._vault = vault

    @property
    def _balance(self) -> Balance:
        return self._journal.balance

    async def settle(self) -> None:
        """Close what the station left open; StorageError, CustodyError where that cannot be."""
        if self._vault is not None:
            await self._ask_vault(self._vault)
        kept = await self._folder.records.take_up()
        for _, (opened, closed) in sorted(self.history.corrected.items()):
            if kept < opened.seq and opened.seq not in self.history.opened:
                await self._keep_late(opened, closed)
        for seq, opened in sorted(self.history.opened.items()):
            if seq > kept:
                await self._close(opened)
        await self._folder.records.replay(f"taken up after touchdown {self.history.seq}", self._journal.now)

    async def _commit(self, *happened: events.Any) -> None:
        await self._journal.commit(*happened)
        for event in happened:
            self.history.add(event)

    # -- the vault
    async def _ask_vault(self, vault: LotVault) -> None:
        info = self.history.info
        if not self.history.ending:
            sorts = not self._sequence.personalises
            await vault.open_lot(info.lot, product=info.product, quantity=info.quantity, sorts=sorts)
        for part in sorted(self.history.undecided & self.history.in_contact.keys()):
            await self._ask_unit(vault, part)

    async def _ask_unit(self, vault: LotVault, part: int) -> None:
        """Take down what the vault knows; a unit that is still in work stays undecided."""
        name = f"{self.history.info.lot}/{part}"
        unit = await vault.ask_unit(name)
        if unit.sealed:
            verdict = Disposition.SEALED
        elif unit.standing and unit.account != WIP:
            verdict = Disposition(unit.account.lower().replace("_", " "))
        elif not unit.intent:
            verdict = Disposition.UNTOUCHED
        else:
            return
        await self._commit(
            events.PersonalisationEnded(
                at=self._journal.now,
                unit=name,
                part=part,
                disposition=verdict,
                detail=f"asked after a stop: {unit.standing or 'never seen'}",
                uid=unit.uid.hex() if unit.sealed else "",
                serial=unit.serial,
            )
        )

    # -- contacts
    async def _close(self, opened: events.TouchdownOpened) -> None:
        """A landing that the store does not have counts as one without a result."""
        sites = tuple(sorted(opened.parts))
        devices = placed(
            (self._stopped(opened, site) for site in sites),
            Touchdown(frozenset(sites), opened.ids, opened.positions, opened.wafer),
        )
        now = self._journal.now
        closed = events.ContactsClosed(at=now, seq=opened.seq, outcomes=tuple(map(outcome, devices)))
        if opened.seq in self.history.results:
            reason = f"{STOPPED} before the store had the results"
            corrected = events.ContactsCorrected(at=now, seq=opened.seq, sites=sites, reason=reason)
            await self._commit(corrected, closed)
        else:
            await self._commit(closed)
        await self._keep(TouchdownResult(opened.seq, opened.at, now, tuple(devices)))

    async def _keep_late(self, opened: events.TouchdownOpened, closed: events.ContactsClosed) -> None:
        """Keep a landing that the store had no room for: its devices are sorted, its values are lost."""
        bins = {bin_.number: bin_ for bin_ in self._sequence.all_bins()}
        devices = placed(
            (
                msgspec.structs.replace(
                    self._result(one.part, one.site, one.contact, bins[one.soft], one.reason),
                    verdict=one.verdict,
                    started=opened.at,
                )
                for one in closed.outcomes
            ),
            Touchdown(frozenset(opened.parts), positions=opened.positions, wafer=opened.wafer),
        )
        await self._keep(TouchdownResult(opened.seq, opened.at, closed.at, tuple(devices)))

    def _stopped(self, opened: events.TouchdownOpened, site: int) -> DeviceResult:
        part = opened.parts[site]
        bin_ = self._bin(part)
        if site in opened.untested and bin_ is self._sequence.bins.error:
            bin_ = self._sequence.bins.untested
        return self._result(part, site, opened.contacts[site], bin_, STOPPED)

    def _bin(self, part: int) -> Bin:
        """A device with the vault is spoiled, whatever was known of it; of another one nothing is known."""
        spoiled = self._sequence.spoiled
        if spoiled is not None and (self._balance.spoiled(part) or self._balance.sealed(part)):
            return spoiled
        return self._sequence.bins.error

    def _result(self, part: int, site: int, contact: int, bin_: Bin, reason: str) -> DeviceResult:
        return DeviceResult(
            site=site,
            part=part,
            contact=contact,
            bin=bin_,
            verdict=Verdict.FAILED if bin_ == self._sequence.spoiled else Verdict.NOT_JUDGED,
            measurements=(),
            started=self._journal.now,
            test_s=0.0,
            cut_short=True,
            reason=reason,
        )

    async def _keep(self, result: TouchdownResult) -> None:
        await self._folder.records.commit(result)

    # -- what waits
    def left(self) -> Mapping[int, Left]:
        """The devices that the machine will present again, by running number."""
        return {part: self._left(seen) for part, seen in sorted(self.history.in_contact.items())}

    def _left(self, seen: Seen) -> Left:
        part = seen.part
        spoiled = self._balance.spoiled(part) or self._balance.sealed(part)
        with_vault = part in self.history.undecided or self._balance.sealed(part)
        cut = seen.outcome is not None and seen.outcome.cut_short
        recovers = with_vault and (seen.unfinished or cut or part in self.history.undecided)
        stands = not recovers and (not seen.unfinished or spoiled)
        hard = seen.outcome.hard if stands and seen.outcome is not None else None
        return Left(part, seen.site, seen.contact, seen.place, seen.id, hard, recovers, spoiled)

    # -- what a person has found
    def objection(self, found: Mapping[int, Whereabouts]) -> str:
        """Say why somebody's inventory cannot be taken; empty if it can."""
        sites = {seen.site: part for part, seen in self.history.in_contact.items()}
        if strange := sorted(found.keys() - sites.keys()):
            return f"sites {strange} had no device in contact; these had: {sorted(sites) or 'none'}"
        for site, place in sorted(found.items()):
            if place is Whereabouts.SORTED and sites[site] not in self.history.ordered:
                return f"site {site}: no bin was ordered for device {sites[site]}, so it cannot be sorted"
        return ""

    async def find(self, command: commands.Recover) -> None:
        """Take an inventory down; what is not in its socket any more is accounted for here."""
        sites = {seen.site: seen for seen in self.history.in_contact.values()}
        places = {sites[site].part: place for site, place in sorted(command.found.items())}
        for site, place in sorted(command.found.items()):
            await self._account(sites[site], place)
        if places:
            await self._commit(
                events.Found(at=self._journal.now, actor=command.actor, reason=command.reason, places=places)
            )
        for site in sorted(command.cleared):
            await self._commit(
                events.Cleared(
                    at=self._journal.now,
                    resource=f"site {site}",
                    actor=command.actor,
                    reason=command.reason,
                )
            )

    async def _account(self, seen: Seen, place: Whereabouts) -> None:
        match place:
            case Whereabouts.SOCKET:
                return
            case Whereabouts.SORTED:
                await self._sorted(seen, self.history.ordered[seen.part])
            case Whereabouts.ERROR_BIN:
                result = await self._unknown(seen, f"found after a stop: {place.value}")
                await self._sorted(seen, result.bin.hard)
            case Whereabouts.MISSING:
                await self._unknown(seen, f"found after a stop: {place.value}")

    async def _unknown(self, seen: Seen, reason: str) -> DeviceResult:
        """A contact that never was powered: the device's last one, so that no result before it counts."""
        seq, now = self.history.seq + 1, self._journal.now
        place = seen.place
        positions = {} if place is None else {seen.site: (place.x, place.y)}
        wafer = "" if place is None else place.wafer
        ids = {seen.site: seen.id} if seen.id else {}
        at = Touchdown(frozenset({seen.site}), ids, positions, wafer)
        error = self._sequence.bins.error
        device = self._result(seen.part, seen.site, seen.contact + 1, error, reason)
        device = msgspec.structs.replace(device, cut_short=False)
        (device,) = placed([device], at)
        await self._commit(
            events.TouchdownOpened(
                at=now,
                seq=seq,
                parts={seen.site: seen.part},
                contacts={seen.site: device.contact},
                untested=(seen.site,),
                wafer=wafer,
                positions=positions,
                ids=ids,
            )
        )
        await self._commit(events.ContactsClosed(at=now, seq=seq, outcomes=(outcome(device),)))
        result = TouchdownResult(seq, now, now, (device,))
        await self._keep(result)
        await self._folder.records.project(result)
        return device

    async def _sorted(self, seen: Seen, hard: int) -> None:
        await self._commit(events.Sorted(at=self._journal.now, seq=self.history.seq, bins={seen.site: hard}))
