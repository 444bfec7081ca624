"""Empty contacts: what a sequence measures at every site before a lot, with nothing in contact."""

import asyncio
from collections.abc import Mapping
from typing import Any

from drivers.errors import DutError, EquipmentError
from drivers.roles.turn import waiting
from drivers.uninterrupted import NotUndoneError
from station.engine.judge import judged
from station.engine.stops import Hold
from station.engine.timer import RowTimer
from station.model import Measurement, Verdict
from station.rows import Functional, Parametric, S
from station.sequence import Sequence

EMPTY = "empty contacts"


async def not_empty(sequence: Sequence[S], sites: Mapping[int, S]) -> Mapping[int, str]:
    """Return by site what differs, the first row of each; Hold if the station cannot tell.

    Each site has a task of its own, and every one has ended, outputs off, when this returns.
    """
    found, cannot_tell = dict[int, str](), list[Hold]()

    async def look(site: S) -> None:
        try:
            found[site.number] = await _site(sequence.empty, site)
        except Hold as hold:
            cannot_tell.append(hold)

    async with asyncio.TaskGroup() as group:
        for site in sites.values():
            group.create_task(look(site))
    if cannot_tell:
        unsafe = any(one.unsafe for one in cannot_tell)
        raise Hold("; ".join(sorted(map(str, cannot_tell))), unsafe=unsafe)
    return {site: why for site, why in sorted(found.items()) if why}


def told(wrong: Mapping[int, str]) -> str:
    """Say what differs at which site; empty if nothing does."""
    found = "; ".join(f"site {site}: {why}" for site, why in wrong.items())
    return f"{EMPTY}: {found}" if found else ""


async def _site(rows: "tuple[Parametric[S] | Functional[S], ...]", site: S) -> str:
    """Run the rows until one does not pass; say what it saw."""
    timer = RowTimer()
    waiting.set(timer)
    for row in rows:
        named = f"{row.number} {row.name}"
        try:
            async with timer.limited(row.timeout_s):
                reading = await row.run(site)
        except DutError as error:
            return f"{named}: {error}"
        except TimeoutError:
            if not timer.expired():
                raise
            return f"{named}: not done within {row.timeout_s:g} s"
        except EquipmentError as error:
            unsafe = isinstance(error, NotUndoneError)
            raise Hold(f"{EMPTY}: site {site.number}: {named}: {error}", unsafe=unsafe) from error
        except Exception as error:  # noqa: BLE001 - whatever a row raises is the program's fault
            why = f"{type(error).__name__}: {error}"
            raise Hold(f"{EMPTY}: site {site.number}: {named}: {why}") from error
        measured = judged(row, reading)
        if measured.verdict is not Verdict.PASSED:
            return f"{named}: {_seen(row, measured)}"
    return ""


def _seen(row: "Parametric[Any] | Functional[Any]", measured: Measurement) -> str:
    values = measured.values or (() if measured.value is None else (measured.value,))
    said = " ".join(f"{value:g}" for value in values)
    if isinstance(row, Functional):
        return measured.text or "failed"
    ends = ("" if end is None else f"{end:g}" for end in (row.limit.low, row.limit.high))
    pin = f" at {measured.text}" if measured.text else ""
    return f"{said} {row.limit.unit}{pin}, allowed {' .. '.join(ends)}"
