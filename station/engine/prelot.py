"""What is looked at before a lot: whatever can be found out before a device is touched."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from station import events
from station.engine.empty import EMPTY, not_empty
from station.engine.empty import told as differs
from station.engine.interlocks import contacts, why_open
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
DOCKING = "docking"
VAULT = "vault"
NOTHING: Mapping[str, str] = MappingProxyType({})


async def checked(
    plan: Plan[S],
    info: LotInfo,
    says: Traveller | None,
    record: Record,
    waived: Collection[str],
    unless_aborted: Callable[[Coroutine[Any, Any, Mapping[int, str]]], Awaitable[Mapping[int, str]]],
    off: Collection[int] = (),
) -> None:
    """Look at data, machines, hard bins, contacts and vault; Hold says what keeps the lot from beginning.

    `says`: what the traveller said when the lot was loaded. `unless_aborted` does what has outputs on. `off`:
    sites that do not test.
    """
    must_be_reversible(plan, info)
    await machines(plan, record, waived, lot_data(info, says, plan.assets))
    if few := Sites(plan.bound.resources).too_few():
        raise Hold(f"{few}: {'; '.join(_out_of_use(plan))}")
    hard = {bin_.hard for bin_ in info.bins}
    if missing := hard - plan.bound.handler.hard_bins:
        raise Hold(f"the handler cannot sort to hard bin {', '.join(map(str, sorted(missing)))}")
    if plan.sequence.empty:
        out = {*off, *Sites(plan.bound.resources).all_out_of_use()}
        sites = {number: site for number, site in plan.bound.sites.items() if number not in out}
        wrong = await unless_aborted(not_empty(plan.sequence, sites))
        await _contacts(plan, record, waived, wrong)
    if plan.vault is not None:
        sorts = not plan.sequence.personalises
        quota = await plan.vault.open_lot(info.lot, product=info.product, quantity=info.quantity, sorts=sorts)
        if quota is not None:
            await record(events.QuotaTold(at=plan.clock.unix(), quota=quota))


async def first_seen(plan: Plan[S], record: Record) -> None:
    """Tell of interlocks and vault as soon as there is a lot: whoever starts it sees what is not there."""
    now = plan.clock.unix()
    if known := contacts(plan.resources):
        await record(docking(now, await why_open(plan.resources), known))
    if plan.greeting is not None:
        said = plan.greeting
        stands = f"{said.name}, {said.mode}"
        found = "; ".join((stands, *said.stops))
        await record(events.CheckTold(at=now, check=VAULT, health="bad" if said.stops else "ok", found=found))


def docking(at: float, why: str, known: str = "") -> events.CheckTold:
    """Return what is told of the interlocks: why they are open, else which contacts they have."""
    return events.CheckTold(at=at, check=DOCKING, health="bad" if why else "ok", found=why or known)


def must_be_reversible(plan: Plan[S], info: LotInfo) -> None:
    """Hold for an engineering lot whose sequence does to devices what nothing undoes."""
    if info.mode == ENGINEERING and (why := irreversible("an engineering lot", plan.sequence)):
        raise Hold(why)


async def _contacts(plan: Plan[S], record: Record, waived: Collection[str], wrong: Mapping[int, str]) -> None:
    """Tell at which sites something is left in contact; Hold unless somebody answers for it."""
    found = differs(wrong)
    health: Literal["ok", "bad"] = "bad" if wrong else "ok"
    await record(
        events.CheckTold(at=plan.clock.unix(), check=EMPTY, health=health, found=found, sites=tuple(wrong))
    )
    await _answered(plan, record, waived, {EMPTY: found} if wrong else {})


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
