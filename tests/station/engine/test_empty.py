"""What is measured before a lot, with nothing in contact: it holds the lot, and a technician may answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import DutError, EquipmentError
from station import commands, events
from station.custody.journal import read
from station.engine.states import State
from station.errors import SequenceError
from station.model import Limit
from station.sequence import Functional, Parametric, Retry, Sequence
from tests.station.engine.doubles import BAD, EN, OP, TE, Bench, BenchSite, returning, sequence, virtual
from tests.station.engine.test_beginning import Attended
from tests.virtually import virtually

OPEN = Limit(-1e-6, 1e-6, "A")
TWO = [frozenset({1, 2})]


@asynccontextmanager
async def powered(site: BenchSite) -> AsyncGenerator[None, None]:
    site.seen.append("on")
    try:
        yield
    finally:
        site.seen.append("off")


async def pins_open(site: BenchSite) -> float:
    """A device is left in the socket of site 2."""
    async with powered(site):
        return 0.1 if site.number == 2 else 0.0


async def board_checked(site: BenchSite) -> bool:
    return bool(site.seen)


ROWS = Parametric(10, pins_open, OPEN), Functional(11, board_checked)


def empties(*rows: Any) -> Sequence[BenchSite]:
    return replace(sequence(returning(1.0)), empty=rows)


@virtual
async def test_what_was_left_in_a_socket_holds_the_lot_until_a_technician_answers(tmp_path: Path) -> None:
    bench = Bench(tmp_path, empties(*ROWS), TWO)
    async with Attended(bench) as lot:
        await lot.ask(commands.Check)
        await lot.until(State.HELD)
        why = "empty contacts: site 2: 10 pins_open: 0.1 A, allowed -1e-06 .. 1e-06"
        assert bench.cell.reason == why
        assert [site.seen for site in bench.sites.values()] == [["on", "off"], ["on", "off"]]
        assert (await lot.ask(commands.Waive, OP, check="empty contacts", reason="x")).code == "denied"
        assert (await lot.ask(commands.Waive, TE, check="empty contacts", reason="looked")).ok
        assert (await lot.ask(commands.Release, EN, reason="looked")).ok
        await lot.until(State.LOADED)
        await lot.ask(commands.Start)
        await lot.until(State.CLOSED)
    happened = list(read(bench.path))
    (told,) = [one for one in happened if isinstance(one, events.RuleTripped)]
    assert (told.rule, told.action, told.seen) == ("empty contacts", "waived", why)
    for landed in bench.store.landings:
        assert {m.test for one in landed.devices for m in one.measurements} == {1}


@virtual
async def test_the_lot_begins_without_the_site_at_which_it_fails(tmp_path: Path) -> None:
    bench = Bench(tmp_path, empties(*ROWS), TWO)
    async with Attended(bench) as lot:
        await lot.ask(commands.Start)
        await lot.until(State.HELD)
        assert (await lot.ask(commands.SetSite, TE, site=2, on=False, reason="a pin is bent")).ok
        assert (await lot.ask(commands.Release, TE, reason="without site 2")).ok
        await lot.until(State.LOADED)
        await lot.ask(commands.Start)
        await lot.until(State.CLOSED)
    assert bench.sites[2].seen == ["on", "off"], "what is off is not looked at again"
    told = [one for one in read(bench.path) if isinstance(one, events.CheckTold)]
    assert [(one.check, one.health, one.sites) for one in told] == [
        ("empty contacts", "bad", (2,)),
        ("empty contacts", "ok", ()),
    ]
    (landed,) = bench.store.landings
    assert {one.site: one.bin.name for one in landed.devices} == {1: "good", 2: "untested"}


@virtual
async def test_with_nothing_in_contact_the_lot_is_ready(tmp_path: Path) -> None:
    bench = Bench(tmp_path, empties(replace(ROWS[0], limit=Limit(None, 1.0, "A")), ROWS[1]), TWO)
    async with Attended(bench) as lot:
        await lot.ask(commands.Check)
        await lot.until(State.READY)
        assert [len(site.seen) for site in bench.sites.values()] == [2, 2]
        await lot.ask(commands.Start)
        await lot.until(State.CLOSED)


async def mute(site: BenchSite) -> bool:
    raise DutError(f"no answer at {site.number}")


async def endless(site: BenchSite) -> bool:
    async with powered(site):
        await asyncio.sleep(1e6)
    return True


async def broken(site: BenchSite) -> bool:
    raise EquipmentError(f"dmm-{site.number}: no answer")


async def wrong(site: BenchSite) -> bool:
    raise KeyError(site.number)


async def no(site: BenchSite) -> bool:
    return site.number == 1


@pytest.mark.parametrize(
    ("row", "why", "answered"),
    [
        (mute, "site 1: 10 mute: no answer at 1; site 2: 10 mute: no answer at 2", True),
        (endless, "site 1: 10 endless: not done within 5 s; site 2: 10 endless: not done within 5 s", True),
        (no, "site 2: 10 no: failed", True),
        (broken, "site 1: 10 broken: dmm-1: no answer; empty contacts: site 2:", False),
        (wrong, "site 1: 10 wrong: KeyError: 1; empty contacts: site 2:", False),
    ],
)
def test_what_cannot_be_told_is_nobodys_to_answer_for(
    tmp_path: Path, row: Any, why: str, *, answered: bool
) -> None:
    virtually(answering(tmp_path, row, why, answered=answered))


async def answering(tmp_path: Path, row: Any, why: str, *, answered: bool) -> None:
    bench = Bench(tmp_path, empties(Functional(10, row)), TWO)
    async with Attended(bench) as lot:
        await lot.ask(commands.Waive, TE, check="empty contacts", reason="looked")
        await lot.ask(commands.Start)
        await lot.until(State.CLOSED if answered else State.HELD)
        seen = [one.seen for one in read(bench.path) if isinstance(one, events.RuleTripped)]
        assert f"empty contacts: {why}" in (seen[0] if answered else bench.cell.reason)


@virtual
async def test_an_abort_switches_off_what_is_being_measured(tmp_path: Path) -> None:
    bench = Bench(tmp_path, empties(Functional(10, endless, timeout_s=1e5)), TWO)
    async with Attended(bench) as lot:
        await lot.ask(commands.Start)
        await lot.until(State.CHECKING)
        await asyncio.sleep(1.0)
        assert [site.seen for site in bench.sites.values()] == [["on"], ["on"]]
        await lot.ask(commands.Abort)
        await lot.until(State.ABORTED)
        assert [site.seen for site in bench.sites.values()] == [["on", "off"], ["on", "off"]]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ((ROWS[1], ROWS[0]), "their numbers must rise"),
        ((replace(ROWS[1], retry=Retry(1)),), "a row of empty has number, function, limit and timeout_s"),
        ((replace(ROWS[1], bin=BAD),), "a row of empty has number, function, limit and timeout_s"),
        ((replace(ROWS[1], timeout_s=0.0),), "timeout_s must be above 0"),
    ],
)
def test_rows_that_are_refused(rows: Any, says: str) -> None:
    with pytest.raises(SequenceError, match=says):
        empties(*rows)


def test_they_are_part_of_the_fingerprint() -> None:
    plain = sequence(returning(1.0))
    assert empties(*ROWS).fingerprint() != plain.fingerprint()
    assert empties().fingerprint() == plain.fingerprint()
