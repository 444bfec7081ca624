"""Single step: behind which rows the sites of an engineering lot stand still, until a person goes on."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, TypeAlias

from drivers.roles.turn import progress
from station import commands, events
from station.clock import Clock
from station.engine import shmoo
from station.engine.contact import Contact
from station.engine.lot_journal import LotJournal
from station.model import ENGINEERING, LotInfo, Measurement
from station.sequence import Parametric, S, Sequence, Test
from station.study import irreversible

BOUND_S = (1.0, 3600.0)
PATIENCE_S = 20.0
"""So often whoever waits for what a standing site holds is told to have patience: less than his is."""


class Go(Enum):
    """What a site that stands does next, if it is no sweep."""

    ON = "on"
    AGAIN = "stand there again, for the whole time"


Answer: TypeAlias = asyncio.Future[commands.Shmoo | Go]


class LeftAloneError(Exception):
    """Nobody went on in time: the device is given up."""


@dataclass
class Stand:
    """What is asked of one site, and where it stands."""

    go: Literal["next", "to", "on"] = "on"
    row: int = 0
    bound_s: float = 0.0
    at: int | None = None
    """The row behind which it stands; 0 before the first, None while it runs."""
    sweeps: bool = False
    broken_off: bool = False
    """Somebody has gone on while a sweep was under way."""
    answer: Answer | None = field(default=None, repr=False)

    def halts(self, row: int) -> bool:
        """Tell whether it is to stand still behind a row."""
        if self.go == "to" and row == self.row:
            self.go = "next"
        return self.go == "next"

    def ask(self, step: commands.Step) -> None:
        """Take what a person wants of it."""
        self.go, self.row, self.bound_s = step.go, step.row, step.bound_s
        self.broken_off = self.sweeps
        there = step.go == "to" and step.row == self.at
        self.release(Go.AGAIN if there else Go.ON)

    def release(self, what: commands.Shmoo | Go) -> None:
        """Let it do something, if it stands and nobody was quicker."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(what)


class Steps:
    """Of one engineering lot; nothing of it outlives a stop of the station."""

    def __init__(
        self, sites: Iterable[int], sequence: Sequence[S], journal: LotJournal, clock: Clock
    ) -> None:
        self._stands = {site: Stand() for site in sites}
        self._rows = {test.number: test for test in sequence.tests()}
        self._never = irreversible("an engineering lot", sequence)
        self.journal = journal
        self._clock = clock
        self.say: Callable[[str], None] = lambda text: None
        """Told what the datalog is to say at the next boundary."""

    # -- asked
    def objection(self, asked: commands.Step | commands.Shmoo) -> tuple[str, str] | None:
        """Return why it cannot be, as code and reason."""
        if self._never:
            return "invalid_recipe", f"{asked.__struct_config__.tag}: {self._never}"
        if isinstance(asked, commands.Step):
            return self._no_step(asked)
        return self._no_shmoo(asked)

    def _no_step(self, step: commands.Step) -> tuple[str, str] | None:
        if unknown := sorted(step.sites - self._stands.keys()):
            return "bad_arguments", f"lot.step: there is no site {', '.join(map(str, unknown))}"
        if not BOUND_S[0] <= step.bound_s <= BOUND_S[1]:
            return "bad_arguments", f"lot.step: bound_s = {step.bound_s:g} must lie in 1..3600"
        if step.go == "to" and step.row not in self._rows:
            return "not_found", f"lot.step: there is no test {step.row}"
        return None

    def _no_shmoo(self, wanted: commands.Shmoo) -> tuple[str, str] | None:
        stand, row = self._stands.get(wanted.site), self._rows.get(wanted.row)
        if stand is None:
            return "bad_arguments", f"lot.shmoo: there is no site {wanted.site}"
        if row is None:
            return "not_found", f"lot.shmoo: there is no test {wanted.row}"
        if stand.sweeps:
            return "busy", f"lot.shmoo: site {wanted.site} is at one already"
        if wrong := shmoo.wrong(wanted, row):
            return "bad_arguments", f"lot.shmoo: {wrong}"
        if stand.at != wanted.row:
            return "wrong_state", f"lot.shmoo: site {wanted.site} does not stand behind test {wanted.row}"
        return None

    def take(self, asked: commands.Step | commands.Shmoo) -> None:
        """Take it."""
        if isinstance(asked, commands.Step):
            for site in asked.sites or self._stands.keys():
                self._stands[site].ask(asked)
        else:
            self._stands[asked.site].release(asked)

    # -- the device run of a site
    async def stand(
        self, contact: Contact, site: int, row: "Test[S] | None", last: Measurement | None
    ) -> commands.Shmoo | Go:
        """Stand behind a row if that is wanted; return what is to be done there: a sweep, or to go on.

        LeftAloneError if nobody went on in time.
        """
        stand = self._stands[site]
        number = 0 if row is None else row.number
        if not stand.halts(number):
            return Go.ON
        wanted: commands.Shmoo | Go = Go.ON
        failed = "given up"
        stand.at, stand.answer = number, asyncio.get_running_loop().create_future()
        try:
            await self._tell_where(stand, contact, site, row, last)
            wanted = await self._answered(stand, stand.answer)
            failed = ""
        except LeftAloneError as error:
            failed = str(error)
            raise
        finally:
            stand.at = stand.answer = None
            if wanted is Go.ON:
                left = events.StepLeft(at=self._clock.unix(), seq=contact.seq, site=site, failed=failed)
                await self.journal.commit(left)
        return wanted

    async def _tell_where(
        self, stand: Stand, contact: Contact, site: int, row: "Test[S] | None", last: Measurement | None
    ) -> None:
        now = self._clock.unix()
        await self.journal.commit(
            events.StepHalted(
                at=now,
                seq=contact.seq,
                site=site,
                part=contact.part,
                row=0 if row is None else row.number,
                name="" if row is None else row.name,
                measurement=last,
                limit=row.limit if isinstance(row, Parametric) else None,
                until=now + stand.bound_s,
            )
        )

    async def _answered(self, stand: Stand, answer: Answer) -> commands.Shmoo | Go:
        try:
            with self._clock.attended():
                async with asyncio.timeout(stand.bound_s):
                    while not answer.done():
                        progress()
                        await asyncio.wait([answer], timeout=PATIENCE_S)
        except TimeoutError:
            raise LeftAloneError(f"lot.step: nobody went on within {stand.bound_s:g} s") from None
        return answer.result()

    # -- a sweep
    def sweeping(self, site: int, *, begins: bool) -> None:
        """A sweep at a site begins, or is over."""
        self._stands[site].sweeps, self._stands[site].broken_off = begins, False

    def broken_off(self, site: int) -> bool:
        """Whether somebody went on meanwhile."""
        return self._stands[site].broken_off


def steps_of(info: LotInfo, sequence: Sequence[S], journal: LotJournal, clock: Clock) -> Steps | None:
    """Return the steps of an engineering lot; None of any other."""
    return Steps(info.sites, sequence, journal, clock) if info.mode == ENGINEERING else None


def objection(steps: Steps | None, asked: commands.Step | commands.Shmoo) -> tuple[str, str] | None:
    """Return why it cannot be, as code and reason."""
    if steps is None:
        name = str(asked.__struct_config__.tag)
        return "wrong_state", f"{name} is for lots that were loaded for engineering (mode E): this is none"
    return steps.objection(asked)
