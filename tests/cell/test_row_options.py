"""Attempts, grades and rows left out, in a whole lot: report, store and datalog tell of them alike."""

from collections import Counter
from pathlib import Path

from station.datalog.intake import taken_in
from station.datalog.stdf.reader import read
from station.datalog.store import Store
from tests.cell.grading import FRUGAL, SPLIT
from tests.cell.lots import lot

FIRST = Path(__file__).parents[2] / "sequences" / "example" / "first.toml"


def stored(path: Path, run: int = 1) -> list[tuple[int, float | None, tuple[str, ...]]]:
    """Bin, supply current and notes of each device that passed."""
    store = Store(path)
    store.open()
    try:
        return [
            (
                device.bin.number,
                next(one.value for one in device.measurements if one.test == 300),
                tuple(f"{note.kind} {note.test} {note.text}" for note in device.notes),
            )
            for landing in store.touchdowns(run)
            for device in landing.devices
            if device.bin.good
        ]
    finally:
        store.close()


def test_grades_attempts_and_rules_of_a_lot(tmp_path: Path) -> None:
    station = tmp_path / "station.toml"
    text = FIRST.read_text("utf-8")
    station.write_text(text.replace("sequences.example.first:FIRST", "tests.cell.grading:GRADING"), "utf-8")
    faults = ("--fault", "dut.population=ideal", "--fault", "reader-1.card_removed=20@every=5")
    code, result = lot(tmp_path / "out", "--station", str(station), "--devices", "40", *faults)
    assert (code, result["good"]) == (0, 40), result

    good = stored(Path(result["store"]))
    for number, value, _ in good:
        assert (number == FRUGAL.number) == (value is not None and value <= SPLIT)
    assert 0 < sum(number == FRUGAL.number for number, _, _ in good) < len(good)

    notes = Counter(note for _, _, told in good for note in told)
    skips = sum(count for note, count in notes.items() if note == "skipped 310 if_not_frugal")
    attempts = sum(count for note, count in notes.items() if note.startswith("attempt 400 "))
    assert skips == sum(number == FRUGAL.number for number, _, _ in good)
    assert attempts > 0
    assert result["retried"] >= 1
    assert result["skipped"]["310 by if_not_frugal"] >= skips

    told = [record.text("TEXT_DAT") for record in read(Path(result["stdf"])) if record.name == "DTR"]
    assert sum(": skipped test 310: if_not_frugal" in text for text in told) >= skips
    again = Store(tmp_path / "again.db")
    again.open()
    run = taken_in(Path(result["stdf"]), again)
    again.close()
    assert [(number, told) for number, _, told in stored(tmp_path / "again.db", run)] == [
        (number, told) for number, _, told in good
    ]
