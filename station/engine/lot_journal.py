"""The lot's history as it is made: journalled first, then counted, then told to whoever watches."""

from collections.abc import Iterable

from drivers.uninterrupted import uninterrupted
from station import events
from station.alarms import Alarms
from station.clock import Clock
from station.custody.balance import Balance
from station.custody.journal import Journal
from station.engine.bus import Bus
from station.errors import StorageError
from station.model import Personalisation
from station.sequence import Die


class LotJournal:
    """Nothing is counted or told before it is on disk."""

    def __init__(self, journal: Journal, bus: Bus, clock: Clock) -> None:
        self._journal = journal
        self._bus = bus
        self._clock = clock
        self.balance = Balance()
        self.alarms = Alarms()
        self._lines = 0
        self.changed_in = 0
        """The line in which the cell's state changed last."""

    def recall(self, happened: Iterable[events.Any]) -> None:
        """Count what was journalled before this station was started; nobody is told again."""
        for event in happened:
            self._count(event)

    def _count(self, event: events.Any) -> None:
        self._lines += 1
        self.balance.add(event)
        if isinstance(event, events.StateChanged):
            self.changed_in = self._lines
        if isinstance(event, events.LotLoaded):
            self.alarms.begin(event.info.lot)
        self.alarms.take(self._lines, event)

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock.unix()

    @property
    def failed(self) -> str | None:
        """Why the journal is unsafe, None while it is sound."""
        return self._journal.failed

    async def commit(self, *happened: events.Any) -> None:
        """Return when the events are durable; StorageError if they cannot be."""
        await uninterrupted(self._committed(*happened))

    async def _committed(self, *happened: events.Any) -> None:
        await self._journal.commit(*happened)
        for event in happened:
            self._count(event)
            self._bus.publish(event)

    async def intend(self, die: Die, part: int) -> None:
        """From here on the device is spoiled; refused while the journal writes into its reserve."""
        if self.failed:
            raise StorageError(self.failed)
        await self.commit(
            events.Intended(at=self.now, unit=die.unit, part=part, site=die.site, session=die.session.hex())
        )

    async def ended(self, die: Die, part: int, outcome: Personalisation | None, reason: str) -> None:
        """The vault's verdict, or that there is none and why."""
        await self.commit(
            events.PersonalisationEnded(
                at=self.now,
                unit=die.unit,
                part=part,
                disposition=None if outcome is None else outcome.disposition,
                error=0 if outcome is None else outcome.error,
                detail=reason,
                uid="" if outcome is None else outcome.uid.hex(),
                serial="" if outcome is None else outcome.serial,
                record="" if outcome is None else outcome.record.hex(),
            )
        )

    def close(self) -> None:
        """Close the file."""
        self._journal.close()
