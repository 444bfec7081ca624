"""One device, one contact: rows top to bottom, conditions undone, faults kept at this site."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic

from drivers.errors import DutError, EquipmentError
from drivers.roles.turn import waiting
from drivers.uninterrupted import CUT, NotUndoneError
from station import durations
from station.clock import Clock
from station.engine.at_limit import InstrumentWatch
from station.engine.averages import Averages, against, outlying
from station.engine.barrier import SiteBarrier
from station.engine.contact import Contact, Custody
from station.engine.disposition import Standing
from station.engine.judge import corrected, judged, misbehaved, unjudged
from station.engine.key_step import KeyStep
from station.engine.notes import alarmed, attempted, narrow, of_second_look, skipped, wanted
from station.engine.second_look import chosen, first_failing
from station.engine.seen_through import forgive, seen_through
from station.engine.stuck import StuckWatch
from station.engine.timer import RowTimer
from station.errors import CustodyError
from station.model import DeviceResult, Disposition, Ending, Measurement, Note, Verdict
from station.rows import OnAlarm, on_alarm, to_vault
from station.sequence import (
    CONTINUE,
    Barrier,
    Die,
    Entrusted,
    Functional,
    Judged,
    Parametric,
    Personalise,
    Row,
    S,
    Sequence,
    Test,
    While,
)

ENTER_BOUND_S = 10.0
LEAVE_BOUND_S = 5.0
RECOVERED = "the station stopped while the vault had it: its tests are lost"


@dataclass(frozen=True)
class Surroundings(Generic[S]):
    """What all device runs of a touchdown share."""

    sequence: Sequence[S]
    fingerprint: bytes
    custody: Custody
    clock: Clock
    barrier: SiteBarrier
    averages: Mapping[int, Averages]
    """By site: part average limits as they are in this landing."""
    timed: bool
    """Whether it is taken how long each test lasts."""
    stuck: StuckWatch | None
    """Which readings came again and again; None if nobody asks."""
    measured: Callable[[int, int, Measurement], None] | None
    """Called with seq, site and each measurement while somebody watches; None when nobody does."""


class DeviceRun(Generic[S]):
    """Runs the sequence on one device and gives it a result, whatever happens."""

    def __init__(self, site: S, contact: Contact, around: Surroundings[S]) -> None:
        self._site = site
        self._contact = contact
        self._around = around
        self._timer = RowTimer()
        self._measurements: list[Measurement] = []
        self._notes: list[Note] = []
        self._times: list[float] | None = [] if around.timed else None
        self._row_began = 0.0
        self._offsets = {o.test: o.value for o in around.sequence.offsets if o.site == site.number}
        self._task: asyncio.Task[object] | None = None
        self._leaving = False
        self._cut = self._at_once = False
        self._key_step: KeyStep[S] | None = None
        self.standing = Standing(around.sequence, recovered=contact.recovers)

    async def run(self) -> DeviceResult:
        """Run rows until one stops the device, all are done, or the lot is aborted."""
        waiting.set(self._timer)
        self._task = asyncio.current_task()
        started, began = self._around.clock.unix(), asyncio.get_running_loop().time()
        try:
            await asyncio.sleep(0)  # an abort that is known already finds nothing switched on
            rows = self._around.sequence.rows
            self.standing.complete = await self._rows(to_vault(rows) if self._contact.recovers else rows)
            if self.standing.complete and not self._contact.recovers and not self._outlying():
                await self._look_again()
        except asyncio.CancelledError:
            self.standing.cut_short = True
            forgive()
        finally:
            self._around.barrier.leave()
        bin_, verdict = self.standing.decide()
        contact = self._contact
        return DeviceResult(
            site=self._site.number,
            part=contact.part,
            contact=contact.number,
            bin=bin_,
            verdict=verdict,
            measurements=tuple(self._measurements),
            started=started,
            test_s=asyncio.get_running_loop().time() - began,
            cut_short=self.standing.cut_short,
            personalisation=self.standing.personalisation,
            reason=self.standing.unjudged
            or self.standing.outlier
            or self.standing.rejected
            or RECOVERED * contact.recovers,
            notes=tuple(self._notes),
            times_s=tuple(self._times or ()),
        )

    def cut_short(self, *, at_once: bool = False) -> None:
        """Abort: the device ends at its next await, but a condition that is being undone is undone first.

        A personalisation is seen through, unless it is to be `at_once`. It is told once: what cleans up after
        the first time is left alone.
        """
        told, self._cut = self._cut, True
        if at_once and not self._at_once and self._key_step is not None:
            self._key_step.cut_off()
        self._at_once = self._at_once or at_once
        if self._task is not None and not self._leaving and not told:
            self._task.cancel(CUT if at_once else None)

    async def _rows(self, rows: tuple[Row[S], ...]) -> bool:
        """Run rows until one stops the device; tell whether none did."""
        for row in rows:
            if self._cut:  # a row may have swallowed it
                raise asyncio.CancelledError
            if self._times is not None:
                self._row_began = asyncio.get_running_loop().time()
            if not await self._row(row):
                return False
        return True

    async def _row(self, row: Row[S]) -> bool:
        match row:
            case Parametric() | Functional() | Entrusted():
                return await self._test(row)
            case While():
                return await self._while(row)
            case Barrier():
                await self._around.barrier.wait()
                return True
            case Personalise():
                return await self._personalise(row)

    # -- good devices
    def _outlying(self) -> bool:
        """Look whether a good device has a value that the others do not have."""
        averages = self._around.averages.get(self._site.number)
        if averages and self.standing.personalisation is None and self.standing.failed is None:
            self.standing.outlier = outlying(self._measurements, averages)
            self._measurements = [against(measured, averages) for measured in self._measurements]
        return bool(self.standing.outlier)

    async def _look_again(self) -> None:
        """Test a chosen good device a second time in this contact; what is measured then stays apart."""
        quality = self._around.sequence.quality
        if (
            quality is None
            or self.standing.failed is not None
            or not chosen(quality, self._contact.lot, self._contact.part)
        ):
            return
        first, self._measurements = self._measurements, []
        told, times, self._times = len(self._notes), self._times, None
        standing, self.standing = self.standing, Standing(self._around.sequence)
        try:
            complete = await self._rows(self._around.sequence.rows)
        finally:
            second, again = self.standing, self._measurements
            self.standing, self._measurements, self._times = standing, first, times
            standing.share(second)
            self._notes[told:] = map(of_second_look, self._notes[told:])
        if not complete or second.failed is not None:
            standing.rejected = first_failing(again)

    # -- tests
    async def _test(self, test: Judged[S]) -> bool:
        try:
            if not wanted(test, self._measurements, self._contact.past):
                self._notes.append(skipped(test))
                return True
        except Exception as error:  # noqa: BLE001 - whatever a rule raises is the program's fault
            measurement = self._faulted(test, error)
        else:
            measurement = self._believed(test, await self._decided(test))
        self._record(measurement)
        match measurement.verdict:
            case Verdict.PASSED:
                self.standing.graded(test, measurement)
                self._notes += narrow(test, measurement)
                return True
            case Verdict.NOT_JUDGED:
                self._cannot_tell(f"{test.name}: {measurement.text or measurement.ending.value}")
                return False
            case Verdict.FAILED:
                self.standing.failed = self.standing.failed or test.bin
                return test.on_fail is CONTINUE

    def _believed(self, test: Judged[S], measurement: Measurement) -> Measurement:
        """Return the measurement, or that it cannot be one."""
        stuck = self._around.stuck
        if stuck is None or not (seen := stuck.repeated(self._site.number, measurement)):
            return measurement
        self.standing.stuck = seen
        return unjudged(test, Ending.NO_VALUE, f"rule R12: {seen}")

    async def _decided(self, test: Judged[S]) -> Measurement:
        """Run a row until an attempt does not fail, or is the last one."""
        measurement = await self._executed(test)
        retry = None if isinstance(test, Entrusted) else test.retry
        for _ in range(0 if retry is None else retry.times):
            if retry is None or measurement.verdict is not Verdict.FAILED:
                break
            self._tell(measurement)
            self._notes.append(attempted(measurement))
            measurement = await self._executed(test, after_s=retry.settle_s)
        return measurement

    async def _executed(self, test: Judged[S], *, after_s: float = 0.0) -> Measurement:
        try:
            if after_s:
                await asyncio.sleep(after_s)
            watch = None if on_alarm(test) is OnAlarm.IGNORE else await InstrumentWatch.begun(self._site)
            async with self._timer.limited(test.timeout_s):
                reading = await self._reading(test)
            if self._offsets:
                reading = corrected(reading, self._offsets.get(test.number, 0.0))
            measurement = judged(test, reading)
            return measurement if watch is None else await self._alarmed(test, measurement, watch)
        except DutError as error:
            return misbehaved(test, error)
        except asyncio.CancelledError:
            self._record(unjudged(test, Ending.ABORTED, "aborted"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever a row raises is this site's fault alone
            return self._faulted(test, error)

    async def _alarmed(
        self, test: Judged[S], measurement: Measurement, watch: InstrumentWatch
    ) -> Measurement:
        """Return what a row came to, given what its instruments say of their readings.

        What was read of an output that had switched itself off tells nothing of the device: such a row
        fails if its engineer says so, else it is not judged.
        """
        at_limit, tripped = watch.at_limit(), await watch.tripped()
        if not at_limit and not tripped:
            return measurement
        note = alarmed(test, at_limit, tripped)
        self._notes.append(note)
        match on_alarm(test):
            case OnAlarm.FAIL:
                failed = measurement.verdict is Verdict.FAILED
                return measurement if failed else misbehaved(test, DutError(note.text))
            case OnAlarm.LOG if not tripped:
                return measurement
            case _:
                self.standing.alarmed = True
                return unjudged(test, Ending.EQUIPMENT, note.text)

    async def _reading(self, test: Judged[S]) -> object:
        if isinstance(test, Entrusted):
            return await test.run(self._site, self._die())
        return await test.run(self._site)

    def _faulted(self, test: Test[S], error: Exception) -> Measurement:
        match error:
            case NotUndoneError():
                self.standing.unsafe = str(error)
                return unjudged(test, Ending.EQUIPMENT, str(error))
            case EquipmentError():
                return unjudged(test, Ending.EQUIPMENT, str(error))
            case CustodyError():
                self.standing.custody_fault = str(error)
                return unjudged(test, Ending.NO_VALUE, str(error))
            case TimeoutError() if self._timer.expired():
                return unjudged(test, Ending.TIMEOUT, f"not done within {test.timeout_s:g} s")
            case _:
                self.standing.program_fault = f"{test.name}: {type(error).__name__}: {error}"
                return unjudged(test, Ending.ABORTED, f"{type(error).__name__}: {error}")

    def _record(self, measurement: Measurement) -> None:
        self._measurements.append(measurement)
        if self._times is not None:
            self._times.append(durations.kept(asyncio.get_running_loop().time() - self._row_began))
        self._tell(measurement)

    def _tell(self, measurement: Measurement) -> None:
        if self._around.measured is not None:
            self._around.measured(self._contact.seq, self._site.number, measurement)

    def _cannot_tell(self, reason: str) -> None:
        self.standing.unjudged = self.standing.unjudged or reason

    # -- conditions
    async def _while(self, row: While[S]) -> bool:
        if (condition := await self._entered(row)) is None:
            return False
        try:
            go_on = await self._rows(row.rows)
        except BaseException as error:
            await self._left(condition, type(error), error, error.__traceback__)
            raise
        return await self._left(condition) and go_on

    async def _entered(self, row: While[S]) -> AbstractAsyncContextManager[None] | None:
        try:
            condition = row.condition(self._site)
            async with self._timer.limited(ENTER_BOUND_S):
                await condition.__aenter__()
        except DutError:
            self.standing.failed = self.standing.failed or row.bin
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a condition raises is this site's fault alone
            self._condition_faulted(error)
        else:
            return condition
        return None

    def _condition_faulted(self, error: Exception) -> None:
        match error:
            case NotUndoneError():
                self.standing.unsafe = str(error)
            case EquipmentError():
                pass
            case TimeoutError() if self._timer.expired():
                self._cannot_tell(f"condition not reached within {ENTER_BOUND_S:g} s")
            case CustodyError():
                self.standing.custody_fault = str(error)
            case _:
                self.standing.program_fault = f"{type(error).__name__}: {error}"
        self._cannot_tell(str(error) or type(error).__name__)

    async def _left(
        self,
        condition: AbstractAsyncContextManager[None],
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> bool:
        """Undo the condition; failing to is a fault of the cell, never a pass."""
        self._leaving = True
        try:
            async with asyncio.timeout(LEAVE_BOUND_S):
                await condition.__aexit__(kind, error, trace)
        except Exception as fault:  # noqa: BLE001 - an output that may still be on outweighs its cause
            self.standing.unsafe = str(fault) or type(fault).__name__
            self._cannot_tell(f"a condition could not be undone: {self.standing.unsafe}")
            return False
        finally:
            self._leaving = False
        if self._cut and error is None:
            raise asyncio.CancelledError
        return True

    # -- personalisation
    async def _personalise(self, row: Personalise[S]) -> bool:
        if self.standing.failed is not None or self._outlying():
            return False
        part, faulted = self._contact.part, partial(self._faulted, row)
        self._key_step = step = KeyStep(
            row, self._die(), part, self.standing, self._around.custody, self._record, faulted
        )
        await seen_through(step.run(self._site, self._timer))
        return self.standing.personalisation is not None and (
            self.standing.personalisation.disposition is Disposition.SEALED
        )

    def _die(self) -> Die:
        contact = self._contact
        return Die(
            unit=contact.unit,
            lot=contact.lot,
            contact=contact.number,
            site=self._site.number,
            fingerprint=self._around.fingerprint,
            session=contact.session,
            again=contact.recovers,
        )
