"""The crash matrix phrase by phrase: what must hold depends on how far the die had come when it was cut off.

`test_matrix.py` cuts everywhere and asks that a die rests soundly; here a few cuts of each part of the way
are held against exactly what is promised of that part. docs/reference/crash-matrix.md has the table.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

import pytest

from drivers.protocols.se1_table import LifeCycle
from sim.dut.chip import Chip
from station.vault.die import scp03
from station.vault.keyring import ISSUER, TRANSPORT, Keyring
from station.vault.keys.leases import BLOCK
from tests.crash.plant import DATABASE, LIVES, UNIT, Plant
from tests.crash.points import Cut, Kind, Place, Points
from tests.crash.yard import Played, Yard
from tests.station.vault.dies import answer_of
from tests.station.vault.store_here import keys_in

KINDS: tuple[Kind, ...] = ("vault", "die power", "contact")
CHALLENGE = bytes(16)


class Part(Enum):
    """The parts of a die's way that promises are made of."""

    BEFORE = "before intent `keys`"
    KEYS = "until `die.issued`"
    ISSUED = "until S5"
    ROTATION = "in S5, S6"
    SECURED = "`SECURED` to `REGISTERED`"
    REGISTERED = "after"


@dataclass(frozen=True)
class Moment:
    """How a die was when it was cut off."""

    part: Part
    life_cycle: LifeCycle
    certificates: frozenset[str]
    chip: Chip


def part_of(plant: Plant) -> Part:
    """Where a die is on its way, by what is durable; that it became SECURED only the die knows at first."""
    with closing(sqlite3.connect(plant.folder / DATABASE)) as db:
        row = db.execute("SELECT standing, intent FROM unit WHERE unit = ?", (UNIT,)).fetchone()
        issued = db.execute(
            "SELECT count(*) FROM leaf WHERE instr(entry, ?) AND instr(entry, ?)",
            (b'"event":"die.issued"', b'"unit":"L1/2"'),
        ).fetchone()[0]
    standing, intent = row or ("", "")
    if standing == "REGISTERED":
        return Part.REGISTERED
    if intent in ("rotate", "lock"):
        secured = plant.chip.life_cycle is LifeCycle.SECURED
        return Part.SECURED if secured else Part.ROTATION
    return Part.ISSUED if issued else Part.KEYS if intent else Part.BEFORE


def certificates(plant: Plant) -> frozenset[str]:
    with closing(sqlite3.connect(plant.folder / DATABASE)) as db:
        rows = db.execute("SELECT der FROM cert WHERE unit = ? AND der IS NOT NULL", (UNIT,)).fetchall()
    return frozenset(sha256(der).hexdigest() for (der,) in rows)


def twin(chip: Chip) -> Chip:
    """A die with the same memory, so that asking it changes nothing."""
    other = Chip(chip.index, seed="test", latency="zero")
    other.memory.adopt(chip.memory)
    return other


async def opens(chip: Chip, keys: Keyring, kvn: int) -> bool:
    """Whether a key set of the plant opens the die."""
    die = twin(chip)
    die.power(3.3)
    die.atr()
    uid = answer_of(die, bytes.fromhex("80ca004500"))
    offer = answer_of(die, scp03.initialize_update(kvn, CHALLENGE))
    if uid is None or offer is None or offer.sw != 0x9000:  # noqa: PLR2004 - a success
        return False
    try:
        scp03.open_session(await keys.die_keys(uid.data[-16:], kvn), CHALLENGE, offer.data).close()
    except scp03.ChannelError:
        return False
    return True


@pytest.fixture(scope="module")
def parts(yard: Yard) -> dict[Part, list[int]]:
    """The steps of the die that are made in each part of its way, from a run that is not cut."""
    found: dict[Part, list[int]] = {part: [] for part in Part}
    before = Points.before

    def noting(self: Points, place: Place, name: str) -> int:
        number = before(self, place, name)
        if place == "step":
            found[part_of(self._strike.__self__)].append(number)  # type: ignore[attr-defined]
        return number

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Points, "before", noting)
        assert asyncio.run(yard.play(None)).complaints() == []
    return found


def played(yard: Yard, cut: Cut) -> tuple[Played, Moment]:
    """Cut a die off, and bring it to rest; how it was, and how it ends."""
    moments: list[Moment] = []
    strike = Plant._strike

    def noting(plant: Plant, kind: Kind) -> None:
        moments.append(Moment(part_of(plant), plant.chip.life_cycle, certificates(plant), twin(plant.chip)))
        strike(plant, kind)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plant, "_strike", noting)
        end = asyncio.run(yard.play(cut))
    (moment,) = moments
    return end, moment


def following(part: Part) -> Part:
    """The next part of the way."""
    parts = list(Part)
    return parts[min(parts.index(part) + 1, len(parts) - 1)]


def sealed(end: Played) -> bool:
    return end.ends[-1:] == ["DONE"] and end.evidence.unit.account == "SECURED"


def before_intent(end: Played, at: Moment) -> Iterator[str]:
    """Untouched, or sealed on the next contact."""
    if at.life_cycle is not LifeCycle.OP_READY:
        yield f"the die is {at.life_cycle.name}"
    if not sealed(end) or not set(end.ends) <= {"UNTOUCHED", "RETRY", "SEALED", "DONE"}:
        yield "it is not sealed on the next contact"


def until_issued(end: Played, at: Moment) -> Iterator[str]:
    """Sealed, or REJECT_HELD after three sessions without an answer."""
    del at
    if not sealed(end):
        if end.evidence.unit.account != "REJECT_HELD" or end.evidence.told("die.issued"):
            yield "neither sealed nor held without certificates"
        if end.plant.struck != "contact":
            yield "it is held though it answers again"


def until_s5(end: Played, at: Moment) -> Iterator[str]:
    """Sealed with the same certificates, or QUARANTINE."""
    if not sealed(end) and end.evidence.unit.account != "QUARANTINE":
        yield "neither sealed nor in quarantine"
    if not at.certificates or certificates(end.plant) != at.certificates:
        yield "it has other certificates than were issued"


def rotation(end: Played, at: Moment) -> Iterator[str]:
    """The same; and some key set of the plant opens the die, at the cut and at its end."""
    yield from until_s5(end, at)
    for which, chip in (("at the cut", at.chip), ("in the end", end.plant.chip)):
        if not asyncio.run(_opened(end.plant, chip)):
            yield f"no key set opens the die {which}"


async def _opened(plant: Plant, chip: Chip) -> bool:
    keys = await keys_in(plant.folder, 7)
    return await opens(chip, keys, TRANSPORT) or await opens(chip, keys, ISSUER)


def registered(end: Played, at: Moment) -> Iterator[str]:
    """Sealed, reported once, and verified only."""
    yield from until_s5(end, at)
    if not sealed(end) and end.plant.struck != "contact":
        yield "it is not sealed"
    if len(end.evidence.told("die.sealed")) != 1:
        yield "it is told sealed more than once"


PROMISES: dict[Part, Callable[[Played, Moment], Iterator[str]]] = {
    Part.BEFORE: before_intent,
    Part.KEYS: until_issued,
    Part.ISSUED: until_s5,
    Part.ROTATION: rotation,
    Part.SECURED: until_s5,
    Part.REGISTERED: registered,
}


async def uses(end: Played) -> Iterator[str]:
    """Key uses reconcile: as many as certificates, and at most one lease wasted in each life."""
    entries = {entry.id: entry.used for entry in await (await keys_in(end.plant.folder, 7)).entries()}
    made = [row for row in end.evidence.certificates if row[4] is not None]
    issuing = {name: used for name, used in entries.items() if name.startswith("ICA")}
    bound = len(end.plant.signed) + len(made) + BLOCK * (LIVES + 2) * len(issuing)
    if not len(made) <= sum(issuing.values()) <= bound:
        return iter([f"uses {issuing} for {len(made)} certificates"])
    return iter(())


@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", Part, ids=lambda part: part.name.lower())
def test_what_is_promised_of_each_part_of_the_way_holds(
    yard: Yard, parts: dict[Part, list[int]], part: Part
) -> None:
    steps, wrong = parts[part], []
    assert steps, "the reference run has steps of this part"
    for number in dict.fromkeys((steps[0], steps[-1])):
        for kind in KINDS:
            cut = Cut(kind, "step", number, "after")
            end, at = played(yard, cut)
            assert at.part in (part, following(part)), "the cut comes after a step"
            found = [*PROMISES[at.part](end, at), *end.complaints(), *asyncio.run(uses(end))]
            wrong += [f"{cut}, {end.ends}: {one}" for one in found]
            yard.clear(end)
    assert wrong == []
