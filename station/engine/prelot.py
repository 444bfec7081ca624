"""What is looked at before a lot: whatever can be found out before a device is touched."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeAlias

from station import events
from station.engine.plan import Plan
from station.engine.sites import Sites
from station.engine.stops import Hold
from station.model import LotInfo
from station.sequence import S

Record: TypeAlias = Callable[[events.Any], Awaitable[None]]
CALIBRATION = "calibration"


async def checked(plan: Plan[S], info: LotInfo, record: Record, waived: Collection[str]) -> None:
    """Look at machines, hard bins and vault; Hold says what keeps the lot from beginning."""
    await machines(plan, record, waived)
    if few := Sites(plan.bound.resources).too_few():
        raise Hold(f"{few}: {'; '.join(_out_of_use(plan))}")
    hard = {bin_.hard for bin_ in info.bins}
    if missing := hard - plan.bound.handler.hard_bins:
        raise Hold(f"the handler cannot sort to hard bin {', '.join(map(str, sorted(missing)))}")
    if plan.vault is not None:
        sorts = not plan.sequence.personalises
        quota = await plan.vault.open_lot(info.lot, product=info.product, quantity=info.quantity, sorts=sorts)
        if quota is not None:
            await record(events.QuotaTold(at=plan.clock.unix(), quota=quota))


def _out_of_use(plan: Plan[S]) -> list[str]:
    everything = dict.fromkeys(one for roles in plan.bound.resources.values() for one in roles)
    return [f"{one.name}: {one.turn.poisoned}" for one in everything if one.turn.poisoned]


async def machines(plan: Plan[S], record: Record, waived: Collection[str]) -> None:
    """Hold names every machine that is another one, or over its calibration or limit; what is near is told.

    For what is `waived` somebody answers; nobody can for another machine.
    """
    now = plan.clock.unix()
    found = plan.examine(now)
    for seen in found.near:
        await record(events.RuleTripped(at=now, rule=CALIBRATION, site=0, action="note", seen=seen))
    for event in found.told:
        await record(event)
    for name, seen in found.waivable.items():
        if name in waived:
            await record(events.RuleTripped(at=now, rule=name, site=0, action="waived", seen=seen))
    if wrong := [*found.wrong, *(seen for name, seen in found.waivable.items() if name not in waived)]:
        raise Hold("; ".join(wrong))
