"""From the station file to any value of a lot: who measured it; another machine stops the lot."""

from pathlib import Path

from msgspec import json

from station import events
from station.custody.journal import read
from station.surroundings import simulated_station_file
from tests.cell.lots import LOT, hardbin, lot

TWO = ("--devices", "4", "--seed", "3")


def station(folder: Path, due: str) -> str:
    text = simulated_station_file().read_text()
    place = 'port = "visa:TCPIP0::smu-{site}::inst0::INSTR"\n'
    assert place in text
    named = f'{place}serial = ["A1", "A2"]\ncalibration_due = {due}\n'
    path = folder / "station.toml"
    path.write_text(text.replace(place, named, 1).replace("sites = 16", "sites = 2"))
    return str(path)


def test_another_machine_or_one_past_its_day_stops_the_lot_and_the_right_one_lets_it_go_on(
    tmp_path: Path,
) -> None:
    overdue = station(tmp_path, "[2027-01-14, 2027-02-01]")
    code, report = lot(tmp_path / "lots", "--station", overdue, "--fault", "smu-2.other_serial=B7", *TWO)
    assert (code, report["state"], report["tested"]) == (12, "HELD", 0)
    assert report["reason"] == (
        "smu-2: serial number B7 answers, the station file says A2; "
        "smu-1: its calibration was due on 2027-01-14, today is 2027-01-15"
    )
    journal = list(read(tmp_path / "lots" / LOT / "journal"))
    assert [e.seen for e in journal if isinstance(e, events.RuleTripped)] == [
        "smu-2: its calibration is due on 2027-02-01, in 17 days"
    ]
    assert not any(isinstance(event, events.TouchdownOpened) for event in journal)

    right = station(tmp_path, "2029-01-01")
    again = ("--resume", LOT, "--by", "Mia", "--reason", "the right one is back, calibrated")
    ran = hardbin("run", "--out", str(tmp_path / "lots"), "--station", right, "--json", *again)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    store = str(tmp_path / "lots" / LOT / "results.db")
    asked = hardbin("store", "instruments", store, "--part", "2", "--json")
    (found,) = json.decode(asked.stdout)
    machines = {one["role"]: one["instrument"] for one in found["instruments"]}
    assert {one["site"] for one in found["instruments"]} == {2}
    assert machines.keys() == {"io.IO", "io.RST", "io.CLK", "vdd", "chip"}
    assert (machines["io.IO"]["serial"], machines["io.IO"]["calibration_due"]) == ("A2", "2029-01-01")
    assert len(found["software"]) == 1 and len(found["software"][0]["lock_sha256"]) == 64
    everything = hardbin("store", "instruments", store, "--site", "2").stdout
    assert "B7" in everything and "A2" in everything  # what was there before is not forgotten
    missing = hardbin("store", "instruments", store, "--part", "9")
    assert (missing.returncode, missing.stderr.count("\n")) == (3, 1)
    assert f"lot {LOT} has no device 9" in missing.stderr
