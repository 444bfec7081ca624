"""A lot before its first touchdown: checked, held by its checks, put back; and one that cannot be closed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from station import commands, events
from station.clock import RealClock
from station.custody.balance import Binned
from station.custody.journal import read
from station.engine.plan import Examined
from station.engine.states import State
from station.errors import CustodyError
from station.vault_answers import LotClosing, Quota
from tests.station.engine.doubles import EN, OP, TE, Bench, returning, sequence, virtual

ONE = [frozenset({1})]
OFFICER = frozenset({"security-officer"})


class Attended:
    """A lot with persons beside it."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self._count = bench, 0

    async def __aenter__(self) -> "Attended":
        data = {"lot": "L", "quantity": self.bench.quantity, **self.bench.traveller}
        assert (await self.ask(commands.Load, **data)).ok
        self._run = asyncio.create_task(self.bench.cell.run_lot(unattended=False))
        return self

    async def __aexit__(self, *error: object) -> None:
        if not self._run.done():
            await self.ask(commands.Abort)
        await asyncio.wait([self._run], timeout=60)
        assert self._run.done()
        await self.bench.cell.aclose()

    async def ask(self, kind: Any, roles: frozenset[str] = OP, **more: Any) -> commands.Receipt:
        self._count += 1
        command = kind(id=f"c-{self._count}", actor=f"p-{self._count}", roles=roles, **more)
        receipt: commands.Receipt = await self.bench.cell.request(command)
        return receipt

    async def until(self, *states: State) -> None:
        """Wait for a state; what waits on the virtual loop costs nothing."""
        for _ in range(6000):
            if self.bench.cell.state in states:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.bench.cell.state}, not {states}: {self.bench.cell.reason}")

    def states(self) -> list[str]:
        return [e.new for e in read(self.bench.path) if isinstance(e, events.StateChanged)]


@virtual
async def test_a_checked_lot_is_ready_and_not_checked_again(tmp_path: Path) -> None:
    bench, examined = Bench(tmp_path, sequence(returning(1.0)), ONE), list[float]()

    def examine(at: float) -> Examined:
        examined.append(at)
        return Examined()

    bench.alter(lambda plan: replace(plan, examine=examine))
    async with Attended(bench) as lot:
        assert (await lot.ask(commands.Check)).ok
        await lot.until(State.READY)
        assert (await lot.ask(commands.SetSite, EN, site=1, on=True, reason="x")).code == "bad_arguments"
        assert (await lot.ask(commands.Start)).ok
        await lot.until(State.CLOSED)
    assert len(examined) == 1
    assert lot.states()[:5] == ["LOADED", "CHECKING", "READY", "CHECKING", "RUNNING"]


@virtual
async def test_checks_that_are_old_are_made_again(tmp_path: Path) -> None:
    bench, examined = Bench(tmp_path, sequence(returning(1.0)), ONE), list[float]()

    def examine(at: float) -> Examined:
        examined.append(at)
        return Examined()

    later = Later()
    bench.alter(lambda plan: replace(plan, examine=examine, clock=later))
    async with Attended(bench) as lot:
        await lot.ask(commands.Check)
        await lot.until(State.READY)
        later.by = 12 * 3600.0 + 1
        await lot.ask(commands.Start)
        await lot.until(State.CLOSED)
    assert len(examined) == 2


class Later:
    """A clock that can be put on."""

    def __init__(self) -> None:
        self._clock, self.by = RealClock(), 0.0

    def unix(self) -> float:
        return self._clock.unix() + self.by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)


@virtual
async def test_a_check_that_fails_holds_the_lot_until_it_is_released_and_put_back(tmp_path: Path) -> None:
    await held_by_a_check(tmp_path, commands.Check)


@virtual
async def test_so_do_the_checks_of_a_start(tmp_path: Path) -> None:
    await held_by_a_check(tmp_path, commands.Start)


async def held_by_a_check(tmp_path: Path, kind: Any) -> None:
    bench, wrong = Bench(tmp_path, sequence(returning(1.0)), ONE), ["smu: other serial number"]
    bench.alter(lambda plan: replace(plan, examine=lambda at: Examined(wrong=tuple(wrong))))
    async with Attended(bench) as lot:
        await lot.ask(kind)
        await lot.until(State.HELD)
        assert bench.cell.reason == "smu: other serial number"
        refused = await lot.ask(commands.End)
        assert (refused.code, "unload it" in refused.reason) == ("wrong_state", True)
        refused = await lot.ask(commands.Close, EN, reason="x")
        assert refused.code == "wrong_state"
        assert (await lot.ask(commands.Release, EN, reason="changed")).ok
        await lot.until(State.LOADED)
        wrong.clear()
        assert (await lot.ask(commands.Check)).ok
        await lot.until(State.READY)
        assert (await lot.ask(commands.Unload)).ok
        await lot.until(State.EMPTY)
    assert lot.states()[-1] == "EMPTY"
    assert bench.handler.sorted == []


@virtual
async def test_a_paused_lot_is_checked_where_it_rests(tmp_path: Path) -> None:
    bench, wrong = Bench(tmp_path, sequence(returning(1.0)), ONE * 3), list[str]()
    bench.alter(lambda plan: replace(plan, examine=lambda at: Examined(wrong=tuple(wrong))))
    paused = False

    def pause() -> None:
        nonlocal paused
        if not paused:
            paused = True
            asking.append(asyncio.create_task(lot.ask(commands.Pause)))

    asking = list["asyncio.Task[commands.Receipt]"]()
    bench.handler.before_sort = pause
    async with Attended(bench) as lot:
        await lot.ask(commands.Start)
        await lot.until(State.PAUSED)
        assert (await lot.ask(commands.Check)).ok
        await lot.until(State.CHECKING)
        await lot.until(State.PAUSED)
        wrong.append("smu: other serial number")
        await lot.ask(commands.Check)
        await lot.until(State.HELD)
        wrong.clear()
        assert (await lot.ask(commands.Release, EN, reason="put back")).ok
        await lot.until(State.PAUSED)
        await lot.ask(commands.Check)
        assert (await lot.ask(commands.Resume)).code in ("ok", "wrong_state")  # it may be at its check
        await lot.until(State.PAUSED, State.CLOSED)
        await lot.ask(commands.Resume)
        await lot.until(State.CLOSED)
    assert len(bench.handler.sorted) == 3


@virtual
async def test_a_closed_lot_is_put_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    async with Attended(bench) as lot:
        assert (await lot.ask(commands.Unload, frozenset({"auditor"}))).code == "denied"
        await lot.ask(commands.Start)
        await lot.until(State.CLOSED)
        assert (await lot.ask(commands.Unload)).ok
        assert bench.cell.state is State.EMPTY
    assert lot.states()[-1] == "CLOSED"  # of the lot itself nothing changes


class Vault:
    """One that does not agree with where devices went."""

    def __init__(self) -> None:
        self.disagrees = "unit L/1 is in no bin that the station claims"
        self.asked = 0

    async def open_lot(self, lot: str, *, product: str, quantity: int, sorts: bool) -> Quota | None:
        del lot, product, quantity, sorts
        return None

    async def ask_unit(self, unit: str) -> Any:
        raise AssertionError(unit)

    async def claim(self, lot: str, binned: Sequence[Binned]) -> None:
        del lot, binned
        self.asked += 1
        if self.disagrees:
            raise CustodyError(self.disagrees)

    async def close_lot(self, lot: str) -> LotClosing:
        del lot
        return LotClosing({})


@virtual
async def test_a_lot_that_cannot_be_closed_is_closed_when_it_can(tmp_path: Path) -> None:
    vault = Vault()
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE, vault)
    async with Attended(bench) as lot:
        await lot.ask(commands.Start)
        await lot.until(State.HELD)
        assert (await lot.ask(commands.End)).code == "wrong_state"
        vault.disagrees = ""
        receipt = await lot.ask(commands.Release, OFFICER, reason="x", second="o-2", second_roles=OFFICER)
        assert receipt.ok, receipt
        await lot.until(State.CLOSED)
    assert vault.asked == 2
    assert lot.states()[-4:] == ["CLOSING", "HELD", "CLOSING", "CLOSED"]
    assert not [e for e in read(bench.path) if isinstance(e, events.BalanceSigned)]


@virtual
async def test_two_engineers_sign_for_a_difference(tmp_path: Path) -> None:
    vault = Vault()
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE, vault)
    async with Attended(bench) as lot:
        await lot.ask(commands.Start)
        await lot.until(State.HELD)
        assert (await lot.ask(commands.Close, EN)).code == "bad_arguments"
        assert (await lot.ask(commands.Close, EN, reason="counted")).code == "dual_pending"
        assert (await lot.ask(commands.Close, OP, reason="counted")).code == "denied"
        both = {"second": "p-9", "second_roles": EN}
        assert (await lot.ask(commands.Close, EN, reason="counted", **both)).ok
        await lot.until(State.CLOSED)
    history = list(read(bench.path))
    (signed,) = [e for e in history if isinstance(e, events.BalanceSigned)]
    assert (signed.difference, signed.second, signed.reason) == (vault.disagrees, "p-9", "counted")
    (closed,) = [e for e in history if isinstance(e, events.LotClosed)]
    assert closed.outcome == "FAILED"


# -- what somebody answers for
@virtual
async def test_data_that_differ_hold_the_lot_until_an_engineer_answers(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    bench.alter(lambda plan: replace(plan, assets=("card-7",)))
    bench.traveller = {"product": "q", "card": "card-8"}
    async with Attended(bench) as lot:
        await lot.ask(commands.Check)
        await lot.until(State.HELD)
        assert bench.cell.reason == (
            "the traveller says q, this cell tests p; the traveller says card-8, this cell has card-7"
        )
        assert (await lot.ask(commands.Waive, TE, check="lot data", reason="x")).code == "denied"
        assert (await lot.ask(commands.Waive, EN, check="lot data")).code == "bad_arguments"
        assert (await lot.ask(commands.Waive, EN, check="lot data", reason="relabelled")).ok
        assert (await lot.ask(commands.Release, EN, reason="looked")).ok
        await lot.until(State.LOADED)
        await lot.ask(commands.Start)
        await lot.until(State.CLOSED)
    (text,) = bench.file.texts
    assert text.startswith("check lot data waived by p-")
    assert text.endswith(": relabelled")
    assert bench.store.texts == [text]
    (tripped,) = [e for e in read(bench.path) if isinstance(e, events.RuleTripped)]
    assert (tripped.rule, tripped.action) == ("lot data", "waived")


@virtual
async def test_a_technician_answers_for_a_previous_lot_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    left = {"previous lot": "L0 (ABORTED) is open", "golden": "they were out of tolerance"}
    bench.alter(lambda plan: replace(plan, examine=lambda at: Examined(waivable=left)))
    async with Attended(bench) as lot:
        assert (await lot.ask(commands.Waive, TE, check="golden", reason="x")).code == "denied"
        assert (await lot.ask(commands.Waive, TE, check="previous lot", reason="sockets are empty")).ok
        await lot.ask(commands.Start)
        await lot.until(State.HELD)
        assert bench.cell.reason == "they were out of tolerance"
        assert (await lot.ask(commands.Waive, EN, check="golden", reason="for a trial")).ok
        await lot.ask(commands.Release, EN, reason="looked")
        await lot.until(State.LOADED)
        await lot.ask(commands.Start)
        await lot.until(State.CLOSED)
    assert len(bench.file.texts) == 2
