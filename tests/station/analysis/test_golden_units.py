"""Golden units beside their references: by hand, and what a lot asks of the last check."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from station.analysis.golden import (
    Check,
    Contact,
    Seen,
    Tolerance,
    Unit,
    Units,
    learned,
    offsets,
    read,
    seen,
)
from station.config import GoldenTable, load
from station.errors import AnalysisError, ConfigError
from station.golden_check import golden_watch
from station.model import Limit, TestDefinition
from station.surroundings import WAFER_SORT, simulated_station_file
from tests.station.engine.doubles import returning, sequence

VOLTS = TestDefinition(100, "volts", "P", Limit(0.0, 2.0, "V"))
PIN, OPEN = TestDefinition(200, "pins", "M", None), TestDefinition(300, "open", "P", Limit(None, 1.0, "A"))
TESTS = (VOLTS, PIN, OPEN)
KNOWN = Units(
    "u",
    "p",
    "s",
    {"100": Tolerance(0.02, 0.03), "300": Tolerance(0.1, 0.1)},
    (Unit("G1", {"100": 1.0, "300": 0.1}), Unit("G2", {"100": 1.5, "300": 0.2})),
)


def contact(part: int, site: int, volts: float | None, amps: float = 0.1) -> Contact:
    values = {300: amps} if volts is None else {100: volts, 300: amps}
    return Contact(part, site, values)


def found(*contacts: Contact) -> dict[tuple[int, int], Seen]:
    return {(one.test, one.site): one for one in seen(KNOWN, TESTS, (1, 2), contacts)}


RIGHT = (contact(1, 1, 1.01), contact(1, 1, 0.99), contact(2, 2, 1.52, 0.2), contact(2, 2, 1.5, 0.2))


def test_shift_and_spread_are_those_of_the_distances_from_each_units_reference() -> None:
    both = found(*RIGHT)
    assert all(one.passed for one in both.values())
    assert both[100, 1].shift == pytest.approx(0.0)
    assert both[100, 1].spread == pytest.approx(0.02 / 2**0.5)
    assert both[100, 2].shift == pytest.approx(0.01)
    assert both[100, 2].contacts == 2


@pytest.mark.parametrize(
    ("values", "passed"),
    [((1.019, 1.019), True), ((1.03, 1.03), False), ((1.03, 0.97), False), ((1.0, None), False)],
    ids=["inside", "shifted", "scattered", "no value"],
)
def test_a_site_that_is_shifted_scatters_or_has_no_value_is_out(
    values: tuple[float, float | None], passed: bool
) -> None:
    one = found(*RIGHT[2:], *(contact(1, 1, value) for value in values))[100, 1]
    assert one.passed is passed


def test_an_offset_is_proposed_where_the_mean_is_off_and_refused_where_it_is_far_off() -> None:
    off = found(*RIGHT[2:], contact(1, 1, 1.05), contact(1, 1, 1.05))
    (one,) = offsets(off.values(), TESTS)
    assert (one.test, one.site, one.allowed) == (100, 1, True)
    assert one.value == pytest.approx(-0.05)
    far = found(*RIGHT[2:], contact(1, 1, 1.5), contact(1, 1, 1.5))
    assert [one.allowed for one in offsets(far.values(), TESTS)] == [False]
    assert offsets(found(*RIGHT).values(), TESTS) == ()


def test_a_site_that_met_no_unit_is_named() -> None:
    with pytest.raises(AnalysisError, match=r"sites \[2\] met a golden unit less than 2 times"):
        found(*RIGHT[:3])
    with pytest.raises(AnalysisError, match="has no test 300"):
        seen(KNOWN, (VOLTS,), (1,), RIGHT)


def test_references_are_learned_from_what_was_measured() -> None:
    contacts = [contact(1, 1, 1.0), contact(1, 1, 1.002), contact(2, 2, 1.5), contact(2, 2, 1.5)]
    units = learned("n", "p", "s", TESTS, contacts)
    assert [unit.values["100"] for unit in units.units] == pytest.approx([1.001, 1.5])
    assert units.tolerance["100"].shift == pytest.approx(0.02), "a hundredth of the span"
    assert "200" not in units.tolerance
    with pytest.raises(AnalysisError, match="2 contacts or more"):
        learned("n", "p", "s", TESTS, contacts[:1])
    with pytest.raises(AnalysisError, match="no parametric test"):
        learned("n", "p", "s", (VOLTS,), [contact(1, 1, None)] * 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing required field"),
        ('name = "u"\nproduct = "p"\nsequence = "s"\nunits = []\n[tolerance]\n', "one unit or more"),
        ("\xff", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "u.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(AnalysisError, match=says):
        read(path)
    with pytest.raises(AnalysisError, match="No such file"):
        read(tmp_path / "none.toml")


def test_units_without_their_reference_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "u.toml"
    path.write_text(
        'name = "u"\nproduct = "p"\nsequence = "s"\ntolerance = { 100 = { shift = 1, spread = 1 } }\n'
        '[[units]]\nname = "G"\nvalues = { }\n[[units]]\nname = "G"\nvalues = { 100 = nan }\n'
    )
    says = "one name; unit G: no reference value of test 100; .* is no number"
    with pytest.raises(AnalysisError, match=says):
        read(path)


# -- what a lot asks
PLAN = sequence(returning(0.0))
CHECK = Check("u", "00", "se1", PLAN.name, "00", "sim-ws-01", (1, 2, 3, 4), 1000.0, True, (), ())


def watch_of(folder: Path, check: Check | None) -> object:
    config = load(simulated_station_file(WAFER_SORT))
    if check is not None:
        (folder / "golden.json").write_bytes(msgspec.json.encode(check))
    asking = replace(config, source=folder / "station.toml", golden=GoldenTable("golden.json", 2.0))
    return golden_watch(asking, PLAN)


def test_a_station_that_asks_for_none_has_none() -> None:
    assert golden_watch(load(simulated_station_file(WAFER_SORT)), PLAN) is None


def test_a_check_is_due_after_its_hours_and_told_once(tmp_path: Path) -> None:
    config = load(simulated_station_file(WAFER_SORT))
    (tmp_path / "golden.json").write_bytes(msgspec.json.encode(CHECK))
    asking = replace(config, source=tmp_path / "station.toml", golden=GoldenTable("golden.json", 2.0))
    watch = golden_watch(asking, PLAN)
    assert watch is not None
    assert watch.overdue(1000.0 + 7200, 3) == ""
    assert watch.overdue(1000.0 + 7201, 4) == "golden units are due: they were measured more than 2 h ago"
    assert watch.overdue(1000.0 + 7202, 5) == "", "a person has let the lot go on"
    assert watch.overdue(1000.0 + 7201 + 7201, 6) != ""


def test_a_check_holds_for_so_many_landings_from_where_a_lot_was_begun_or_taken_up(tmp_path: Path) -> None:
    config = load(simulated_station_file(WAFER_SORT))
    (tmp_path / "golden.json").write_bytes(msgspec.json.encode(CHECK))
    asking = replace(config, source=tmp_path / "station.toml", golden=GoldenTable("golden.json", 2.0, 10))
    watch = golden_watch(asking, PLAN)
    assert watch is not None
    said = [watch.overdue(1001.0, landings) for landings in (40, 49, 50, 51, 60)]
    due = "golden units are due: 10 touchdowns were made since"
    assert said == ["", "", due, "", due]


FAILED = (Seen(100, "volts", 2, 5, 0.1, 0.0, Tolerance(0.01, 0.01), False),)


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (None, "No such file"),
        (msgspec.structs.replace(CHECK, passed=False, seen=FAILED), "out of tolerance: 100 volts at site 2"),
        (msgspec.structs.replace(CHECK, station="other"), "it was made at station other"),
        (msgspec.structs.replace(CHECK, sequence="other"), "it was made with sequence other"),
        (msgspec.structs.replace(CHECK, sites=(1, 2)), r"sites \[3, 4\] met no golden unit"),
    ],
    ids=["missing", "failed", "station", "sequence", "sites"],
)
def test_a_lot_does_not_begin_without_its_check(tmp_path: Path, check: Check | None, says: str) -> None:
    with pytest.raises(ConfigError, match=f"{says}.*run `hardbin study golden`"):
        watch_of(tmp_path, check)


def test_a_file_that_is_no_check_is_refused(tmp_path: Path) -> None:
    (tmp_path / "golden.json").write_text("{}")
    with pytest.raises(ConfigError, match="no golden check"):
        watch_of(tmp_path, None)
