"""What becomes of a device at its Personalise row: spoiled from intent until sealed."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import DutError, EquipmentError
from station import commands, events
from station.custody.balance import balance_of
from station.custody.journal import read
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
