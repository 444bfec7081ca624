"""The Personalise row of one device: from intent to verdict, each on disk before anything else is done."""

import asyncio
from collections.abc import Callable
from typing import Generic

from drivers.errors import DutError
from drivers.uninterrupted import CUT
from station.engine.contact import Custody
from station.engine.disposition import Standing
from station.engine.judge import misbehaved, unjudged
from station.engine.timer import RowTimer
from station.errors import CustodyError
from station.model import Disposition, Ending, Measurement, Personalisation, Verdict
from station.sequence import Die, Personalise, S
from station.vault.client import VaultRefusedError

ABORTED = "aborted"
CUT_OFF = "cut off, since an interlock opened"


class KeyStep(Generic[S]):
    """Nothing comes between, so that no intent is left without its end."""

    def __init__(
        self,
        row: Personalise[S],
        die: Die,
        part: int,
        standing: Standing[S],
        custody: Custody,
        record: Callable[[Measurement], None],
        faulted: Callable[[Exception], Measurement],
    ) -> None:
        """`record` keeps a measurement, `faulted` makes one of what a row raised."""
        self._row = row
        self._die = die
        self._part = part
        self._standing = standing
        self._custody = custody
        self._record = record
        self._faulted = faulted
        self._at_vault: asyncio.Task[object] | None = None
        self._cut = False

    def cut_off(self) -> None:
        """End it now, though the chip may be left half done; what is being written is written."""
        self._cut = True
        task, self._at_vault = self._at_vault, None
        if task is not None:
            task.cancel(CUT)

    async def run(self, site: S, timer: RowTimer) -> None:
        """Write the intent, let the vault have the chip, write what came of it."""
        try:
            if not self._die.again:  # else that it was begun is in the journal
                await self._custody.intend(self._die, self._part)
        except CustodyError as error:
            self._record(self._faulted(error))
            self._cannot_tell(str(error))
            return
        self._standing.intent_open = True
        if self._cut:
            await self._aborted(CUT_OFF)
        else:
            await self._personalised(site, timer)

    async def _personalised(self, site: S, timer: RowTimer) -> None:
        try:
            async with timer.limited(self._row.timeout_s):
                outcome = await self._in_vault(site)
        except VaultRefusedError as refusal:
            self._standing.custody_fault = str(refusal)
            await self._verdict(refusal.personalisation)
        except DutError as error:
            self._record(misbehaved(self._row, error))
            await self._no_verdict(str(error))
        except asyncio.CancelledError:
            await self._aborted(CUT_OFF if self._cut else ABORTED)
        except Exception as error:  # noqa: BLE001 - the intent stays open whatever happened
            self._record(self._faulted(error))
            await self._no_verdict(str(error) or type(error).__name__)
        else:
            await self._verdict(outcome)

    async def _in_vault(self, site: S) -> Personalisation:
        self._at_vault = asyncio.current_task()
        try:
            return await self._row.run(site, self._die)
        finally:
            self._at_vault = None

    async def _aborted(self, why: str) -> None:
        self._record(unjudged(self._row, Ending.ABORTED, why))
        await self._no_verdict(why)

    async def _no_verdict(self, reason: str) -> None:
        self._standing.no_verdict = reason
        try:
            await self._custody.ended(self._die, self._part, None, reason)
        except CustodyError as error:
            self._standing.custody_fault = f"{self._row.name}: {error}"

    async def _verdict(self, outcome: Personalisation) -> None:
        row = self._row
        try:
            await self._custody.ended(self._die, self._part, outcome, outcome.detail)
        except CustodyError as error:
            self._standing.custody_fault = f"{row.name}: {error}"
            self._record(unjudged(row, Ending.NO_VALUE, str(error)))
            return
        self._standing.personalisation = outcome
        self._standing.intent_open = False
        text = "" if outcome.disposition is Disposition.SEALED else f"{outcome.error} {outcome.detail}"
        match outcome.disposition:
            case Disposition.SEALED:
                self._record(Measurement(row.number, row.name, "F", Verdict.PASSED))
            case Disposition.UNTOUCHED | Disposition.RETRY:
                self._record(unjudged(row, Ending.NO_VALUE, text))
                self._cannot_tell(f"{row.name}: {outcome.disposition.value}: {text}")
            case Disposition.REJECT_HELD | Disposition.QUARANTINE:
                self._record(Measurement(row.number, row.name, "F", Verdict.FAILED, text=text))

    def _cannot_tell(self, reason: str) -> None:
        self._standing.unjudged = self._standing.unjudged or reason
