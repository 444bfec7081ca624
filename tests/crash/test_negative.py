"""The negative suite, phrase by phrase: each is refused, and nothing is consumed by what is refused.

What is one changed reply, one date or one count is an attempt of `test_refusals.py`; here is the rest.
What an attempt could consume: certificates, places in the order, uses of issuing keys, tries of the die,
and what persons have approved. docs/reference/attacks.md has the table.
"""

import asyncio
from pathlib import Path

import msgspec
import pytest

from drivers.protocols.se1_table import LifeCycle
from drivers.roles.card import Apdu, CardReply, CardStep
from station.clock import RealClock
from station.errors import LedgerError
from station.vault.desk.client import Asked
from station.vault.desk.roles import Action, Role
from station.vault.faults import Code
from station.vault.wire import floor_pb2 as wire
from tests.crash.lives import brought_to_rest, opened
from tests.crash.parts import CutCard
from tests.crash.plant import DATABASE, KEYS, LEDGER, Plant
from tests.crash.test_refusals import ATTEMPTS, contacts, counted, restored, sealed, tried
from tests.crash.yard import Yard
from tests.station.vault.desks import SECOND_OFFICER, SIGNERS, opened_desk
from tests.station.vault.dies import NOW, sound_chip
from tests.station.vault.store_here import keys_in

PROTECTED, OPENING = b"\x84", b"\x82"
"""Class of a wrapped command, and instruction of EXTERNAL AUTHENTICATE."""
REFUSED = 0x6988
PHRASES = {
    "level downgrade": ("options i without R-ENC", "options i of S8", "replies without MAC: level 01"),
    "wrong key version": ("another key version",),
    "replayed reply": ("a replayed reply",),
    "truncated TLV": ("a truncated TLV",),
    "oversized TLV": ("an oversized TLV",),
    "expired work order": ("an order that has ended",),
    "exhausted work order": ("an order that is used up",),
}
"""What `test_an_attempt_has_its_code_and_consumes_nothing` plays of the suite."""


async def uses(plant: Plant) -> dict[str, int]:
    """How often each issuing key was used."""
    keys = await keys_in(plant.folder, 7)
    return {one.id: one.used for one in await keys.entries() if one.id.startswith("ICA")}


def consumed(plant: Plant) -> object:
    """All that an attempt could use up."""
    return counted(plant), asyncio.run(uses(plant)), plant.chip._truth().auth_failures


def test_the_attempts_of_the_suite_are_played() -> None:
    assert {name for names in PHRASES.values() for name in names} <= {one.name for one in ATTEMPTS}


class Repeating(CutCard):
    """A station that gives the die every protected command twice, and passes the second answer on."""

    def __init__(self, plant: Plant) -> None:
        super().__init__(plant)
        self.said: list[int] = []
        """What the die said to the second ones."""

    def _answered(self, step: CardStep) -> CardReply | None:
        first = super()._answered(step)
        if not isinstance(step, Apdu) or step.command[:1] != PROTECTED or step.command[1:2] == OPENING:
            return first
        second = super()._answered(step)
        self.said.append(0 if second is None else second.status)
        return second


def test_a_replayed_apdu_ends_each_session_and_consumes_nothing(yard: Yard) -> None:
    """The MAC of a wrapped command is that of one place in one session."""
    plant = yard.plant()
    before, card = consumed(plant), Repeating(plant)

    async def replayed() -> wire.Verdict | None:
        async with opened(plant) as life:
            return await life.contact(card=card)

    verdict = asyncio.run(replayed())
    assert verdict is not None
    assert (Code(verdict.error), verdict.disposition) == (Code.STATUS_WORD, wire.RETRY), verdict.detail
    assert card.said == [REFUSED] * 3, "in three sessions, and then no more"
    assert consumed(plant) == before
    assert plant.chip.life_cycle is LifeCycle.OP_READY
    assert asyncio.run(brought_to_rest(plant))[-1].disposition == wire.DONE, "an honest station seals it"


@pytest.mark.parametrize(
    "names", [(DATABASE,), (DATABASE, LEDGER)], ids=["the database", "database and folder"]
)
def test_a_ledger_that_was_rolled_back_admits_nothing(yard: Yard, names: tuple[str, ...]) -> None:
    plant = sealed(yard)
    restored(plant, yard, *names)
    plant.chip = sound_chip(40)
    before = consumed(plant)
    with pytest.raises(LedgerError, match="leaves"):
        asyncio.run(tried(plant))
    assert consumed(plant) == before
    assert plant.chip.life_cycle is LifeCycle.OP_READY


def test_a_ledger_that_was_forked_admits_nothing(yard: Yard) -> None:
    plant = sealed(yard)
    newer = (plant.folder / KEYS).rename(plant.folder / "newer")
    (plant.folder / KEYS).mkdir()
    restored(plant, yard, DATABASE, LEDGER, KEYS)
    assert asyncio.run(contacts(plant, "L1/7")) == [Code.NONE], "another history is written, as long"
    restored(plant, yard, KEYS)
    for path in (plant.folder / KEYS).iterdir():
        path.unlink()
    (plant.folder / KEYS).rmdir()
    newer.rename(plant.folder / KEYS)
    plant.chip = sound_chip(41)
    before = consumed(plant)
    with pytest.raises(LedgerError, match="it went back, or is another"):
        asyncio.run(tried(plant))
    assert consumed(plant) == before
    assert plant.chip.life_cycle is LifeCycle.OP_READY


def test_a_clock_that_was_set_back_admits_nothing(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = yard.plant()
    monkeypatch.setattr(RealClock, "unix", lambda _self: NOW + 200)
    asyncio.run(contacts(plant))
    plant.production = True
    monkeypatch.setattr(RealClock, "unix", lambda _self: NOW + 80)
    before = consumed(plant)
    verdict = asyncio.run(tried(plant))
    assert verdict is not None
    assert (Code(verdict.error), verdict.disposition) == (Code.CLOCK_UNSAFE, wire.UNTOUCHED)
    assert consumed(plant) == before
    assert plant.chip.life_cycle is LifeCycle.OP_READY


async def test_an_approval_of_oneself_moves_nothing_and_uses_nothing_up(tmp_path: Path) -> None:
    """One officer asks, and approves as if he were two; then two do it."""
    officer = SIGNERS[Role.OFFICER]
    wanted = Asked(Action.RELEASE_UNIT, "L1", {"units": ["L1/1"], "reason": "looked at", "to": "WIP"})
    async with opened_desk(tmp_path) as desk:
        answer = await desk.ask(wanted, officer, ((officer, Role.OFFICER), (officer, Role.OFFICER)))
        assert answer.code == "dual_denied"
        assert await desk.account("L1/1") == "QUARANTINE"
        for table in ("approval", "proposal", "request"):
            query = f"SELECT count(*) FROM {table}"  # noqa: S608 - of the names above
            (count,) = await desk.journal.commit(lambda db, query=query: db.execute(query).fetchone())  # type: ignore[misc]
            assert count == 0, table
        assert not await desk.facts("unit.released")
        (refused,) = await desk.facts("approval.refused")
        assert refused["data"]["code"] == "dual_denied"  # type: ignore[index]
        both = ((officer, Role.OFFICER), (SECOND_OFFICER, Role.OFFICER))
        done = await desk.ask(wanted, officer, both)
        assert (done.code, msgspec.json.decode(done.body)["moved"][0]["to"]) == ("ok", "WIP")
