"""The chips' timing is the station file's choice, and every device is sealed under each."""

from pathlib import Path

from station.surroundings import simulated_station_file
from tests.cell.lots import lot


def test_the_station_file_chooses_what_chips_charge(tmp_path: Path) -> None:
    text, spent = simulated_station_file().read_text(), []
    for profile in ("zero", "qvault", "qvault-full"):
        file = tmp_path / f"{profile}.toml"
        file.write_text(f'{text}\n[simulation]\nlatency = "{profile}"\n')
        arguments = (
            "--station",
            str(file),
            "--devices",
            "4",
            "--sites",
            "4",
            "--fault",
            "dut.population=ideal",
        )
        code, report = lot(tmp_path / profile, *arguments)
        assert (code, report["secured"]) == (0, 4)
        spent.append(report["simulated_s"])
    assert spent[0] + 5.0 < spent[1] < spent[2] - 1.0
