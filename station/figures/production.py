"""Units per hour, times of a touchdown, and what failures cost, from journals."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from station import events
from station.figures.e10 import Class, Interval
from station.model import Verdict

HOUR_S = 3600.0


@dataclass(frozen=True)
class Touchdown:
    """One touchdown from its start to the next one's; a retest in contact belongs to it."""

    opened: float
    tested: float
    """When the last of its landings had its results, on the disk."""
    test_s: float
    """First row to last row of the slowest site, all landings."""
    sorted: float
    contacts: int
    first: int
    """How many of its contacts were first ones that could be judged."""


@dataclass(frozen=True)
class Production:
    """The figures of a span of time; None where nothing allows one."""

    seconds: dict[str, float]
    """In each class of E10."""
    devices: int
    units_per_hour: float | None
    """Over productive time."""
    gross_units_per_hour: float | None
    """Over all time."""
    test_s: float | None
    """Medians over touchdowns, these four."""
    tester_index_s: float | None
    handler_index_s: float | None
    cycle_s: float | None
    failures: int
    """Times down in which a machine was quarantined or replaced, or outputs could not be verified."""
    assists: int
    """All other times down: somebody put it right and let the cell go on."""
    mtbf_s: float | None
    mtba_s: float | None
    mttr_s: float | None
    availability: float | None
    performance: float | None
    quality: float | None
    oee: float | None


def touchdowns(history: Iterable[events.Any]) -> Iterator[Touchdown]:
    """Find the touchdowns that were sorted."""
    opened: float | None = None
    test_s, contacts, first, tested = 0.0, 0, 0, 0.0
    for event in history:
        match event:
            case events.TouchdownOpened(at=at):
                opened = at if opened is None else opened
            case events.ContactsClosed(at=at, outcomes=outcomes):
                test_s += max((one.test_s for one in outcomes), default=0.0)
                contacts += len(outcomes)
                first += sum(o.contact == 1 and o.verdict is not Verdict.NOT_JUDGED for o in outcomes)
                tested = at
            case events.Sorted(at=at) if opened is not None:
                yield Touchdown(opened, tested, test_s, at, contacts, first)
                opened, test_s, contacts, first = None, 0.0, 0, 0
            case events.StateChanged(new="ABORTED" | "CLOSED"):
                opened, test_s, contacts, first = None, 0.0, 0, 0
            case _:
                pass


def production(
    history: Sequence[events.Any], spans: Sequence[Interval], *, ideal_units_per_hour: float | None = None
) -> Production:
    """Work the figures out; `ideal_units_per_hour` is what the cell could do, by default its best hour.

    Availability is the share of scheduled time that the cell was up; quality the share of contacts that were
    first ones and could be judged: a low yield is no loss of the equipment.
    """
    seconds = {kind.value: 0.0 for kind in Class}
    for span in spans:
        seconds[span.state.value] += span.seconds
    found = list(touchdowns(history))
    devices = sum(len(event.bins) for event in history if isinstance(event, events.Sorted))
    productive, total = seconds["PRD"], sum(seconds.values())
    downs = list(_downs(spans))
    failed = [down for down in downs if _is_failure(down, history)]
    failures, assists = len(failed), len(downs) - len(failed)
    scheduled = total - seconds["NST"]
    up = scheduled - seconds["UDT"] - seconds["SDT"]
    availability = _share(up, scheduled)
    cycles = [after.opened - before.opened for before, after in _pairs(found)]
    ideal = ideal_units_per_hour or _ideal(found, cycles)
    performance = None if ideal is None or up <= 0 else min(1.0, devices * HOUR_S / up / ideal)
    quality = _share(sum(one.first for one in found), sum(one.contacts for one in found))
    return Production(
        seconds=seconds,
        devices=devices,
        units_per_hour=_rate(devices, productive),
        gross_units_per_hour=_rate(devices, total),
        test_s=_middle([one.test_s for one in found]),
        tester_index_s=_middle([one.sorted - one.opened - one.test_s for one in found]),
        handler_index_s=_middle([after.opened - before.sorted for before, after in _pairs(found)]),
        cycle_s=_middle(cycles),
        failures=failures,
        assists=assists,
        mtbf_s=_share(productive, failures),
        mtba_s=_share(productive, assists),
        mttr_s=_share(sum(down.seconds for down in failed), failures),
        availability=availability,
        performance=performance,
        quality=quality,
        oee=_product(availability, performance, quality),
    )


def _downs(spans: Sequence[Interval]) -> Iterator[Interval]:
    """Yield the times in which a cell was down without a plan; one may have had several reasons."""
    for state, run in groupby(spans, lambda span: span.state):
        if state is Class.UDT:
            found = list(run)
            yield Interval(found[0].start, found[-1].end, state, found[0].reason)


def _is_failure(down: Interval, history: Iterable[events.Any]) -> bool:
    return any(down.start <= event.at <= down.end and _is_broken(event) for event in history)


def _is_broken(event: events.Any) -> bool:
    """Whether this is more than somebody at the cell puts right: assists need no parts and no settings."""
    match event:
        case events.Quarantined() | events.Refitted():
            return True
        case events.MadeSafe(unverified=unverified):
            return bool(unverified)
        case _:
            return False


def _ideal(found: Sequence[Touchdown], cycles: Sequence[float]) -> float | None:
    """Units per hour of the quickest cycle with the most devices."""
    if not cycles or min(cycles) <= 0:
        return None
    return max(one.contacts for one in found) * HOUR_S / min(cycles)


def _pairs(found: Sequence[Touchdown]) -> Iterator[tuple[Touchdown, Touchdown]]:
    return zip(found, found[1:], strict=False)


def _middle(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _rate(devices: int, seconds: float) -> float | None:
    return devices * HOUR_S / seconds if seconds > 0 else None


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _product(*shares: float | None) -> float | None:
    result = 1.0
    for share in shares:
        if share is None:
            return None
        result *= share
    return result
