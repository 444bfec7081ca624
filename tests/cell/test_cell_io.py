"""A lot for which a sequence switches relays and lines, a reader types codes, and the tower is looked at."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from station import events
from station.custody.journal import read
from tests.cell.lots import here, lot_here

CELL_IO = Path(__file__).parent / "cell_io.toml"
BENCH = Path(__file__).parents[2] / "sequences" / "example" / "bench.toml"
LINES = """
[[equipment]]
name = "lines"
driver = "ftdi_mpsse"
port = "usb:0403:6014:FT0001"
options = { outputs = ["D0", "D1"], resting_high = ["D0", "D1"] }

[site]
vdd = "supply-{site}.1"
lines = "lines"
relays = "relays"
label = "codes"
code = "wedge"
tower = "tower"
"""


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """A station of one site with handler and supply, and all that stands beside them."""
    cell, _, _ = BENCH.read_text("utf-8").partition('[[equipment]]\nname = "matrix"')
    cell = cell.replace("sequences.example.bench:BENCH", "tests.cell.switching:SWITCHING")
    beside = CELL_IO.read_text("utf-8").replace(
        'port = "usb:1209:0003:K0001"', 'port = "usb:1209:0003:K0001"\noptions = { read_s = 10.0 }'
    )
    path = tmp_path / "station.toml"
    path.write_text(cell + beside + LINES, "utf-8")
    return path


def ran(station: Path, *faults: str, devices: int = 2) -> tuple[int, dict[str, Any]]:
    told = [word for fault in faults for word in ("--fault", fault)]
    where = ("--station", str(station), "--devices", str(devices), "--seed", "7")
    return lot_here(station.parent / "out", *where, *told)


def bins(result: dict[str, Any]) -> dict[str, int]:
    return {one["name"]: one["count"] for one in result["bins"] if one["count"]}


def test_each_device_has_its_code_its_path_and_a_green_tower(station: Path) -> None:
    code, result = ran(station, devices=3)
    assert (code, bins(result)) == (0, {"good": 3}), result
    assert result["simulated_s"] > 15, "a code comes every five seconds"


@pytest.mark.parametrize(
    ("fault", "bin_name"),
    [
        ("codes.no_read", "mark"),
        ("codes.late_read", "mark"),  # it belongs to no trigger any more
        ("wedge.no_read", "mark"),
        ("wedge.noise", "mark"),  # keys among it that no code has
        ("relays.stuck=2", "error"),  # each change is read back
        ("lines.stuck=D0", "error"),
        ("lines.desync@after=5", "error"),
        ("tower.stuck=3", "tower"),  # a warning, and what the site sees of it
    ],
)
def test_what_is_wrong_beside_the_instruments_is_found(fault: str, bin_name: str, station: Path) -> None:
    _, result = ran(station, fault, devices=1)
    assert bins(result) == {bin_name: 1}, result


def test_an_answer_out_of_step_is_asked_for_again(station: Path) -> None:
    _, result = ran(station, "lines.desync@every=3", devices=1)
    assert bins(result) == {"good": 1}, result


def test_without_its_ioniser_a_lot_does_not_begin(station: Path) -> None:
    where = ("--station", str(station), "--fault", "ioniser.stuck")
    refused = here("run", "--lot", "T1", "--out", str(station.parent / "out"), *where)
    assert refused.returncode == 10, refused.stderr
    assert "ioniser: running was set to 1 and is 0" in refused.stderr


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        ("safety.interlock_open@after=40", "safety is open: door"),  # over TCP
        ("ioniser.interlock_open@after=40", "ioniser is open: alarm"),  # on a serial line
        ("safety.drop_reply@after=40", "safety cannot be read, so it counts as open: "),
    ],
)
def test_an_interlock_that_opens_makes_the_cell_safe_and_the_lot_goes_on_when_it_is_closed(
    contact: str, reason: str, station: Path
) -> None:
    out = station.parent / "out"
    code, result = ran(station, contact, devices=5)
    assert (code, result["state"]) == (130, "ABORTED"), result
    assert result["reason"].startswith(reason)
    silent = "safety: not verified within 1 s" if "drop_reply" in contact else ""
    assert result["reason"].partition("; not safe: ")[2] == silent, "all else was switched off, and read back"
    assert result["tested"] < 5
    resume = ("run", "--resume", "T1", "--station", str(station), "--out", str(out), "--json")
    unlooked = here(*resume)
    assert unlooked.returncode == 8, unlooked.stderr
    again = (*resume, "--by", "asha", "--reason", "the door is closed")
    still_open = here(*again, "--fault", contact.partition("@")[0])
    assert still_open.returncode in (10, 11), still_open.stderr
    assert ("safety: not verified" if "drop_reply" in contact else reason) in still_open.stderr
    gone_on = here(*again)
    assert gone_on.returncode in (0, 12), gone_on.stderr
    result = json.decode(gone_on.stdout)
    assert (result["state"], result["tested"], bins(result)) == ("CLOSED", 5, {"good": 5}), result


def test_a_lot_does_not_begin_with_an_open_interlock(station: Path) -> None:
    code, result = ran(station, "safety.interlock_open", devices=2)
    assert (code, result["state"], result["tested"]) == (130, "ABORTED", 0), result
    assert result["reason"] == "safety is open: door"
    told = [one for one in read(station.parent / "out/T1/journal") if isinstance(one, events.CheckTold)]
    opened = {(one.check, one.health, one.found) for one in told}
    assert opened == {("docking", "bad", "safety is open: door")}


def test_a_lot_is_told_which_interlocks_are_closed(station: Path) -> None:
    code, _ = ran(station, devices=1)
    (told,) = [one for one in read(station.parent / "out/T1/journal") if isinstance(one, events.CheckTold)]
    assert (code, told.check, told.health) == (0, "docking", "ok")
    assert told.found == "safety: door; ioniser: alarm"


def test_an_output_that_stays_on_is_named_once(station: Path) -> None:
    _, result = ran(station, "supply-1.stuck_on@after=1", devices=20)
    assert result["state"] == "HELD"
    assert result["reason"] == "supply-1.1: the output was switched off and is still on"
