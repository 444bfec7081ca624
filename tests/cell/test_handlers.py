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


def with_services(folder: Path) -> Path:
    """Write the cell with a GEM handler that gets a recipe, has its spool purged, and tells maps."""
    (gem,) = (path for path in HANDLERS if path.stem == "gem")
    station = station_with(gem, folder)
    recipe, maps = folder / "se1.rcp", folder / "maps"
    recipe.write_bytes(b"force = 3 N")
    maps.mkdir()
    options = f'[equipment.options]\nrecipe_file = "{recipe}"\nspool = "purge"\nmap_folder = "{maps}"\n\n'
    text = station.read_text("utf-8")
    at = text.index("[equipment.options.profile]")
    profile = text[at:].replace("\n", '\nend = "LOT-END"\n', 1)
    station.write_text(text[:at] + options + profile, "utf-8")
    return station


def test_a_gem_handler_has_its_recipe_and_sends_the_map_of_its_lot(tmp_path: Path) -> None:
    station = with_services(tmp_path)
    code, result = lot(tmp_path / "out", "--station", str(station), "--devices", "4", "--seed", "7")
    assert code == 0, result
    (path,) = (tmp_path / "maps").iterdir()
    assert path.name == "T1.json"
    told = json.decode(path.read_bytes())
    hard = [one["hard"] for one in result["bins"] for _ in range(one["count"])]
    assert sorted(told["bins"]) == sorted(map(str, hard))
    assert (told["columns"], told["rows"]) == (4, 1)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("recipe_refused=2", "recipe SE1 is refused: it has no space"),
        ("other_recipe", "has another recipe 'SE1'"),
    ],
)
def test_no_lot_without_its_recipe(fault: str, why: str, tmp_path: Path) -> None:
    station = with_services(tmp_path)
    _, result = lot(
        tmp_path / "out", "--station", str(station), "--devices", "2", "--fault", f"handler.{fault}"
    )
    assert (result["state"], result["tested"]) == ("HELD", 0)
    assert why in result["reason"]


def test_a_map_with_a_place_beside_itself_is_not_kept(tmp_path: Path) -> None:
    station = with_services(tmp_path)
    ran = ("--station", str(station), "--devices", "2", "--seed", "7", "--fault", "handler.map_beside")
    code, result = lot(tmp_path / "out", *ran)
    assert (code, result["state"]) == (0, "CLOSED")
    assert list((tmp_path / "maps").iterdir()) == []


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
