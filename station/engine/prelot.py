"""What is looked at before a lot: whatever can be found out before a device is touched."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from types import MappingProxyType
from typing import TypeAlias

from station import events
from station.commands import Load
from station.engine.plan import Plan
from station.engine.sites import Sites
from station.engine.stops import Hold
from station.model import LotInfo
from station.sequence import S

Record: TypeAlias = Callable[[events.Any], Awaitable[None]]
CALIBRATION = "calibration"
LOT_DATA = "lot data"
NOTHING: Mapping[str, str] = MappingProxyType({})


async def checked(
    plan: Plan[S], info: LotInfo, load: Load | None, record: Record, waived: Collection[str]
) -> None:
    """Look at data, machines, hard bins and vault; Hold says what keeps the lot from beginning.

    `load`: what was said of the lot when it was loaded.
    """
    await machines(plan, record, waived, {} if load is None else lot_data(plan, info, load))
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


def lot_data(plan: Plan[S], info: LotInfo, load: Load) -> Mapping[str, str]:
    """Compare what the traveller says with the cell; every difference, as one check."""
    wrong = list[str]()
    if load.product and load.product != info.product:
        wrong.append(f"the traveller says {load.product}, this cell tests {info.product}")
    if load.card and load.card not in plan.assets:
        has = ", ".join(plan.assets) or "none that the station file names"
        wrong.append(f"the traveller says {load.card}, this cell has {has}")
    return {LOT_DATA: "; ".join(wrong)} if wrong else {}


async def machines(
    plan: Plan[S], record: Record, waived: Collection[str], besides: Mapping[str, str] = NOTHING
) -> None:
    """Hold names every machine that is another one, or over its calibration or limit; what is near is told.

    For what is `waived` somebody answers; nobody can for another machine. `besides`: more that he can.
    """
    now = plan.clock.unix()
    found = plan.examine(now)
    for seen in found.near:
        await record(events.RuleTripped(at=now, rule=CALIBRATION, site=0, action="note", seen=seen))
    for event in found.told:
        await record(event)
    waivable = {**besides, **found.waivable}
    for name, seen in waivable.items():
        if name in waived:
            await record(events.RuleTripped(at=now, rule=name, site=0, action="waived", seen=seen))
    if wrong := [*found.wrong, *(seen for name, seen in waivable.items() if name not in waived)]:
        raise Hold("; ".join(wrong))
