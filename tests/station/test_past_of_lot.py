"""Which stores and which list of packages a lot has, by the station file and by its order."""

from pathlib import Path

import pytest

from station.config import StationConfig, load
from station.errors import ConfigError
from station.lot_order import LotOrder
from station.model import SecondPass
from station.past_of_lot import named, past_of_lot
from station.set_up import Study
from station.surroundings import simulated_station_file


def station(folder: Path, *lines: str) -> StationConfig:
    text = simulated_station_file("final-test").read_text("utf-8")
    path = folder / "station.toml"
    path.write_text(text.replace("[cell]\n", "[cell]\n" + "\n".join(lines) + "\n"), "utf-8")
    return load(path)


def test_stores_and_list_of_each_lot_are_found_by_its_name(tmp_path: Path) -> None:
    plant = "postgresql://hardbin@db/plant"
    config = station(
        tmp_path, f"earlier = ['sort/{{lot}}/results.db', '{plant}#{{lot}}']", "traced = 'lists/{lot}.tsv'"
    )
    stores, traced = named(config, "L7")
    assert stores == (str(tmp_path / "sort/L7/results.db"), f"{plant}#L7")
    assert traced == tmp_path / "lists/L7.tsv"
    bare = station(tmp_path)
    assert named(bare, "L7") == ((), None)


def order(lot: str, second: SecondPass | None = None) -> LotOrder:
    return LotOrder(lot, 4, Path("out"), 1, second=second)


def test_a_lot_whose_store_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    config = station(tmp_path, "earlier = ['sort/{lot}/results.db']")
    with pytest.raises(ConfigError, match=r"sort/L7/results\.db"):
        past_of_lot(order("L7"), config)
    with pytest.raises(ConfigError, match=r"sort/L6/results\.db"):
        past_of_lot(order("L6.R1", SecondPass("L6", 1, (3,))), config)


def test_a_list_alone_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs --earlier"):
        past_of_lot(order("L7"), station(tmp_path, "traced = 'lists/{lot}.tsv'"))


def test_of_a_study_nothing_is_known_where_each_lot_has_its_own(tmp_path: Path) -> None:
    study = LotOrder("G1", 4, Path("out"), 1, study=Study(3))
    assert past_of_lot(study, station(tmp_path, "earlier = ['sort/{lot}/results.db']")).runs == ()
