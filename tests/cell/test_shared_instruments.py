"""Lots whose sites share matrix, meters, scope and generator: each reading is its own site's, or none."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.cell.lots import lot_here

BENCH = Path(__file__).parents[2] / "sequences" / "example" / "bench.toml"


def ran(folder: Path, sequence: str, *, sites: int, devices: int) -> dict[str, Any]:
    text = BENCH.read_text("utf-8").replace(
        "sequences.example.bench:BENCH", f"tests.cell.shared_bench:{sequence}"
    )
    station = folder / "station.toml"
    station.write_text(text, "utf-8")
    where = ("--station", str(station), "--sites", str(sites), "--devices", str(devices), "--seed", "7")
    _, result = lot_here(folder / "out", *where, "--fault", "dut.population=ideal")
    return result


def bins(result: dict[str, Any]) -> dict[str, int]:
    return {one["name"]: one["count"] for one in result["bins"] if one["count"]}


def test_four_sites_take_turns_at_several_instruments_at_once(tmp_path: Path) -> None:
    result = ran(tmp_path, "TOGETHER", sites=4, devices=8)
    assert (result["state"], bins(result)) == ("CLOSED", {"good": 8}), result


@pytest.mark.parametrize(
    ("sequence", "says"),
    [
        ("NESTED", "dmm asked for while matrix is held: take all at once"),
        ("CARELESS", "dmm serves several sites: use it inside `async with taking(...)`"),
    ],
)
def test_what_could_mix_up_two_sites_is_refused(sequence: str, says: str, tmp_path: Path) -> None:
    result = ran(tmp_path, sequence, sites=2, devices=2)
    assert bins(result) == {"error": 2}, result
    with sqlite3.connect(result["store"]) as connection:
        texts = connection.execute("SELECT extra FROM device").fetchall()
    connection.close()
    assert all(says.encode() in extra for (extra,) in texts)


def test_one_site_alone_needs_no_turn(tmp_path: Path) -> None:
    result = ran(tmp_path, "CARELESS", sites=1, devices=1)
    assert bins(result) == {"good": 1}, result
