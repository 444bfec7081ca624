"""What is said while no cell takes it: kept, told, once; and refused as anywhere else."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from station import commands, events
from station.alarms import Alarms
from station.between import NAME, WORKS, Between, between
from station.custody.journal import read
from station.door import Door
from station.engine.states import State
from station.errors import StorageError

NOW = 1_795_335_000.0
OP = frozenset({"operator"})


@pytest.fixture
async def notes(tmp_path: Path) -> AsyncGenerator[Between, None]:
    async with between(tmp_path, lambda: NOW) as made:
        yield made


def why(name: str = "1", **more: Any) -> commands.Reason:
    said: dict[str, Any] = {"actor": "p-1", "roles": OP, "reason": "card change", "state": "SDT"}
    return commands.Reason(id=name, **said | more)


def door(notes: Between) -> Door:
    """A station whose last lot raised one alarm."""
    made = Door()
    made.between = notes
    alarms = Alarms()
    alarms.begin("L1")
    alarms.take(7, events.Faulted(at=NOW, site=1, reason="mute"))
    made._past.append(alarms)  # noqa: SLF001 - as when the lot has left
    return made


async def test_a_reason_between_lots_is_kept_and_told(tmp_path: Path, notes: Between) -> None:
    heard = list[tuple[int, events.Any]]()
    notes.heard.append(lambda line, event: heard.append((line, event)))
    assert (await door(notes).request(why())).ok
    kept: list[Any] = list(read(tmp_path / NAME))
    assert heard == list(enumerate(kept, start=1))
    accepted, given = kept
    assert (accepted.command, accepted.actor, accepted.roles) == ("e10.set", "p-1", ("operator",))
    assert (given.state, given.reason, given.actor) == ("SDT", "card change", "p-1")


async def test_what_is_done_is_kept_though_whoever_asked_waits_no_more(
    tmp_path: Path, notes: Between
) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def slow(command: WORKS) -> tuple[commands.Receipt, events.Any | None]:
        begun.set()
        await over.wait()
        return commands.Receipt(ok=True, code="ok"), None

    notes.work = slow
    test = commands.Test(id="t-1", actor="p-1", roles=OP)
    asking = asyncio.ensure_future(notes.request(test))
    await begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    over.set()
    assert (await notes.request(test)).ok
    kept: list[Any] = list(read(tmp_path / NAME))
    assert [one.id for one in kept] == ["t-1"]


async def test_no_work_is_begun_behind_a_lot(notes: Between) -> None:
    made = door(notes)
    notes.work = made.work
    made.expect()
    refused = await notes.request(commands.Test(id="t-1", actor="p-1", roles=OP))
    assert (refused.ok, refused.code) == (False, "wrong_state")


async def test_the_same_id_has_one_effect_also_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        async with between(tmp_path, lambda: NOW) as notes:
            assert (await notes.request(why())).ok
            assert (await notes.request(why(reason="another"))).ok
    assert len(list(read(tmp_path / NAME))) == 2


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (why(roles=frozenset()), "denied"),
        (why(reason=""), "bad_arguments"),
        (commands.Acknowledge(id="2", actor="p", roles=OP, alarm="L1/8"), "not_found"),
        (commands.Shelve(id="3", actor="p", roles=OP, alarm="L1/7", minutes=5, reason="x"), "denied"),
    ],
    ids=["no role", "no reason", "no alarm", "no technician"],
)
async def test_a_refusal_is_kept_too(
    tmp_path: Path, notes: Between, command: commands.Any, code: str
) -> None:
    receipt = await door(notes).request(command)
    assert (receipt.ok, receipt.code) == (False, code)
    refused: Any
    (refused,) = read(tmp_path / NAME)
    assert (refused.id, refused.code) == (command.id, code)


async def test_alarms_of_lots_that_are_over_are_acknowledged_here(tmp_path: Path, notes: Between) -> None:
    seen = commands.Acknowledge(id="4", actor="p-1", roles=OP, alarm="L1/7")
    assert (await door(notes).request(seen)).ok
    assert [e.alarm for e in read(tmp_path / NAME) if isinstance(e, events.Acknowledged)] == ["L1/7"]


async def test_a_station_without_such_a_journal_says_that_nobody_takes_it() -> None:
    made = Door()
    assert made.state is State.EMPTY
    assert (await made.request(why())).code == "wrong_state"


async def test_a_journal_that_was_changed_is_not_opened(tmp_path: Path) -> None:
    async with between(tmp_path, lambda: NOW) as notes:
        await notes.request(why())
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes().replace(b"card change", b"card chance"))
    with pytest.raises(StorageError, match="does not follow"):
        async with between(tmp_path, lambda: NOW):
            pass


async def test_the_logs_that_have_ended_are_known_after_a_restart(tmp_path: Path) -> None:
    async with between(tmp_path, lambda: NOW) as notes:
        for origin in ("o", "o", "p", "q"):
            await notes.tell(events.LedgerHead(at=NOW, origin=origin, size=9, root="ab"))
    async with between(tmp_path, lambda: NOW) as notes:
        assert (notes.told_of, notes.ended) == (("q", 8), {"o", "p"})


async def test_what_the_vault_told_is_kept_and_can_be_seen(tmp_path: Path) -> None:
    told = events.VaultTold(at=NOW, what="rate.unusual", scope="line", why="w", origin="o", leaf=5)
    async with between(tmp_path, lambda: NOW) as notes:
        assert notes.told_of == ("", -1)
        await notes.tell(told)
        await notes.tell(events.LedgerHead(at=NOW, origin="o", size=9, root="ab"))
    async with between(tmp_path, lambda: NOW) as notes:
        assert notes.told_of == ("o", 8)
        (alarm,) = notes.alarms.all
        seen = commands.Acknowledge(id="9", actor="p-1", roles=OP, alarm=alarm.id)
        assert (await door(notes).request(seen)).ok
        assert notes.alarms.all[0].acknowledged == "p-1"
    assert [type(event).__name__ for event in read(tmp_path / NAME)][-1] == "Acknowledged"
