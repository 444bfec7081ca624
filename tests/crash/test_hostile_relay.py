"""A station that wants a seal without a genuine die: it drops, repeats, forges, replays, swaps dies."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from drivers.protocols.se1_table import LifeCycle
from drivers.roles.card import Apdu, CardReply, CardStep, ScriptReply, Stopped
from sim.dut.chip import Chip
from station.vault.configuration import LedgerTable
from station.vault.die.stream import Context
from station.vault.faults import Code
from station.vault.wire import floor_pb2 as wire
from tests.crash.evidence import Evidence
from tests.crash.lives import brought_to_rest, opened
from tests.crash.parts import AbortedError, CutCard
from tests.crash.plant import LOT, UNIT, Plant
from tests.crash.yard import Yard
from tests.station.vault.dies import FINGERPRINT, NOW, answer_of, sound_chip
from tests.station.vault.store_here import keys_in

SCRIPTS = 24
OTHER = 33
OK, WRONG = 0x9000, 0x6985


@dataclass(frozen=True)
class Trick:
    """What the station does with one script, at one step of it."""

    name: str
    step: int = 0


TRICKS = (
    "drop",
    "withhold",
    "repeat",
    "swap",
    "forge",
    "refuse",
    "replay",
    "stale",
    "other die",
    "other reply",
)
HONEST = Trick("honest")


class HostileCard(CutCard):
    """The reader of a station that follows a plan of tricks, script by script."""

    def __init__(self, plant: Plant, plan: Sequence[Trick], other: Chip) -> None:
        super().__init__(plant)
        self._plan, self._other = iter(plan), other
        self._earlier: list[ScriptReply] = []
        self._seen: list[CardReply] = []

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        trick = next(self._plan, HONEST)
        if trick.name == "replay" and self._earlier:
            return self._earlier[trick.step % len(self._earlier)]
        replies = [self._tricked(script, number, trick) for number in range(len(script))]
        if trick.name == "drop":
            return ScriptReply(tuple(replies[: trick.step % len(replies)]), Stopped.LINK)
        self._earlier.append(ScriptReply(tuple(replies), Stopped.END))
        return self._earlier[-1]

    def _tricked(self, script: Sequence[CardStep], number: int, trick: Trick) -> CardReply:
        place = trick.step % len(script)
        sent = script[number]
        if trick.name == "swap" and place in (number, number - 1):
            sent = script[min(2 * place + 1 - number, len(script) - 1)]
        if (trick.name, place) == ("withhold", number):
            return CardReply(b"", OK, 0.0)
        reply = self._sent(sent, on_other=trick.name == "other die")
        if place != number:
            return reply
        match trick.name:
            case "repeat":
                return self._sent(sent)
            case "forge":
                return CardReply(reply.data, OK, 0.0)
            case "refuse":
                return CardReply(b"", WRONG, 0.0)
            case "stale":
                return self._seen[trick.step % len(self._seen)]
            case "other reply":
                return self._sent(sent, on_other=True)
        return reply

    def _sent(self, step: CardStep, *, on_other: bool = False) -> CardReply:
        command = step.command if isinstance(step, Apdu) else b""
        answer = answer_of(self._other if on_other else self.chip, command)
        reply = CardReply(b"", 0, 0.0) if answer is None else CardReply(answer.data, answer.sw, 0.0)
        self._seen.append(reply)
        return reply


async def played(plant: Plant, plan: Sequence[Trick]) -> list[str]:
    """A hostile contact, then honest ones until the unit rests; what is not as it must be."""
    other = sound_chip(OTHER)
    with capture_logs():
        async with opened(plant) as life:
            first = await life.contact(card=HostileCard(plant, plan, other))
    if first is None:
        return ["the vault gave no verdict"]
    if first.disposition == wire.SEALED:
        genuine = [chip for chip in (plant.chip, other) if chip.life_cycle is LifeCycle.SECURED]
        if not genuine:
            return ["sealed, and no die is SECURED"]
        plant.chip = genuine[0]
    heard = [first]
    if first.disposition not in (wire.REJECT_HELD, wire.QUARANTINE):
        with capture_logs():
            heard += await brought_to_rest(plant)
    keys = await keys_in(plant.folder, 7)
    evidence = Evidence(plant, keys.log_keys(LedgerTable().origin))
    return evidence.complaints(heard)


TRICK = st.builds(Trick, st.sampled_from(TRICKS), st.integers(0, 40))
MOSTLY_HONEST = st.one_of(st.just(HONEST), st.just(HONEST), TRICK)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=st.lists(MOSTLY_HONEST, max_size=SCRIPTS))
def test_no_plan_seals_without_a_genuine_die(yard: Yard, plan: list[Trick]) -> None:
    assert asyncio.run(played(yard.plant(), plan)) == []


REPLIES = st.builds(wire.StepReply, data=st.binary(max_size=300), sw=st.integers(0, 0xFFFFFFFF))
RESULTS = st.builds(
    wire.ScriptResult,
    number=st.sampled_from((0, 1, 2, 3, 0xFFFFFFFF)),
    stopped=st.integers(0, 7),
    replies=st.lists(REPLIES, max_size=10),
)
WORDS = st.one_of(
    st.builds(wire.FromStation, result=RESULTS),
    st.builds(wire.FromStation, gone=st.builds(wire.Gone, reason=st.text(max_size=50))),
    st.builds(wire.FromStation, admit=st.builds(wire.Admit, unit=st.text(max_size=9))),
    st.just(wire.FromStation()),
)


class Babble:
    """A station that says whatever it wants."""

    def __init__(self, admit: wire.FromStation, says: list[wire.FromStation]) -> None:
        self._says = iter((admit, *says))
        self.verdict: wire.Verdict | None = None

    def invocation_metadata(self) -> object:
        return ("hardbin-station", "cell"), ("hardbin-time", repr(NOW))

    async def read(self) -> object:
        return next(self._says, None)

    async def write(self, said: wire.FromVault) -> None:
        if said.HasField("verdict"):
            self.verdict = said.verdict

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise AbortedError(f"{code} {details}")


async def babbled(plant: Plant, says: list[wire.FromStation]) -> wire.Verdict | None:
    admit = wire.Admit(
        session=bytes(16), unit=UNIT, lot=LOT, purpose=wire.PERSONALISE, fingerprint=FINGERPRINT, site="1"
    )
    babble = Babble(wire.FromStation(admit=admit), says)
    with capture_logs():
        async with opened(plant) as life:
            with suppress(AbortedError):
                await life.floor.serve(None, cast(Context, babble))
    return babble.verdict


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(says=st.lists(WORDS, max_size=6))
def test_no_words_of_a_station_are_a_fault_of_the_vault(yard: Yard, says: list[wire.FromStation]) -> None:
    plant = yard.plant()
    verdict = asyncio.run(babbled(plant, says))
    assert verdict is None or Code(verdict.error) not in (Code.NONE, Code.INTERNAL, Code.JOURNAL)
    assert asyncio.run(played(plant, ())) == [], "the die is none the worse for it"
