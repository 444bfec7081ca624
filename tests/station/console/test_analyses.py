"""What the engineers' page is told of stored lots is what the analyses say, and no other file is read."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from station.analysis import closeup, correlation, reduction
from station.analysis.lot import lot_of
from station.console.stored_lots import StoredLots
from station.datalog.store import Store
from station.model import TestDefinition
from tests.station.analysis.kept import LIMIT, kept
from tests.station.console.test_ways import Floor
from tests.station.datalog.lots import good, lot, touchdown


@pytest.fixture(scope="module")
def lots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lots of the same parts, the second 0.2 mA higher, and a folder that is no lot."""
    folder = tmp_path_factory.mktemp("lots")
    kept(folder / "A", "A")
    kept(folder / "B", "B", more=0.2e-3)
    (folder / "none").mkdir()
    (folder / "none" / "results.db").write_bytes(b"")
    return folder


@pytest.fixture
def floor(lots: Path) -> Floor:
    made = Floor()
    made.picture.begun(lots / "A" / "journal")
    return made


async def asked(floor: Floor, path: str, **query: object) -> tuple[int, Any]:
    words = "&".join(
        f"{name}={quote(str(one))}"
        for name, value in query.items()
        for one in (value if isinstance(value, list) else [value])
    )
    status, _, body = await floor.call("GET", f"/api/v1/lots{path}", query=words)
    return status, msgspec.json.decode(body)


async def test_lots_are_listed_with_their_tests(floor: Floor) -> None:
    status, found = await asked(floor, "")
    assert status == 200
    assert sorted(one["lot"] for one in found) == ["A", "B"]
    assert found[0]["tests"] == [{"number": 300, "name": "idd_idle"}, {"number": 310, "name": "idd_twin"}]


async def test_a_test_is_told_as_the_analysis_says(floor: Floor, lots: Path) -> None:
    lot = lot_of(lots / "A" / "results.db")
    for group in (None, 5):
        _, found = await asked(floor, "/test", lot="A", test=300, group=group or "")
        expected = closeup.closeup(lot, 300, group)
        assert found == msgspec.json.decode(msgspec.json.encode(expected))
        assert expected.charted is not None
        assert expected.charted.charts[0].name == ("value" if group is None else "mean")
    assert (await asked(floor, "/test", lot="A", test=300, group=26))[0] == 400


async def test_sites_lots_and_pairs(floor: Floor, lots: Path) -> None:
    ours, theirs = (lot_of(lots / name / "results.db") for name in ("A", "B"))
    _, sites = await asked(floor, "/groups", lot="A")
    assert sites == msgspec.json.decode(msgspec.json.encode(correlation.by_site(ours)))
    assert [one["differ"] for one in sites["tests"]] == [True, True]
    _, of_lots = await asked(floor, "/groups", lot=["A", "B"])
    assert of_lots == msgspec.json.decode(msgspec.json.encode(correlation.by_lot([ours, theirs])))
    _, pairs = await asked(floor, "/pairs", lot=["A", "B"])
    assert pairs[0]["found"]["offset"] == pytest.approx(0.2e-3)
    assert pairs[0]["found"]["r"] == pytest.approx(1.0)
    _, points = await asked(floor, "/scatter", lot=["A", "B"], test=300)
    assert len(points["first"]) == len(points["second"]) == len(points["parts"]) == pairs[0]["found"]["count"]


def test_a_lot_that_runs_is_looked_at_anew(tmp_path: Path) -> None:
    (tmp_path / "R").mkdir()
    writing, stored = Store(tmp_path / "R" / "results.db"), StoredLots()
    writing.open()
    writing.begin(lot())
    for number in range(1, 4):
        writing.commit(touchdown(number, good(1, number)))
        (found,) = stored.lots(tmp_path, ["R"])
        assert found.contacts.part.tolist() == [str(one) for one in range(1, number + 1)]
        assert stored.lots(tmp_path, ["R"])[0] is found
    writing.close()


async def test_what_tests_are_worth(floor: Floor, lots: Path) -> None:
    both = [lot_of(lots / name / "results.db") for name in ("A", "B")]
    status, found = await asked(floor, "/reduction", lot=["A", "B"])
    assert status == 200
    assert found == msgspec.json.decode(msgspec.json.encode(reduction.reduction(both)))
    worth = {one["number"]: one for one in found["tests"]}
    assert worth[300]["only_failed"] > 0
    assert worth[310]["failed"] == 0
    assert worth[310]["twin"] == 300
    assert found["tests"][0]["number"] == 310, "what never caught anything can be argued with first"
    assert worth[310]["escapes_ppm"] == pytest.approx(1e6 * (1 - 0.025 ** (1 / found["parts"])))


async def test_wafers_are_stacked_and_compared(floor: Floor, lots: Path) -> None:
    kept(lots / "S", "S", wafers=True)
    _, stack = await asked(floor, "/stack", lot="S")
    assert stack["wafers"] == ["S W1", "S W2"]
    assert (stack["columns"], stack["rows"], len(stack["dies"])) == (10, 6, 60)
    assert [die for die in stack["dies"] if die[3] < die[2]] == [[9, 1, 2, 1], [9, 3, 2, 1], [9, 5, 2, 1]]
    _, found = await asked(floor, "/changes", lot="S", one=0, two=1)
    assert (found["same"], found["recovered"], found["lost"]) == (57, 1, 2)
    assert sorted(count for *_, count in found["changed"]) == [1, 2]
    assert (await asked(floor, "/changes", lot="S", one=0, two=2))[0] == 404
    _, both = await asked(floor, "/stack", lot=["S", "S"])
    assert len(both["wafers"]) == 2, "the same lot twice is one"


async def test_a_test_has_a_number_of_32_bits(floor: Floor, lots: Path) -> None:
    highest = 4_294_967_295
    kept(lots / "T", "T", tests=(TestDefinition(highest, "highest", "P", LIMIT),))
    status, found = await asked(floor, "/test", lot="T", test=highest)
    expected = closeup.closeup(lot_of(lots / "T" / "results.db"), highest, None)
    assert (status, found) == (200, msgspec.json.decode(msgspec.json.encode(expected)))


@pytest.mark.parametrize("name", ["L" * 300, "C", "none", "../A", "A/../A", "", "/etc"])
async def test_what_is_no_lot_is_refused(floor: Floor, name: str) -> None:
    status, found = await asked(floor, "/findings", lot=name)
    assert (status, found["code"]) == (404, "not_found")


async def test_a_final_test_has_no_wafers(floor: Floor) -> None:
    status, found = await asked(floor, "/stack", lot="A")
    assert status == 404
    assert "no die has a place" in found["reason"]


async def test_lots_of_other_tests_are_not_taken_together(floor: Floor, lots: Path) -> None:
    kept(lots / "O", "O", tests=(TestDefinition(400, "other", "P", LIMIT),))
    status, found = await asked(floor, "/reduction", lot=["A", "O"])
    assert (status, found["reason"]) == (404, "lot O has other tests than lot A")
