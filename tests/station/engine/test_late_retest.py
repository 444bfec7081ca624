"""Devices that have their bin and come again: by the dies that a prober is told, by the ids of a handler."""

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest

from drivers.roles import Touchdown
from station import events
from station.engine.late import Kept, LateRetests, cannot_bring_again
from station.engine.retests import RetestWatch
from station.model import Bin, DeviceResult, Limit, Verdict
from station.sequence import Parametric, Retest, Sequence
from tests.station.engine.doubles import (
    BAD,
    BINS,
    CONTACT,
    GOOD,
    OTHER_BAD,
    Bench,
    BenchSite,
    ScriptedHandler,
    virtual,
)

Place = tuple[int, int]
WAFER = "W1"


class Prober(ScriptedHandler):
    """One wafer with a row of dies, two sites side by side; what is due is landed on by a site that may."""

    def __init__(self, dies: int) -> None:
        super().__init__([])
        self.dies = dies
        self.landed: list[dict[int, Place]] = []
        self.barred: list[Mapping[Place, frozenset[int]]] = []
        self.picks_site = True

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        for x in range(0, self.dies, 2):
            async for again in self._again_now(used_up=False):
                yield again
            yield self._at({1: (x, 0), 2: (x + 1, 0)})
        async for again in self._again_now(used_up=True):
            yield again

    async def _again_now(self, *, used_up: bool) -> AsyncGenerator[Touchdown, None]:
        while due := self.due(WAFER, used_up=used_up):
            self.barred.append(due)
            (die, barred), *_ = due.items()
            if not (sites := {1, 2} - barred):
                return
            yield self._at({min(sites): die})

    def _at(self, sites: dict[int, Place]) -> Touchdown:
        self.landed.append(sites)
        return Touchdown(frozenset(sites), positions=sites, wafer=WAFER)


class Reader(ScriptedHandler):
    """A handler that reads codes, and feeds the devices of hard bin 5 once more when its input is empty."""

    def __init__(self, ids: list[str], again: list[str]) -> None:
        super().__init__([])
        self.feeds = [*ids, *again]
        self.brings_again = frozenset({CONTACT.hard})

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        for id_ in self.feeds:
            yield Touchdown(frozenset({1}), {1: id_})


def plan(retest: Retest, *values: float) -> Sequence[BenchSite]:
    """A sequence whose n-th contact measures the n-th value; beyond 1 V it is bad contact."""
    left = list(values)

    async def volts(site: BenchSite) -> float:
        del site
        return left.pop(0)

    return Sequence(
        "bench", "1", BenchSite, BINS, (Parametric(1, volts, Limit(0, 1, "V"), bin=CONTACT),), retest
    )


def seen(bench: Bench) -> list[tuple[int, int, int, int]]:
    """Part, contact, site and bin of each contact."""
    devices = [device for landing in bench.store.landings for device in landing.devices]
    return [(device.part, device.contact, device.site, device.bin.number) for device in devices]


@virtual
async def test_at_the_end_of_the_wafer_the_rejected_die_comes_again(tmp_path: Path) -> None:
    retest = Retest(frozenset({CONTACT}), at_end=True)
    bench = Bench(tmp_path, plan(retest, 0.5, 9.0, 0.5, 0.5, 0.5), [frozenset({1, 2})] * 2)
    bench.use(prober := Prober(4))
    assert await bench.run() == "CLOSED"
    assert prober.landed == [{1: (0, 0), 2: (1, 0)}, {1: (2, 0), 2: (3, 0)}, {1: (1, 0)}]
    assert seen(bench) == [(1, 1, 1, 1), (2, 1, 2, 2), (3, 1, 1, 1), (4, 1, 2, 1), (2, 2, 1, 1)]
    assert prober.sorted == [{1: 1, 2: 5}, {1: 1, 2: 1}, {1: 1}]
    (closed,) = bench.happened(events.LotClosed)
    assert (closed.tested, closed.good, closed.accounts) == (4, 4, {"good": 4})
    assert bench.cell.retested == 1


@virtual
async def test_another_site_meets_the_die_before_the_wafer_goes_on(tmp_path: Path) -> None:
    retest = Retest(frozenset({CONTACT}), other_site=True, times=3)
    bench = Bench(tmp_path, plan(retest, 9.0, 0.5, 9.0, 0.5, 0.5), [frozenset({1, 2})] * 2)
    bench.use(prober := Prober(4))
    prober.due = lambda wafer, *, used_up: {}  # the lot puts its own in
    assert await bench.run() == "CLOSED"
    assert prober.landed[:2] == [{1: (0, 0), 2: (1, 0)}, {2: (0, 0)}]
    assert prober.barred[0] == {(0, 0): frozenset({1})}
    assert prober.barred[1:] == [{(0, 0): frozenset({1, 2})}] * 2, "both have met it"
    assert seen(bench)[2] == (1, 2, 2, 2)
    (closed,) = bench.happened(events.LotClosed)
    assert closed.accounts == {"good": 3, "rejected in bin 5": 1}


def result(bin_: Bin, *, part: int = 1, site: int = 1, contact: int = 1) -> DeviceResult:
    verdict = Verdict.PASSED if bin_.good else Verdict.FAILED
    return DeviceResult(site, part, contact, bin_, verdict, (), 0.0, 0.0)


def test_a_bin_that_other_sites_confirm_is_not_retested_any_more() -> None:
    watch = RetestWatch(retest := Retest(frozenset({CONTACT, BAD}), other_site=True, confirm=3))
    late = LateRetests(retest, watch)
    for part in range(1, 5):
        late.sorted(_on(part), {1: result(CONTACT, part=part)})
    assert len(late.due(WAFER, used_up=False, out=frozenset())) == 4
    confirm, recover = (result(bin_, site=2, contact=2) for bin_ in (CONTACT, GOOD))
    course = [confirm, confirm, recover, confirm, confirm, confirm]
    said = [list(watch.again(result(CONTACT), after)) for after in course]
    assert [len(one) for one in said] == [0, 0, 0, 0, 0, 1]
    assert said[-1] == [
        ("retest off", "bin 2 contact: 3 in a row have failed at another site too, its retest stops")
    ]
    assert late.due(WAFER, used_up=True, out=frozenset()) == {}
    assert not late.pending
    assert watch.wants(result(BAD)), "the others go on"
    watch.restart()
    assert watch.wants(result(CONTACT))


def _on(x: int) -> Touchdown:
    return Touchdown(frozenset({1}), positions={1: (x, 0)}, wafer=WAFER)


def test_what_is_due_leaves_out_sites_that_are_off_and_what_has_come_often_enough() -> None:
    retest = Retest(frozenset({CONTACT}), other_site=True, times=2)
    late = LateRetests(retest, RetestWatch(retest))
    late.sorted(_on(1), {1: result(CONTACT)})
    assert late.due(WAFER, used_up=False, out=frozenset({3})) == {(1, 0): frozenset({1, 3})}
    assert late.due("W2", used_up=True, out=frozenset()) == {}
    late.sorted(
        Touchdown(frozenset({2}), positions={2: (1, 0)}, wafer=WAFER), {2: result(CONTACT, site=2, contact=2)}
    )
    assert late.due(WAFER, used_up=False, out=frozenset()) == {(1, 0): frozenset({1, 2})}
    late.sorted(_on(1), {1: result(CONTACT, contact=3)})
    assert late.due(WAFER, used_up=False, out=frozenset()) == {}
    (kept,) = late.met(_on(1)).values()
    assert (kept.last.contact, late.strangers([kept])) == (3, [1])
    late.restart("W2")
    assert late.met(_on(1)) == {}


@virtual
async def test_a_handler_that_reads_codes_brings_them_at_the_end_of_the_lot(tmp_path: Path) -> None:
    retest = Retest(frozenset({CONTACT}), at_end=True)
    bench = Bench(tmp_path, plan(retest, 0.5, 9.0, 9.0, 0.5, 0.5, 9.0), [frozenset({1})] * 4)
    bench.use(Reader(["a", "b", "c", "d"], ["c", "b"]))
    assert await bench.run() == "CLOSED"
    assert seen(bench)[4:] == [(3, 2, 1, 1), (2, 2, 1, 2)]
    assert bench.happened(events.TouchdownOpened)[-1].ids == {1: "b"}
    (closed,) = bench.happened(events.LotClosed)
    assert closed.accounts == {"good": 3, "rejected in bin 5": 1}


@virtual
async def test_a_code_that_was_read_before_holds_the_lot(tmp_path: Path) -> None:
    retest = Retest(frozenset({CONTACT}), at_end=True)
    bench = Bench(tmp_path, plan(retest, 0.5, 0.5, 0.5), [frozenset({1})] * 3)
    bench.use(Reader(["a", "b", "a"], []))
    assert await bench.run() == "HELD"
    assert bench.cell.reason == "devices 1 had their bins and come again: none is tested"
    assert len(seen(bench)) == 2


def test_what_a_machine_can_do() -> None:
    late, elsewhere = (Retest(frozenset({BAD}), at_end=True, other_site=other) for other in (False, True))
    bins = (GOOD, BAD, OTHER_BAD)
    prober, handler = Prober(1), Reader([], [])
    assert cannot_bring_again(Retest(frozenset({BAD})), bins, ScriptedHandler([])) == ""
    assert cannot_bring_again(elsewhere, bins, prober) == ""
    contact = Retest(frozenset({CONTACT}), at_end=True)
    assert cannot_bring_again(contact, (GOOD, CONTACT), handler) == ""
    assert "brings 5" in cannot_bring_again(late, bins, handler)
    again = Retest(frozenset({CONTACT}), other_site=True)
    assert "picks the site of a device itself" in cannot_bring_again(again, (GOOD, CONTACT), handler)
    sharing = Bin(9, "like contact", CONTACT.hard)
    assert "hold like contact too" in cannot_bring_again(contact, (CONTACT, sharing), handler)


@pytest.mark.parametrize("kept", [Kept(result(GOOD), frozenset({1}))])
def test_what_a_stopped_station_knew_is_known_again(kept: Kept) -> None:
    retest = Retest(frozenset({CONTACT}), at_end=True)
    late = LateRetests(retest, RetestWatch(retest))
    rejected = Kept(result(CONTACT, part=2), frozenset({2}))
    late.recall([((WAFER, 4, 0), kept), ((WAFER, 5, 0), rejected), (("W0", 1, 0), rejected)])
    assert late.due(WAFER, used_up=True, out=frozenset()) == {(5, 0): frozenset()}
    assert late.met(_on(4)) == {1: kept}
