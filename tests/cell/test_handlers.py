"""Whole lots by the command, on the simulated cell with another handler than its own."""

from pathlib import Path

import pytest
from msgspec import json

from tests.cell.lots import hardbin, lot

STATION = Path(__file__).parents[2] / "sim" / "station.toml"
HANDLERS = sorted((Path(__file__).parent / "handlers").glob("*.toml"))


def station_with(handler: Path, folder: Path) -> Path:
    """Write the simulated cell's station file with two sites and the machines of `handler` for its own."""
    text = STATION.read_text("utf-8")
    before, _, rest = text.partition('[[equipment]]\nname = "handler"')
    after = rest[rest.index("[[equipment]]") :]
    path = folder / "station.toml"
    path.write_text(before.replace("sites = 16", "sites = 2") + handler.read_text("utf-8") + after, "utf-8")
    return path


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda path: path.stem)
def test_a_lot_ends_with_each_device_in_its_bin(handler: Path, tmp_path: Path) -> None:
    station = station_with(handler, tmp_path)
    code, result = lot(tmp_path / "out", "--station", str(station), "--devices", "4", "--seed", "7")
    assert code == 0, result
    assert result["tested"] == 4
    truth = result["truth"]
    assert (truth["escapes"], truth["misplaced"], truth["custody"]) == ([], [], [])


CELL_IO = Path(__file__).parent / "cell_io.toml"


@pytest.mark.parametrize(
    ("fault", "expected", "state"),
    [((), 0, "CLOSED"), (("--fault", "safety.interlock_open@every=30"), 130, "ABORTED")],
    ids=["closed", "door opens"],
)
def test_a_lot_beside_tower_interlock_ioniser_readers_and_relays(
    fault: tuple[str, ...], expected: int, state: str, tmp_path: Path
) -> None:
    text = STATION.read_text("utf-8").replace("sites = 16", "sites = 2")
    before, site, after = text.partition("[site]")
    station = tmp_path / "station.toml"
    station.write_text(before + CELL_IO.read_text("utf-8") + site + after, "utf-8")
    code, result = lot(tmp_path / "out", "--station", str(station), "--devices", "4", "--seed", "7", *fault)
    assert (code, result["state"]) == (expected, state), result
    if fault:
        assert result["reason"] == "safety is open: door"


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda path: path.stem)
def test_an_engineer_cycles_it(handler: Path, tmp_path: Path) -> None:
    where = ("--station", str(station_with(handler, tmp_path)), "--touchdowns", "3", "--json")
    done = hardbin("equip", "cycle", "handler", *where)
    assert done.returncode == 0, done.stderr
    cycled = json.decode(done.stdout)
    assert (cycled["cycles"], cycled["error"]) == (3, "")
