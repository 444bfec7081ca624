"""Who lets a held lot go on: what holds it decides, and of a secure product two persons do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from station import commands, events
from station.custody.journal import read
from station.engine.states import State
from station.engine.stops import Cause
from station.errors import CustodyError
from station.model import Limit
from station.rules import StopRules
from tests.station.engine.doubles import EN, OP, TE, Bench, returning, sequence
from tests.station.engine.test_holds import Vault, until

SO = frozenset({"security-officer"})
ALL_FAIL = sequence(returning(9.0, limit=Limit(0.0, 1.0, "V")), rules=StopRules(all_sites=2))
LOCKED = sequence(returning(CustodyError("vault gone")))
Persons = Mapping[str, frozenset[str]]


def release(persons: Persons) -> commands.Release:
    """Those who want it, the first one first."""
    (actor, roles), *others = persons.items()
    second, second_roles = others[0] if others else ("", frozenset[str]())
    return commands.Release(
        id=f"release by {persons}",
        actor=actor,
        roles=roles,
        second=second,
        second_roles=second_roles,
        reason="looked at it",
    )


@pytest.mark.parametrize(
    ("table", "vault", "cause", "tries"),
    [
        (ALL_FAIL, None, Cause.YIELD, [({"t": TE}, "denied"), ({"s": SO}, "denied"), ({"e": EN}, "ok")]),
        (
            ALL_FAIL,
            Vault(""),
            Cause.YIELD,
            [
                ({"t": TE}, "denied"),
                ({"e": EN}, "dual_pending"),
                ({"e": EN, "t": TE}, "dual_pending"),
                ({"e": EN, "s": SO}, "dual_pending"),
                ({"e": EN, "f": EN}, "ok"),
            ],
        ),
        (
            LOCKED,
            None,
            Cause.CUSTODY,
            [({"e": EN}, "denied"), ({"s": SO}, "dual_pending"), ({"s": SO, "r": SO}, "ok")],
        ),
    ],
    ids=["yield", "yield of a secure product", "custody"],
)
async def test_what_holds_a_lot_decides_who_releases_it(
    tmp_path: Path, table: Any, vault: Vault | None, cause: Cause, tries: list[tuple[Persons, str]]
) -> None:
    bench = Bench(tmp_path, table, [frozenset({1, 2})] * 3, vault)

    async def persons() -> None:
        await until(bench, State.HELD)
        for who, code in tries:
            assert bench.cell.state is State.HELD
            assert (await bench.cell.request(release(who))).code == code, who
        await until(bench, State.PAUSED)
        assert (await bench.cell.request(commands.End(id="end", actor="op", roles=OP))).ok

    assert await bench.run(persons(), unattended=False) == "CLOSED"
    held = next(one for one in bench.happened(events.StateChanged) if one.new == "HELD")
    assert held.cause == cause
    assert len(held.takes) == len(tries[-1][0])
    accepted = [one for one in bench.happened(events.CommandAccepted) if one.command == "hold.release"]
    assert [(one.actor, one.second) for one in accepted] == [((*tries[-1][0], "")[0], (*tries[-1][0], "")[1])]


async def test_one_person_is_not_two(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ALL_FAIL, [frozenset({1, 2})] * 3, Vault(""))

    async def alone() -> None:
        await until(bench, State.HELD)
        twice = commands.Release(
            id="r", actor="e", roles=EN, second="e", second_roles=EN, reason="both of me"
        )
        assert (await bench.cell.request(twice)).code == "dual_pending"
        await bench.cell.request(commands.Abort(id="a", actor="op"))

    assert await bench.run(alone(), unattended=False) == "ABORTED"


async def held_in(bench: Bench) -> int:
    """Wait for a hold that is journalled; return the line."""
    async for event in bench.bus.subscribe():
        if isinstance(event, events.StateChanged) and event.new == State.HELD.value:
            return 1 + list(read(bench.path)).index(event)
    raise AssertionError("it was not held")


SEEN: dict[str, tuple[str, int]] = {
    "another lot": ("L2", 0),
    "another hold": ("", 1),
    "this one": ("L", 0),
    "nothing": ("", 0),
}


@pytest.mark.parametrize("seen", SEEN)
async def test_consent_to_another_lot_or_hold_is_refused(tmp_path: Path, seen: str) -> None:
    bench = Bench(tmp_path, ALL_FAIL, [frozenset({1, 2})] * 3)
    lot, line = SEEN[seen]
    legal = seen in ("this one", "nothing")

    async def persons() -> None:
        line_of_hold = await held_in(bench)
        saw = line_of_hold if seen == "this one" else line
        asked = msgspec.structs.replace(release({"e": EN}), lot=lot, line=saw)
        receipt = await bench.cell.request(asked)
        assert (receipt.ok, receipt.code) == ((True, "ok") if legal else (False, "wrong_state"))
        await bench.cell.request(commands.Abort(id="a", actor="op"))

    assert await bench.run(persons(), unattended=False) == "ABORTED"
