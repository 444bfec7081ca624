"""What becomes of a device at its Personalise row: spoiled from intent until sealed."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import DutError, EquipmentError
from station import commands, events
from station.custody.balance import balance_of
from station.custody.journal import Journal, read
from station.errors import CustodyError
from station.model import Disposition, Limit, Personalisation
from station.sequence import CONTINUE, Die, Parametric, Personalise, Retest
from station.vault.client import VaultRefusedError
from tests.station.engine.doubles import BAD, ERROR, GOOD, SPOILED, Bench, BenchSite, returning, sequence

ONE = [frozenset({1})]


@dataclass
class Vault:
    """Gives the verdict it was told to give."""

    outcome: Any
    began: asyncio.Event | None = None
    go: asyncio.Event | None = None

    async def personalise(self, site: BenchSite, die: Die) -> Personalisation:
        assert die.unit.startswith("L/")
        if self.began is not None and self.go is not None:
            self.began.set()
            await self.go.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return Personalisation(self.outcome, uid=b"\x01" * 16)


REFUSED = VaultRefusedError(Personalisation(Disposition.UNTOUCHED, error=103, detail="order exhausted"))


@pytest.mark.parametrize(
    ("outcome", "bin_", "state"),
    [
        (Disposition.SEALED, GOOD, "CLOSED"),
        (Disposition.UNTOUCHED, ERROR, "CLOSED"),
        (Disposition.RETRY, ERROR, "CLOSED"),
        (Disposition.REJECT_HELD, SPOILED, "CLOSED"),
        (Disposition.QUARANTINE, SPOILED, "CLOSED"),
        (DutError("mute"), SPOILED, "CLOSED"),
        (EquipmentError("reader gone"), SPOILED, "CLOSED"),
        (CustodyError("vault gone"), SPOILED, "HELD"),
        (REFUSED, ERROR, "HELD"),
    ],
)
async def test_a_device_is_spoiled_from_intent_until_sealed(
    tmp_path: Path, outcome: Any, bin_: Any, state: str
) -> None:
    row = Personalise(9, Vault(outcome).personalise, bin=SPOILED)
    retest = Retest(frozenset({BAD}), times=1)
    bench = Bench(tmp_path, sequence(returning(1.0), row, retest=retest), ONE)
    assert await bench.run() == state
    assert bench.handler.sorted == [{1: bin_.hard}]
    order = [type(e).__name__ for e in bench.history]
    assert order.index("Intended") < order.index("PersonalisationEnded") < order.index("ContactsClosed")
    assert balance_of(read(bench.path)).spoiled(1) is (bin_ is SPOILED)


async def test_only_a_device_that_passed_everything_is_personalised(tmp_path: Path) -> None:
    vault = Vault(Disposition.SEALED)
    failing = Parametric(1, returning(9.0).run, Limit(0, 1, "V"), bin=BAD, on_fail=CONTINUE)
    bench = Bench(tmp_path, sequence(failing, Personalise(9, vault.personalise, bin=SPOILED)), ONE)
    assert await bench.run() == "CLOSED"
    assert bench.handler.sorted == [{1: BAD.hard}]
    assert bench.happened(events.Intended) == []


async def test_an_abort_waits_for_a_personalisation_under_way(tmp_path: Path) -> None:
    vault = Vault(Disposition.SEALED, asyncio.Event(), asyncio.Event())
    bench = Bench(tmp_path, sequence(returning(1.0), Personalise(9, vault.personalise, bin=SPOILED)), ONE)

    async def operator() -> None:
        assert vault.began is not None and vault.go is not None
        await vault.began.wait()
        await bench.cell.request(commands.Abort(id="a", actor="op"))
        await asyncio.sleep(0)
        vault.go.set()

    assert await bench.run(operator()) == "ABORTED"
    balance = balance_of(read(bench.path))
    assert balance.sealed(1) and not balance.spoiled(1)
    assert bench.handler.sorted == []


def stuck() -> tuple[Vault, Personalise[BenchSite]]:
    """A vault that does not come to a verdict, and its row."""
    vault = Vault(Disposition.SEALED, asyncio.Event(), asyncio.Event())
    return vault, Personalise(9, vault.personalise, bin=SPOILED)


@pytest.mark.parametrize("first", [(), (commands.Abort(id="a", actor="op"),)])
async def test_an_open_interlock_waits_for_no_personalisation(
    tmp_path: Path, first: tuple[commands.Abort, ...]
) -> None:
    vault, row = stuck()
    bench = Bench(tmp_path, sequence(returning(1.0), row), ONE)
    box = bench.sites[1].box

    async def interlock() -> None:
        assert vault.began is not None
        await vault.began.wait()
        for command in first:  # somebody has asked already, and waits
            await bench.cell.request(command)
        before = box.made_safe
        await bench.cell.request(commands.CutOff(id="door", actor="interlock", reason="door is open"))
        assert box.made_safe > before

    assert await bench.run(interlock()) == "ABORTED"
    balance = balance_of(read(bench.path))
    assert balance.spoiled(1) and not balance.sealed(1)
    assert bench.handler.sorted == []
    (ended,) = bench.happened(events.PersonalisationEnded)
    assert (ended.disposition, ended.detail) == (None, "cut off, since an interlock opened")
    (closed,) = bench.happened(events.ContactsClosed)
    assert [outcome.soft for outcome in closed.outcomes] == [SPOILED.number]
    order = [type(event).__name__ for event in bench.history]
    assert order.index("Intended") < order.index("PersonalisationEnded") < order.index("ContactsClosed")
    assert bench.happened(events.MadeSafe)[-1].unverified == ()


async def test_an_interlock_that_opens_while_the_intent_is_written_leaves_the_chip_alone(
    tmp_path: Path,
) -> None:
    vault, row = stuck()
    bench = Bench(tmp_path, sequence(returning(1.0), row), ONE)
    journal = bench.journal = SlowIntent(bench.path)

    async def interlock() -> None:
        await journal.writes.wait()
        asyncio.get_running_loop().call_later(0.05, journal.go.set)
        await bench.cell.request(commands.CutOff(id="door", actor="interlock"))

    assert await bench.run(interlock()) == "ABORTED"
    assert vault.began is not None and not vault.began.is_set()
    assert len(bench.happened(events.Intended)) == len(bench.happened(events.PersonalisationEnded)) == 1
    assert balance_of(read(bench.path)).spoiled(1)


class SlowIntent(Journal):
    """Waits, as a slow disk does, while an intent is written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, reserve_bytes=0)
        self.writes, self.go = asyncio.Event(), asyncio.Event()

    async def commit(self, *entries: events.Any) -> None:
        if any(isinstance(entry, events.Intended) for entry in entries):
            self.writes.set()
            await self.go.wait()
        await super().commit(*entries)
