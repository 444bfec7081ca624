"""Whole wafer sorts by the command: every die tested once, and its bin in the map of the prober."""

from pathlib import Path

import pytest

from sim.wafers import PLACES
from station import events
from station.custody.journal import read
from station.datalog.stdf.reader import read as stdf
from tests.cell.lots import LOT, hardbin, lot

STATION = Path(__file__).parents[2] / "sim" / "wafer_sort.toml"
PROBERS = sorted((Path(__file__).parent / "probers").glob("*.toml"))
DEVICES = 210
"""More than one wafer holds."""


def station_with(prober: Path, folder: Path) -> Path:
    """Write the simulated cell's station file with another prober."""
    text = STATION.read_text("utf-8")
    before, _, rest = text.partition('[[equipment]]\nname = "prober"')
    after = rest[rest.index("[[equipment]]") :]
    path = folder / "station.toml"
    path.write_text(before + prober.read_text("utf-8") + "\n" + after, "utf-8")
    return path


@pytest.mark.parametrize("prober", PROBERS, ids=lambda path: path.stem)
def test_a_lot_by_each_prober(prober: Path, tmp_path: Path) -> None:
    devices = 40 if prober.stem == "cascade_nucleus" else DEVICES
    arguments = ("--station", str(station_with(prober, tmp_path)), "--devices", str(devices))
    _, result = lot(tmp_path / "out", *arguments, "--seed", "7")
    assert result["state"] == "CLOSED"
    assert result["tested"] == devices
    assert result["truth"]["custody"] == []
    if prober.stem != "cascade_nucleus":  # it has no map to mark
        assert result["truth"]["misplaced"] == []


def test_every_die_is_known_by_wafer_and_place(tmp_path: Path) -> None:
    _, result = lot(tmp_path, "--station", str(STATION), "--devices", "40", "--seed", "7")
    opened = [e for e in read(Path(result["journal"])) if isinstance(e, events.TouchdownOpened)]
    places = {e.parts[site]: place for e in opened for site, place in e.positions.items() if site in e.parts}
    assert {e.wafer for e in opened} == {f"{LOT}-01"}
    assert sorted(places) == list(range(1, 41))
    assert sorted(places.values(), key=lambda place: place[::-1]) == list(PLACES[:40])
    told = {
        int(str(record.values["PART_ID"])): (record.integer("X_COORD"), record.integer("Y_COORD"))
        for record in stdf(Path(result["stdf"]))
        if record.name == "PRR"
    }
    assert told == places


def test_the_cell_that_comes_with_the_simulator(tmp_path: Path) -> None:
    code, result = lot(tmp_path, "--flow", "wafer-sort", "--devices", "64", "--fault", "dut.population=ideal")
    assert code == 0, result
    assert (result["tested"], result["good"]) == (64, 64)
    assert Path(result["stdf"]).name.startswith("T1_CP1_sim_ws_01_")


def test_what_no_contact_tells_of_is_no_escape_of_wafer_sort(tmp_path: Path) -> None:
    chip = ("--fault", "dut.dead@every=5", "--fault", "dut.kat@every=7")
    size = ("--devices", "40", "--fault", "dut.population=ideal")
    code, result = lot(tmp_path, "--flow", "wafer-sort", *size, *chip)
    assert (code, result["good"]) == (0, 40)
    assert (result["truth"]["good"], result["truth"]["escapes"]) == (40, [])


def test_what_contacts_tell_of_is_found_in_wafer_sort(tmp_path: Path) -> None:
    size = ("--devices", "40", "--fault", "dut.population=ideal", "--fault", "dut.leaky_input@every=5")
    code, result = lot(tmp_path, "--flow", "wafer-sort", *size)
    assert (code, result["truth"]["good"], result["truth"]["escapes"]) == (0, 32, [])
    assert result["good"] == 32


def test_a_flow_and_a_station_file_are_two_answers(tmp_path: Path) -> None:
    both = hardbin("run", "--out", str(tmp_path), "--flow", "wafer-sort", "--station", str(STATION))
    assert both.returncode == 2
    assert "give one of them" in both.stderr


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("prober.vacuum_fail", "without vacuum"),
        ("prober.shift_die=1,0@every=5", "stands on die"),
        ("prober.door_open@every=9", "front door open"),
        ("prober.contact_fail", "no contact on die"),
        ("prober.drop_reply@every=40", "no answer to"),
        ("prober.rst@every=70", "connection"),
    ],
)
def test_what_goes_wrong_holds_the_lot(fault: str, says: str, tmp_path: Path) -> None:
    arguments = ("--station", str(STATION), "--devices", "32", "--fault", fault)
    _, result = lot(tmp_path, *arguments)
    assert result["state"] == "HELD"
    assert says in result["reason"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("card = [[0, 0], [1, 0],", "card = [[0, 0],", "card has 3 sites"),
        ("tcp:prober-1:35555", "serial:hardbin://x", "mpi_sentio is at tcp"),
    ],
)
def test_a_station_that_cannot_be_is_refused(old: str, new: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    text = STATION.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    ran = hardbin("run", "--station", str(path), "--out", str(tmp_path / "out"))
    assert ran.returncode != 0
    assert says in ran.stderr


@pytest.mark.parametrize("prober", PROBERS, ids=lambda path: path.stem)
def test_the_engineer_at_the_machine(prober: Path, tmp_path: Path) -> None:
    station = ("--station", str(station_with(prober, tmp_path)))
    assert hardbin("equip", "probe", *station, "prober").returncode == 0
    cycled = hardbin("equip", "cycle", *station, "--touchdowns", "3", "prober")
    assert cycled.returncode == 0, cycled.stderr
