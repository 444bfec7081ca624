"""A device of an engineering lot: it may stand still behind rows and be swept there, and gets no key."""

from station import commands, events
from station.engine import shmoo
from station.engine.contact import Contact
from station.engine.device_run import DeviceRun, Surroundings
from station.engine.notes import withheld
from station.engine.stepping import Go, LeftAloneError, Steps
from station.model import Measurement, Verdict
from station.rows import swept_at
from station.sequence import Barrier, Entrusted, Functional, Parametric, Personalise, Row, S, Test, While


class EngineeringRun(DeviceRun[S]):
    """As any device run, without the vault: where that has a row, no device is complete."""

    def __init__(self, site: S, contact: Contact, around: Surroundings[S], steps: Steps) -> None:
        super().__init__(site, contact, around)
        self._steps = steps
        self._begun = False

    async def _row(self, row: Row[S]) -> bool:
        if not self._begun:
            self._begun = True
            if not await self._stood(None):
                return False
        if isinstance(row, While | Barrier):
            return await super()._row(row)
        if isinstance(row, Entrusted | Personalise):
            self._notes.append(withheld(row))
            self.standing.withheld = True
            go_on = True
        else:
            go_on = await super()._row(row)
        return await self._stood(row) and go_on

    async def _stood(self, row: "Test[S] | None") -> bool:
        """Stand behind a row as long as somebody wants it; false if the device is to end there."""
        while True:
            try:
                wanted = await self._steps.stand(self._contact, self._site.number, row, self._last(row))
            except LeftAloneError as error:
                self.standing.left_alone = str(error)
                self._cannot_tell(str(error))
                return False
            if wanted is Go.ON:
                return True
            if (
                isinstance(wanted, commands.Shmoo)
                and isinstance(row, Parametric | Functional)
                and not await self._swept(row, wanted)
            ):
                return False

    def _last(self, row: "Test[S] | None") -> Measurement | None:
        last = self._measurements[-1] if self._measurements else None
        return last if last is not None and row is not None and last.test == row.number else None

    # -- a sweep
    async def _swept(self, row: Parametric[S] | Functional[S], wanted: commands.Shmoo) -> bool:
        """Run a row over its grid; false if the site could not be judged at a point."""
        site, steps, journal = self._site.number, self._steps, self._steps.journal
        await journal.commit(self._begins(row, wanted))
        tried = passed = 0
        failed = "aborted"
        steps.sweeping(site, begins=True)
        try:
            for x, y in shmoo.grid(wanted):
                if failed := "somebody went on" if steps.broken_off(site) else "":
                    break
                failed = "aborted"
                measured = await self._at(row, wanted, x, y)
                tried, passed = tried + 1, passed + shmoo.passed(measured)
                failed = measured.text if measured.verdict is Verdict.NOT_JUDGED else ""
                if failed:
                    self._cannot_tell(f"{row.name}: {failed}")
                    break
        finally:
            steps.sweeping(site, begins=False)
            await journal.commit(
                events.ShmooEnded(
                    at=journal.now,
                    seq=self._contact.seq,
                    site=site,
                    row=row.number,
                    passed=passed,
                    tried=tried,
                    failed=failed,
                )
            )
            axes = f"{wanted.x.name}{f', {wanted.y.name}' if wanted.y else ''}"
            end = f": {failed}" if failed else ""
            steps.say(
                f"shmoo of test {row.number} at site {site} over {axes}: {passed} of {tried} passed{end}"
            )
        return not self.standing.unjudged

    def _begins(self, row: Parametric[S] | Functional[S], wanted: commands.Shmoo) -> events.ShmooBegun:
        return events.ShmooBegun(
            at=self._steps.journal.now,
            seq=self._contact.seq,
            site=self._site.number,
            part=self._contact.part,
            row=row.number,
            name=row.name,
            x=wanted.x,
            y=wanted.y,
            limit=row.limit if isinstance(row, Parametric) else None,
            actor=wanted.actor,
        )

    async def _at(
        self, row: Parametric[S] | Functional[S], wanted: commands.Shmoo, x: float, y: float | None
    ) -> Measurement:
        point = {wanted.x.name: x}
        if wanted.y is not None and y is not None:
            point[wanted.y.name] = y
        measured = await self._executed(swept_at(row, point))
        journal = self._steps.journal
        await journal.commit(
            events.ShmooPoint(
                at=journal.now,
                seq=self._contact.seq,
                site=self._site.number,
                row=row.number,
                x=x,
                y=y,
                measurement=measured,
            )
        )
        return measured
