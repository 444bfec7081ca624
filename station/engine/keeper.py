"""Results become durable before anything is told of them; what cannot be kept goes to the error bin."""

from typing import NamedTuple

import msgspec

from station import events
from station.engine.lot_journal import LotJournal
from station.engine.outcomes import outcome
from station.engine.records import Records
from station.engine.stops import Hold
from station.errors import StorageError
from station.model import Bin, TouchdownResult, Verdict


class Note(NamedTuple):
    """What happened behind a landing, and when, unix time."""

    text: str
    at: float


class Keeper:
    """Keeps the landings of one lot: journal, store, and the datalog behind them."""

    def __init__(self, records: Records, journal: LotJournal, error: Bin) -> None:
        self._records = records
        self._journal = journal
        self._error = error
        self._unkept: list[TouchdownResult | Note] = []
        """What the store has refused, in order."""
        self._unprojected: list[TouchdownResult | str] = []
        self.hold = ""
        """Why the lot is to be held; whoever has taken it up empties it."""

    async def keep(self, result: TouchdownResult) -> TouchdownResult:
        """Make a landing durable; return it as it counts. Hold if not even the journal takes it."""
        outcomes = tuple(outcome(device) for device in result.devices)
        try:
            await self._journal.commit(
                events.ContactsClosed(at=self._journal.now, seq=result.seq, outcomes=outcomes)
            )
        except StorageError as error:
            raise Hold(f"{error}; no bin was sent, the devices are in the sockets") from error
        full = self._journal.failed
        if full:
            result = await self._correct(result, full)
        try:
            await self._store_refused()
            await self._store(result)
        except StorageError as error:
            if not full:
                result = await self._correct(result, str(error))
            self._unkept.append(result)
        return result

    async def catch_up(self) -> None:
        """Have the store take, in order, what it has refused; have a datalog that failed be written anew.

        StorageError if it still cannot be.
        """
        await self._store_refused()
        if await self._records.mend(self._journal.now):
            self._unprojected.clear()

    async def _store_refused(self) -> None:
        while self._unkept:
            await self._store(self._unkept[0])
            del self._unkept[0]

    async def _store(self, kept: TouchdownResult | Note) -> None:
        if isinstance(kept, Note):
            await self._records.note(*kept)
            self._unprojected.append(kept.text)
        else:
            await self._records.commit(kept)
            self._unprojected.append(kept)

    async def _correct(self, result: TouchdownResult, reason: str) -> TouchdownResult:
        """The results could not be kept: the devices go to the error bin, and the lot is held."""
        self.hold = self.hold or reason
        devices = tuple(
            msgspec.structs.replace(device, bin=self._error, verdict=Verdict.NOT_JUDGED, reason=reason)
            for device in result.devices
        )
        sites = tuple(device.site for device in devices)
        await self._journal.commit(
            events.ContactsCorrected(at=self._journal.now, seq=result.seq, sites=sites, reason=reason),
            events.ContactsClosed(
                at=self._journal.now, seq=result.seq, outcomes=tuple(outcome(device) for device in devices)
            ),
        )
        return msgspec.structs.replace(result, devices=devices)

    async def note(self, text: str, at: float) -> None:
        """Keep what happened behind the last landing: the datalog says it there."""
        note = Note(text, at)
        try:
            await self._store_refused()
            await self._store(note)
        except StorageError as error:
            self.hold = self.hold or str(error)
            self._unkept.append(note)

    async def project(self) -> None:
        """Append what was kept to the datalog."""
        kept, self._unprojected = self._unprojected, []
        try:
            for one in kept:
                if isinstance(one, str):
                    await self._records.say(one)
                else:
                    await self._records.project(one)
        except StorageError as error:
            self.hold = self.hold or str(error)
