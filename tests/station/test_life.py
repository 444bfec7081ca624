"""What wears out by being landed on: counted once, over lots and restarts, told, and held at its limit."""

from pathlib import Path

import pytest

from station import cell_record, events
from station.config import AssetTable
from station.engine.plan import Examined
from station.errors import ConfigError
from station.life import Life, Worn, counted, replaced, worn

CARD = AssetTable(name="PC-17", kind="card", limit=100, warning=80)
BOARD = AssetTable(name="LB-2", kind="board", limit=1000, warning=900)


def had(*happened: events.Any) -> Worn:
    found = Worn()
    for event in happened:
        found.add(event)
    return found


def of(lot: str, landings: int) -> events.Any:
    return counted((CARD,), lot, landings, 0.0)[0]


NEW = replaced((CARD,), "PC-17", "asha", "needles bent", 0.0)


@pytest.mark.parametrize(
    ("happened", "count", "before"),
    [
        ((), 0, 0),
        ((of("L1", 30), of("L2", 10)), 40, 30),
        ((of("L2", 10), of("L2", 25)), 25, 0),
        ((of("L2", 25), of("L2", 10), of("L2", 25)), 25, 0),
        ((of("L1", 30), NEW, of("L2", 10)), 10, 0),
        ((of("L2", 30), NEW, of("L2", 40)), 10, 0),
    ],
    ids=["nothing", "two lots", "taken up", "told late", "replaced", "replaced in a lot"],
)
def test_each_landing_counts_once(happened: tuple[events.Any, ...], count: int, before: int) -> None:
    found = had(*happened)
    assert (found.had("PC-17"), found.before("PC-17", "L2")) == (count, before)


def test_what_is_near_is_told_and_what_is_over_can_be_answered_for() -> None:
    life = Life((CARD, BOARD), None, "L2", had(of("L1", 85)))
    seen = life.examined(Examined(), 7.0)
    mounted = [one for one in seen.told if isinstance(one, events.AssetMounted)]
    assert [(one.asset, one.touchdowns, one.limit) for one in mounted] == [
        ("PC-17", 85, 100),
        ("LB-2", 0, 1000),
    ]
    (note,) = (one for one in seen.told if isinstance(one, events.RuleTripped))
    assert (note.action, note.seen) == ("note", "PC-17: card, 85 touchdowns of 100")
    assert seen.waivable == {}
    assert Life((CARD,), None, "L2", had(of("L1", 100))).examined(Examined(), 7.0).waivable.keys() == {
        "assets"
    }


def test_a_lot_is_held_once_when_the_limit_is_reached() -> None:
    life = Life((CARD,), None, "L2", had(of("L1", 85)))
    life.examined(Examined(), 0.0)
    assert life.overdue(14) == ""
    assert "PC-17 has come to its limit" in life.overdue(15)
    assert life.overdue(16) == "", "a person has let the lot go on"
    again = Life((CARD,), None, "L2", had(of("L1", 100)))
    again.examined(Examined(), 0.0)
    assert again.overdue(1) == "", "somebody has answered for it"


BLOCK = AssetTable(name="CB-1", kind="block", limit=5, warning=4)


async def test_what_tips_are_cleaned_on_is_counted_by_cleanings(tmp_path: Path) -> None:
    path, cleanings = tmp_path / "ws.cell", 2
    for lot in ("L1", "L1"):  # taken up: another process, which has cleaned twice as well
        life = Life((CARD, BLOCK), path, lot, worn(path))
        life.cleanings = lambda: cleanings
        await life.keep(30, 0.0)
    assert [worn(path).had(name) for name in ("CB-1", "PC-17")] == [4, 30]
    life = Life((CARD, BLOCK), path, "L2", worn(path))
    (note,) = [one for one in life.examined(Examined(), 0.0).told if isinstance(one, events.RuleTripped)]
    assert note.seen == "CB-1: block, 4 cleanings of 5"
    life.cleanings = lambda: 1
    assert life.overdue(10) == "CB-1 has come to its limit: block, 5 cleanings of 5"
    over = Life((CARD, BLOCK), None, "L2", had(*counted((BLOCK,), "L1", 30, 0.0, {"CB-1": 5})))
    assert over.examined(Examined(), 0.0).waivable.keys() == {"clean block"}


async def test_the_record_of_the_cell_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "ws.cell"
    for landings in (3, 5):
        await Life((CARD, BOARD), path, "L1", worn(path)).keep(landings, 0.0)
    assert [worn(path).had(name) for name in ("PC-17", "LB-2")] == [5, 5]
    await cell_record.append(path, NEW)
    assert [worn(path).had(name) for name in ("PC-17", "LB-2")] == [0, 5]


def test_an_asset_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="there are: PC-17"):
        replaced((CARD,), "PC-18", "asha", "new", 0.0)
