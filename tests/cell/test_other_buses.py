"""Lots whose machines are reached otherwise: GPIB behind adapters, USBTMC."""

from pathlib import Path

import pytest

from station.surroundings import simulated_station_file
from tests.cell.lots import lot

ELSEWHERE = {
    "visa:GPIB1::1::INSTR": "prologix:tcp:192.0.2.9:1234/1",
    "visa:USB0::0x05E6::0x2450::SIM{site}::INSTR": "usbtmc:05e6:2450:SIM{site}",
    "visa:TCPIP0::supply-{site}::inst0::INSTR": "prologix:serial:hardbin://gpib-{site}/5",
}


@pytest.fixture
def station(tmp_path: Path) -> Path:
    text = simulated_station_file().read_text("utf-8")
    for port, other in ELSEWHERE.items():
        assert port in text
        text = text.replace(port, other)
    file = tmp_path / "station.toml"
    file.write_text(text)
    return file


def test_the_bus_changes_nothing_but_the_time(station: Path, tmp_path: Path) -> None:
    order = ("--devices", "8", "--sites", "2", "--seed", "7")
    code, there = lot(tmp_path / "there", "--station", str(station), *order)
    assert code == 0, there
    _, here = lot(tmp_path / "here", *order)
    for key in ("state", "tested", "good", "secured", "bins", "accounts"):
        assert there[key] == here[key]


def test_the_same_seed_gives_the_same_bytes(station: Path, tmp_path: Path) -> None:
    order = ("--station", str(station), "--devices", "4", "--sites", "2", "--seed", "7")
    stdf = list[bytes]()
    for seed in ("1", "2"):
        code, report = lot(tmp_path / seed, *order, hash_seed=seed)
        assert code == 0, report
        stdf.append(Path(report["stdf"]).read_bytes())
    assert stdf[0] == stdf[1]
