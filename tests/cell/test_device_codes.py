"""Lots whose devices have codes: each is read when its device arrives, and is who it is in all records."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from station.chaos.schedule import PLAIN, station_file
from station.custody.journal import read
from station.datalog.stdf.reader import read as stdf
from station.events import RuleTripped, TouchdownOpened
from tests.cell.lots import here, lot_here

READERS = """
[[equipment]]
name = "code-{site}"
driver = "text_line"
port = "serial:hardbin://code-{site}"
options = { trigger = "LON\\r" }

[site]
code = "code-{site}"
"""


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """The simulated cell with two sites, and a code reader at each."""
    path = station_file(PLAIN, tmp_path)
    text = path.read_text("utf-8").replace("sites = 16", 'sites = 2\ncodes = "code"')
    path.write_text(text.replace("\n[site]\n", READERS), "utf-8")
    return path


def ran(station: Path, *more: str, devices: int = 6) -> tuple[int, dict[str, Any]]:
    where = ("--station", str(station), "--devices", str(devices), "--seed", "7")
    return lot_here(station.parent / "out", *where, *(w for fault in more for w in ("--fault", fault)))


def names(result: dict[str, Any]) -> list[str]:
    """PART_ID of each contact, in the order of the datalog."""
    return [str(r.values["PART_ID"]) for r in stdf(Path(result["stdf"])) if r.name == "PRR"]


def bins(result: dict[str, Any]) -> dict[str, int]:
    return {one["name"]: one["count"] for one in result["bins"] if one["count"]}


def test_each_record_names_the_device_by_its_code(station: Path) -> None:
    code, result = ran(station, "dut.population=ideal")
    assert code == 0, result
    assert sorted(names(result)) == [f"T1-{number:06d}" for number in range(1, 7)]
    truth = result["truth"]
    assert (truth["escapes"], truth["misplaced"], truth["custody"]) == ([], [], [])
    asked = here("store", "query", result["store"], "select part, code from contact order by part")
    assert "T1-000006" in asked.stdout, asked.stderr + asked.stdout


def test_a_device_keeps_its_code_over_its_contacts(station: Path) -> None:
    code, result = ran(station, "dut.population=ideal", "socket.dirt@every=2")
    assert code == 0, result
    found = names(result)
    assert len(found) > 6
    assert set(found) == {f"T1-{number:06d}" for number in range(1, 7)}


def test_a_device_whose_code_is_not_read_is_not_tested(station: Path) -> None:
    code, result = ran(station, "dut.population=ideal", "code-1.no_read@after=1@once")
    assert code == 0, result
    assert bins(result) == {"good": 5, "untested": 1}
    assert min(names(result)) == "#3", "there is no code that could stand for it"


def test_a_code_that_comes_twice_holds_the_lot(station: Path) -> None:
    code, result = ran(station, "dut.population=ideal", "code-2.same_code@once")
    assert (code, result["state"]) == (12, "HELD"), result
    assert result["reason"] == "rule R13: device 4: code T1-000002 is that of device 2 too"
    assert bins(result) == {"good": 3, "untested": 1}


def test_a_reader_that_reads_no_more_holds_the_lot(station: Path) -> None:
    code, result = ran(station, "dut.population=ideal", "code-1.no_read@after=1", devices=20)
    assert (code, result["state"]) == (12, "HELD"), result
    assert result["reason"] == "rule R10: 3 contacts could not be judged"
    assert bins(result) == {"good": 5, "untested": 3}


def test_a_lot_that_is_taken_up_knows_its_devices_again(station: Path) -> None:
    out = station.parent / "out"
    code, result = ran(station, "dut.population=ideal", "handler.jam=0x50@after=1@once", devices=8)
    assert (code, result["state"]) == (12, "HELD"), result
    resume = ("run", "--resume", "T1", "--station", str(station), "--out", str(out), "--json")
    gone_on = here(*resume, "--by", "asha", "--reason", "jam cleared")
    assert gone_on.returncode in (0, 12), gone_on.stderr
    result = json.decode(gone_on.stdout)
    assert (result["state"], bins(result)) == ("CLOSED", {"good": 8}), result
    assert set(names(result)) == {f"T1-{number:06d}" for number in range(1, 9)}
    opened = [event for event in read(Path(result["journal"])) if isinstance(event, TouchdownOpened)]
    assert all(event.ids.keys() == event.parts.keys() for event in opened)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('codes = "code"', 'codes = "coed"'), "cell.codes = 'coed': a role in [site] is needed"),
        (('codes = "code"', 'codes = "vdd"'), "cell.codes = 'vdd': a role in [site] is needed"),
        (('code = "code-{site}"', 'code = "code-1"'), "whose code code-1 reads is unknown"),
    ],
)
def test_readers_of_nobody_are_refused(change: tuple[str, str], says: str, station: Path) -> None:
    station.write_text(station.read_text("utf-8").replace(*change), "utf-8")
    refused = here("run", "--lot", "T1", "--station", str(station), "--out", str(station.parent / "out"))
    assert refused.returncode == 3, refused.stderr
    assert says in " ".join(refused.stderr.split())
    assert here("check", "--station", str(station)).returncode == 3, "without a lot too"


GOLDEN = """
name = "se1-a"
product = "se1"
sequence = "se1-electrical-sort"
tolerance.300 = {{ shift = 1e-4, spread = 1e-4 }}

[[units]]
name = "G7"
{code}
values.300 = 4.27e-3
"""


def test_a_golden_unit_among_the_devices_is_known_and_not_tested(station: Path) -> None:
    station.write_text(station.read_text("utf-8") + '\n[golden]\nunits = "units.toml"\n', "utf-8")
    units = station.with_name("units.toml")
    units.write_text(GOLDEN.format(code=""), "utf-8")
    refused = here("run", "--station", str(station), "--out", str(station.parent / "none"))
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "units.toml: no unit has a code, so none could be known among devices" in refused.stderr
    units.write_text(GOLDEN.format(code='code = "T1-000003"'), "utf-8")
    code, result = ran(station, "dut.population=ideal")
    assert (code, result["state"]) == (12, "HELD")
    met = "device 3: code T1-000003 is that of golden unit G7, which is no product"
    assert result["reason"] == f"a golden unit is among the devices: {met}"
    assert bins(result) == {"good": 3, "untested": 1}
    happened = list(read(Path(result["journal"])))
    (trip,) = [event for event in happened if isinstance(event, RuleTripped)]
    assert (trip.rule, trip.action, trip.seen) == ("golden", "hold", met)
    assert [event.untested for event in happened if isinstance(event, TouchdownOpened)] == [(), (1,)]
