"""What must be refused: each attempt with its one code, what became of the die, and nothing consumed."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from drivers.protocols.se1_table import LifeCycle
from sim.dut.transport import development_uid
from station.clock import RealClock
from station.errors import LedgerError
from station.vault.die import scp03
from station.vault.die.script import Answer
from station.vault.faults import Code
from station.vault.wire import floor_pb2 as wire
from tests.crash.lives import opened
from tests.crash.plant import DATABASE, KEYS, LEDGER, UNIT, Plant
from tests.crash.points import Cut
from tests.crash.yard import FIRST, Yard
from tests.station.vault.dies import NOW, sound_chip

CHANNEL = 0x84
CREDENTIALS = 0x02
DAY_S = 86_400
Prepare = Callable[[Plant], None]


@dataclass(frozen=True)
class Attempt:
    """Something that somebody tries, and what comes of it."""

    name: str
    prepare: Prepare
    code: Code
    fate: "wire.Disposition.ValueType" = wire.UNTOUCHED

    def __str__(self) -> str:
        return self.name


def replies(which: Callable[[bytes], bool], change: Callable[[Answer], Answer]) -> Prepare:
    """Somebody between die and vault changes the replies to some commands."""

    def prepare(plant: Plant) -> None:
        plant.lie = lambda command, answer: change(answer) if which(command) else answer

    return prepare


def instruction(*starts: str) -> Callable[[bytes], bool]:
    return lambda command: command.hex().startswith(starts)


def byte(place: int, value: int) -> Callable[[Answer], Answer]:
    return lambda answer: Answer(answer.data[:place] + bytes([value]) + answer.data[place + 1 :], answer.sw)


def data(content: Callable[[bytes], bytes]) -> Callable[[Answer], Answer]:
    return lambda answer: Answer(content(answer.data), answer.sw)


def replayed(plant: Plant) -> None:
    """Every protected reply is the first one of the session."""
    first: list[Answer] = []

    def lie(command: bytes, answer: Answer) -> Answer:
        if command[:1] != bytes([CHANNEL]) or not answer.data:
            return answer
        first.append(answer)
        return first[0]

    plant.lie = lie


def late(plant: Plant) -> None:
    """Every protected reply comes one command late: reordered."""
    held: list[Answer] = []

    def lie(command: bytes, answer: Answer) -> Answer:
        if command[:1] != bytes([CHANNEL]) or not answer.data:
            return answer
        held.append(answer)
        return held[-2] if len(held) > 1 else answer

    plant.lie = lie


def of(**changes: object) -> Prepare:
    def prepare(plant: Plant) -> None:
        for name, value in changes.items():
            setattr(plant, name, value)

    return prepare


def journal(change: str) -> Prepare:
    """What somebody wrote into the journal, or what became of it."""

    def prepare(plant: Plant) -> None:
        with closing(sqlite3.connect(plant.folder / DATABASE)) as db, db:
            db.execute(change)

    return prepare


def other_die(**about: object) -> Prepare:
    def prepare(plant: Plant) -> None:
        plant.chip = sound_chip(**about)  # type: ignore[arg-type]

    return prepare


def with_keys_of_the_first(plant: Plant) -> None:
    plant.chip = sound_chip(3, uid=development_uid(9))
    plant.chip.key_seeds = sound_chip(FIRST).key_seeds


STATUS, INFO, UPDATE = instruction("80cadf00"), instruction("80ca00e0"), instruction("8050")


def someone_elses(plant: Plant) -> None:
    """A die with keys that this plant does not know: its channel opens for nobody here."""
    replies(UPDATE, lambda answer: byte(30, answer.data[30] ^ 1)(answer))(plant)


PROTECTED = instruction("84ca", "84cb", "84e2")
RETRY, HELD, KEPT = wire.RETRY, wire.REJECT_HELD, wire.QUARANTINE
TWO_SETS = bytes.fromhex("e024") + b"".join(
    bytes((0xC0, 4, key, kvn, 0x88, 0x20)) for kvn in (0x30, 0x31) for key in (1, 2, 3)
)

ATTEMPTS = (
    Attempt("another version of SCP03", replies(UPDATE, byte(11, 2)), Code.KEY_SETS, HELD),
    Attempt("options i without R-ENC", replies(UPDATE, byte(12, 0x21)), Code.KEY_SETS, HELD),
    Attempt("options i of S8", replies(UPDATE, byte(12, 0x60)), Code.KEY_SETS, HELD),
    Attempt("another key version", replies(UPDATE, byte(10, 0x31)), Code.KEY_SETS, HELD),
    Attempt("a short offer", replies(UPDATE, data(lambda all_: all_[:29])), Code.KEY_SETS, HELD),
    Attempt("key sets that it has not", replies(INFO, data(lambda _: TWO_SETS)), Code.KEY_SETS, HELD),
    Attempt("a wrong card cryptogram", someone_elses, Code.CARD_CRYPTOGRAM, HELD),
    Attempt(
        "replies without MAC: level 01", replies(PROTECTED, data(lambda all_: all_[:-16])), Code.R_MAC, RETRY
    ),
    Attempt("replies in the clear", replies(PROTECTED, data(lambda _: b"\x01\x01")), Code.R_MAC, RETRY),
    Attempt("a replayed reply", replayed, Code.R_MAC, RETRY),
    Attempt("reordered replies", late, Code.R_MAC, RETRY),
    Attempt("another card's SELECT", replies(instruction("00a4"), data(lambda _: b"")), Code.LINK, RETRY),
    Attempt("a truncated status", replies(STATUS, data(lambda all_: all_[:-1])), Code.LINK, RETRY),
    Attempt("an oversized status", replies(STATUS, data(lambda all_: all_ + b"\0")), Code.LINK, RETRY),
    Attempt("a truncated TLV", replies(INFO, data(lambda all_: all_[:-1])), Code.LINK, RETRY),
    Attempt("an oversized TLV", replies(INFO, data(lambda all_: b"\xe0\xff" + all_[2:])), Code.LINK, RETRY),
    Attempt("a length beyond the reply", replies(INFO, data(lambda all_: all_[:1])), Code.LINK, RETRY),
    Attempt("a reply without end", replies(STATUS, data(lambda all_: bytes(4000))), Code.LINK, RETRY),
    Attempt("a die that is SECURED", replies(STATUS, byte(1, LifeCycle.SECURED)), Code.LIFE_CYCLE, KEPT),
    Attempt("a state that nobody knows", replies(STATUS, byte(1, 0x55)), Code.LINK, RETRY),
    Attempt("a UID that is not well formed", replies(instruction("80ca0045"), byte(17, 0)), Code.LINK, RETRY),
    Attempt("the channel of another UID", replies(UPDATE, byte(0, 0xEE)), Code.UID_MISMATCH, KEPT),
    Attempt(
        "a UID that is there already",
        other_die(index=3, uid=development_uid(FIRST)),
        Code.UID_DUPLICATE,
        KEPT,
    ),
    Attempt("a key that is there already", with_keys_of_the_first, Code.SPKI_DUPLICATE, KEPT),
    Attempt(
        "a challenge that another die drew",
        other_die(index=FIRST, uid=development_uid(9)),
        Code.TRNG_STATISTICS,
        HELD,
    ),
    Attempt("an order that has ended", of(now=NOW + 2 * DAY_S), Code.ORDER_DATES),
    Attempt("an order that has not begun", of(now=NOW - 2 * DAY_S), Code.ORDER_DATES),
    Attempt("another sequence", of(fingerprint=bytes(32)), Code.FINGERPRINT_UNKNOWN),
    Attempt("a station without keys", of(station="cell-9"), Code.KEY_NOT_ACTIVE),
    Attempt("an order that is used up", journal("UPDATE order_use SET sealed = 8"), Code.ORDER_EXHAUSTED),
    Attempt("an order that is closed", journal("UPDATE work_order SET state = 'closed'"), Code.ORDER_INVALID),
    Attempt("a closed lot", journal("UPDATE lot SET state = 'closed'"), Code.LOT_CLOSED),
    Attempt("a time before all authorities", of(now=0.0), Code.CLOCK_UNSAFE),
    Attempt("a time that is none", of(now="soon"), Code.CLOCK_UNSAFE),
)


def counted(plant: Plant) -> list[list[tuple[object, ...]]]:
    """All that an attempt must not consume: certificates, counts of orders."""
    with closing(sqlite3.connect(plant.folder / DATABASE)) as db:
        tables = "SELECT * FROM cert ORDER BY 1, 2", "SELECT * FROM order_use"
        return [db.execute(table).fetchall() for table in tables]


async def tried(plant: Plant) -> wire.Verdict | None:
    """One contact of the die with a vault on the plant's files."""
    with capture_logs():
        async with opened(plant) as life:
            return await life.contact()


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_an_attempt_has_its_code_and_consumes_nothing(yard: Yard, attempt: Attempt) -> None:
    plant = yard.plant()
    attempt.prepare(plant)
    before = counted(plant)
    verdict = asyncio.run(tried(plant))
    assert verdict is not None
    assert (Code(verdict.error), verdict.disposition) == (attempt.code, attempt.fate), verdict.detail
    assert counted(plant) == before
    assert not [key for key, _ in plant.signed if key.startswith("ICA")]
    assert scp03.Session.alive == 0
    truth = plant.chip._truth()
    assert truth.life_cycle in (LifeCycle.OP_READY, LifeCycle.INITIALIZED)
    assert truth.auth_failures == 0, "no attempt of the die is spent"


async def contacts(plant: Plant, *units: str) -> list[int]:
    """The codes of several units, each a die of its own, at one vault."""
    codes = []
    with capture_logs():
        async with opened(plant) as life:
            for number, unit in enumerate(units):
                plant.chip = sound_chip(50 + number)
                verdict = await life.contact(unit)
                assert verdict is not None
                codes.append(verdict.error)
    return codes


def test_two_wrong_cryptograms_in_a_row_stop_the_line_also_after_a_restart(yard: Yard) -> None:
    plant = yard.plant()
    someone_elses(plant)
    wrong, stopped = Code.CARD_CRYPTOGRAM, Code.LINE_STOPPED
    assert asyncio.run(contacts(plant, "L1/3", "L1/4", "L1/5")) == [wrong, wrong, stopped]
    plant.lie = lambda command, answer: answer
    assert asyncio.run(contacts(plant, "L1/6")) == [stopped]


def test_a_key_of_two_dies_stops_the_line(yard: Yard) -> None:
    plant = yard.plant()
    with_keys_of_the_first(plant)
    assert asyncio.run(tried(plant))
    assert asyncio.run(contacts(plant, "L1/6")) == [Code.LINE_STOPPED]


def sealed(yard: Yard) -> Plant:
    """A plant that went on after it was made: it has sealed a second die."""
    plant = yard.plant()
    verdict = asyncio.run(tried(plant))
    assert verdict is not None
    assert verdict.disposition == wire.SEALED
    return plant


def restored(plant: Plant, yard: Yard, *names: str) -> None:
    """Somebody puts older files back."""
    older = yard.plant().folder
    for name in names:
        target = plant.folder / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        put = shutil.copytree if (older / name).is_dir() else shutil.copy
        put(older / name, target)


@pytest.mark.parametrize("names", [(DATABASE,), (DATABASE, LEDGER)], ids=["database", "database and folder"])
def test_a_ledger_that_went_back_is_not_written_on(yard: Yard, names: tuple[str, ...]) -> None:
    plant = sealed(yard)
    restored(plant, yard, *names)
    with pytest.raises(LedgerError):
        asyncio.run(tried(plant))


def test_a_ledger_folder_that_went_back_is_written_again(yard: Yard) -> None:
    """The journal has all leaves, and what was signed is their beginning: nothing is lost."""
    plant = sealed(yard)
    restored(plant, yard, LEDGER)
    verdict = asyncio.run(tried(plant))
    assert verdict is not None
    assert verdict.disposition == wire.DONE


def test_a_ledger_that_forked_is_not_written_on(yard: Yard) -> None:
    """Older files are put back, and another history is written on, as long as the first."""
    plant = sealed(yard)
    restored(plant, yard, DATABASE, LEDGER)
    key_store = plant.folder / KEYS
    newer = shutil.copytree(key_store, plant.folder / "newer")
    restored(plant, yard, KEYS)
    assert asyncio.run(contacts(plant, "L1/7")) == [Code.NONE]
    shutil.rmtree(key_store)
    newer.rename(key_store)
    with pytest.raises(LedgerError, match="it went back, or is another"):
        asyncio.run(tried(plant))


@pytest.mark.parametrize(("lag_s", "code"), [(0.5, Code.NONE), (120.0, Code.CLOCK_UNSAFE)])
def test_nothing_is_dated_before_the_last_checkpoint(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, lag_s: float, code: Code
) -> None:
    """The clock of a production vault was set back behind what was signed."""
    plant = yard.plant()
    monkeypatch.setattr(RealClock, "unix", lambda _self: NOW + 200)
    asyncio.run(contacts(plant))
    plant.production = True
    monkeypatch.setattr(RealClock, "unix", lambda _self: NOW + 200 - lag_s)
    verdict = asyncio.run(tried(plant))
    assert verdict is not None
    assert verdict.error == code, verdict.detail
    with closing(sqlite3.connect(plant.folder / DATABASE)) as db:
        (first,) = db.execute("SELECT min(not_before) FROM cert WHERE unit = ?", (UNIT,)).fetchone()
    assert first == (None if code else NOW + 200)


SWAP = """UPDATE cert SET der = other.der, der_hash = NULL FROM cert AS other
 WHERE cert.unit = 'L1/2' AND other.unit = 'L1/1' AND other.slot = cert.slot AND cert.slot = 2"""


def test_another_dies_certificate_is_not_written(yard: Yard) -> None:
    """Somebody swaps certificates in the journal while the die is in work."""
    points = asyncio.run(yard.play(None)).plant.points
    proven = max(number for (place, number), name in points.names.items() if name == "8486")
    plant = yard.plant(Cut("station", "step", proven + 2, "before"))
    assert asyncio.run(tried(plant)) is None
    journal(SWAP)(plant)
    plant.revived()
    before, signed = counted(plant), [key for key, _ in plant.signed if key.startswith("ICA")]
    verdict = asyncio.run(tried(plant))
    assert verdict is not None
    assert (Code(verdict.error), verdict.disposition) == (Code.ISSUER_CHECK, KEPT), verdict.detail
    assert counted(plant)[1] == before[1], "no place in the order is used up"
    assert [key for key, _ in plant.signed if key.startswith("ICA")] == signed, "and nothing is signed"
    assert not plant.chip._truth().containers & CREDENTIALS
    assert asyncio.run(contacts(plant, "L1/6")) == [Code.LINE_STOPPED]


def test_a_sealed_die_does_not_attest_under_another_dies_certificate(yard: Yard) -> None:
    plant = sealed(yard)
    journal(SWAP)(plant)
    verdict = asyncio.run(tried(plant))
    assert verdict is not None
    assert (Code(verdict.error), verdict.disposition) == (Code.ATTESTATION, KEPT)
