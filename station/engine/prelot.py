"""What is looked at before a lot: whatever can be found out before a device is touched."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from station import events
from station.engine.empty import not_empty
from station.engine.plan import Plan
from station.engine.sites import Sites
from station.engine.stops import Hold
from station.model import ENGINEERING, LotInfo
from station.sequence import S
from station.set_up import Traveller
from station.study import irreversible

Record: TypeAlias = Callable[[events.Any], Awaitable[None]]
CALIBRATION = "calibration"
LOT_DATA = "lot data"
NOTHING: Mapping[str, str] = MappingProxyType({})


async def checked(
    plan: Plan[S],
    info: LotInfo,
    says: Traveller | None,
    record: Record,
    waived: Collection[str],
    unless_aborted: Callable[[Coroutine[Any, Any, Mapping[str, str]]], Awaitable[Mapping[str, str]]],
) -> None:
    """Look at data, machines, hard bins, contacts and vault; Hold says what keeps the lot from beginning.

    `says`: what the traveller said when the lot was loaded. `unless_aborted` does what has outputs on.
    """
    must_be_reversible(plan, info)
    await machines(plan, record, waived, lot_data(info, says, plan.assets))
    if few := Sites(plan.bound.resources).too_few():
        raise Hold(f"{few}: {'; '.join(_out_of_use(plan))}")
    hard = {bin_.hard for bin_ in info.bins}
    if missing := hard - plan.bound.handler.hard_bins:
        raise Hold(f"the handler cannot sort to hard bin {', '.join(map(str, sorted(missing)))}")
    if plan.sequence.empty:
        off = Sites(plan.bound.resources).all_out_of_use()
        sites = {number: site for number, site in plan.bound.sites.items() if number not in off}
        await _answered(plan, record, waived, await unless_aborted(not_empty(plan.sequence, sites)))
    if plan.vault is not None:
        sorts = not plan.sequence.personalises
        quota = await plan.vault.open_lot(info.lot, product=info.product, quantity=info.quantity, sorts=sorts)
        if quota is not None:
            await record(events.QuotaTold(at=plan.clock.unix(), quota=quota))


def must_be_reversible(plan: Plan[S], info: LotInfo) -> None:
    """Hold for an engineering lot whose sequence does to devices what nothing undoes."""
    if info.mode == ENGINEERING and (why := irreversible("an engineering lot", plan.sequence)):
        raise Hold(why)


def _out_of_use(plan: Plan[S]) -> list[str]:
    everything = dict.fromkeys(one for roles in plan.bound.resources.values() for one in roles)
    return [f"{one.name}: {one.turn.poisoned}" for one in everything if one.turn.poisoned]


def lot_data(info: LotInfo, says: Traveller | None, assets: Collection[str]) -> Mapping[str, str]:
    """Compare what the traveller says with the cell; every difference, as one check."""
    wrong = list[str]()
    if says is not None and says.product not in ("", info.product):
        wrong.append(f"the traveller says {says.product}, this cell tests {info.product}")
    if says is not None and says.program not in ("", *_programs(info)):
        has = " or ".join(dict.fromkeys(_programs(info)))
        wrong.append(f"the traveller says {says.program}, this lot runs by {has}")
    if says is not None and says.card not in ("", *assets):
        has = ", ".join(assets) or "none that the station file names"
        wrong.append(f"the traveller says {says.card}, this cell has {has}")
    return {LOT_DATA: "; ".join(wrong)} if wrong else {}


def _programs(info: LotInfo) -> list[str]:
    """By which names the program of a lot is known: sequence, sequence with version, recipe."""
    recipe = info.limit_set.rpartition(" ")[0]
    return [info.sequence, f"{info.sequence} {info.sequence_version}", *([recipe] if recipe else [])]


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
    await _answered(plan, record, waived, {**besides, **found.waivable}, found.wrong)


async def _answered(
    plan: Plan[S],
    record: Record,
    waived: Collection[str],
    waivable: Mapping[str, str],
    wrong: Collection[str] = (),
) -> None:
    """Tell what somebody answers for; Hold for all else that is wrong."""
    now = plan.clock.unix()
    for name, seen in waivable.items():
        if name in waived:
            await record(events.RuleTripped(at=now, rule=name, site=0, action="waived", seen=seen))
    if left := [*wrong, *(seen for name, seen in waivable.items() if name not in waived)]:
        raise Hold("; ".join(left))
