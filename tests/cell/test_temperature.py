"""Whole lots at a temperature: the dies have it; an excursion is waited for, one that stays holds."""

from pathlib import Path
from statistics import median

from station import events
from station.custody.journal import read
from station.datalog.store import Store
from station.surroundings import simulated_station_file
from tests.cell.lots import LOT, hardbin, lot

HOT = ("--celsius", "85", "--soak-s", "60", "--flow", "wafer-sort", "--devices", "100", "--seed", "4")
IN_THE_LOT = 256
"""So often the chuck was asked for its temperature when the lot is in its middle."""


def journal(folder: Path) -> list[events.Any]:
    return list(read(folder / LOT / "journal"))


def leakage(folder: Path) -> float:
    store = Store(folder / LOT / "results.db")
    found = [
        amps
        for landing in store.touchdowns(1)
        for device in landing.devices
        for measurement in device.measurements
        if measurement.name == "leakage"
        for amps in measurement.values
    ]
    store.close()
    return median(found)


def test_dies_have_the_temperature_and_an_excursion_is_waited_for(tmp_path: Path) -> None:
    fault = ("--fault", f"prober.excursion=12@after={IN_THE_LOT}@once")
    code, report = lot(tmp_path / "hot", *HOT, *fault)
    assert (code, report["state"], report["tested"]) == (0, "CLOSED", 100)
    assert (report["truth"]["escapes"], report["truth"]["unexplained"]) == ([], [])
    happened = journal(tmp_path / "hot")
    (wait,) = [event for event in happened if isinstance(event, events.RuleTripped)]
    assert (wait.rule, wait.action, wait.seen) == (
        "temperature",
        "wait",
        "96.9 °C, wanted are 85 °C within 2 K",
    )
    at = happened.index(wait)
    before = [event for event in happened[:at] if isinstance(event, events.TouchdownOpened | events.Sorted)]
    assert isinstance(before[-1], events.Sorted) and len(before) > 4  # the touchdown had finished
    assert isinstance(happened[at + 1], events.TemperatureReached)
    dumped = hardbin("stdf", "dump", report["stdf"]).stdout
    assert " TST_TEMP=85 " in dumped

    code, cold = lot(tmp_path / "cold", *HOT[4:])
    assert code == 0 and " TST_TEMP=" not in hardbin("stdf", "dump", cold["stdf"]).stdout
    assert 20 < leakage(tmp_path / "hot") / leakage(tmp_path / "cold") < 120


def test_a_temperature_that_stays_away_holds_the_lot_and_it_can_be_taken_up(tmp_path: Path) -> None:
    fault = ("--fault", f"prober.excursion=12@after={IN_THE_LOT}")
    code, report = lot(tmp_path, *HOT, *fault)
    assert (code, report["state"]) == (12, "HELD")
    assert report["reason"] == "97 °C, wanted are 85 °C within 2 K, and not back within 600 s"
    assert 0 < report["tested"] < 100
    again = ("--resume", LOT, "--by", "Mia", "--reason", "the chiller is back", "--flow", "wafer-sort")
    ran = hardbin("run", "--out", str(tmp_path), "--json", *again)
    assert ran.returncode == 0, ran.stderr
    happened = journal(tmp_path)
    assert [e.wanted for e in happened if isinstance(e, events.TemperatureReached)] == [85.0, 85.0]


def test_an_air_stream_keeps_the_devices_of_a_handler_at_temperature(tmp_path: Path) -> None:
    text = simulated_station_file().read_text().replace("sites = 16", 'thermal = "stream"\nsites = 2')
    stream = (
        '[[equipment]]\nname = "stream"\ndriver = "intest_thermostream"\nport = "visa:GPIB0::9::INSTR"\n\n'
    )
    station = tmp_path / "station.toml"
    station.write_text(text.replace("[site]\n", stream + "[site]\n", 1))
    warm = ("--celsius", "60", "--soak-s", "30", "--devices", "12", "--station", str(station))
    code, report = lot(tmp_path / "lots", *warm, "--fault", "stream.excursion=12@after=56@once")
    assert (code, report["tested"], report["truth"]["unexplained"]) == (0, 12, [])
    rules = [e.action for e in journal(tmp_path / "lots") if isinstance(e, events.RuleTripped)]
    assert rules == ["wait"]


def test_a_cell_that_cannot_heat_says_what_is_missing(tmp_path: Path) -> None:
    ran = hardbin("run", "--out", str(tmp_path / "lots"), "--devices", "2", "--celsius", "85")
    assert ran.returncode == 3 and ran.stderr.count("\n") == 1
    assert "85 °C are asked for, and nothing heats or cools: cell.thermal names" in ran.stderr
    assert not (tmp_path / "lots" / "SIM-0001").exists()
