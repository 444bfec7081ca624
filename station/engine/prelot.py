"""What is looked at before a lot: whatever can be found out before a device is touched."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from station import events
from station.engine.plan import Plan
from station.engine.sites import Sites
from station.engine.stops import Hold
from station.model import LotInfo
from station.sequence import S

Record: TypeAlias = Callable[[events.Any], Awaitable[None]]
CALIBRATION = "calibration"


async def checked(plan: Plan[S], info: LotInfo, record: Record) -> None:
    """Look at machines, hard bins and vault; Hold says what keeps the lot from beginning."""
    await machines(plan, record)
    if few := Sites(plan.bound.resources).too_few():
        raise Hold(f"{few}: {'; '.join(_out_of_use(plan))}")
    hard = {bin_.hard for bin_ in info.bins}
    if missing := hard - plan.bound.handler.hard_bins:
        raise Hold(f"the handler cannot sort to hard bin {', '.join(map(str, sorted(missing)))}")
    if plan.vault is not None:
        sorts = not plan.sequence.personalises
        await plan.vault.open_lot(info.lot, product=info.product, quantity=info.quantity, sorts=sorts)


def _out_of_use(plan: Plan[S]) -> list[str]:
    everything = dict.fromkeys(one for roles in plan.bound.resources.values() for one in roles)
    return [f"{one.name}: {one.turn.poisoned}" for one in everything if one.turn.poisoned]


async def machines(plan: Plan[S], record: Record) -> None:
    """Hold names every machine that is another one or whose calibration is over; what is near is told."""
    now = plan.clock.unix()
    found = plan.examine(now)
    for seen in found.near:
        await record(events.RuleTripped(at=now, rule=CALIBRATION, site=0, action="note", seen=seen))
    if found.wrong:
        raise Hold("; ".join(found.wrong))
