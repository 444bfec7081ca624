"""Another station file between two lots: what it changes, whom that takes, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from station import config as station_config
from station import config_shelf
from station.config import StationConfig
from station.errors import ConfigError
from station.recipe.shelf import NotFoundError
from station.surroundings import simulated_station_file

TEXT = simulated_station_file().read_text()


@pytest.fixture
def now(tmp_path: Path) -> StationConfig:
    """That of a station with a file of its own."""
    path = tmp_path / "station.toml"
    path.write_text(TEXT)
    return station_config.load(path)


def brought(folder: Path, text: str) -> Path:
    return config_shelf.named(folder, config_shelf.bring(folder, text.encode())[:12])


def with_table(more: str) -> str:
    return f"{TEXT}\n{more}\n"


def test_what_changes_is_told_and_the_file_replaced(tmp_path: Path, now: StationConfig) -> None:
    path = brought(tmp_path / "data", with_table("[golden]\nhours = 8.0"))
    config = config_shelf.taken_for(path, now)
    (change,) = config_shelf.changes(now, config)
    assert (change.key, change.before, change.after) == ("golden.hours", 12.0, 8.0)
    assert config_shelf.fixed((change,)) == config_shelf.guarded((change,)) == []
    config_shelf.put(path, config)
    assert station_config.load(now.source) == replace(config, source=now.source)


@pytest.mark.parametrize(
    ("text", "fixed", "guarded"),
    [
        (with_table('[recipe]\ntrust = "t.toml"'), [], ["recipe.trust"]),
        (with_table("[mqtt]\nlease_s = 20.0"), ["mqtt.lease_s"], []),
        (TEXT.replace('insertion = "FT1"', 'insertion = "FT2"'), [], []),
    ],
    ids=["trust", "mqtt", "insertion"],
)
def test_whom_a_change_takes(
    tmp_path: Path, now: StationConfig, text: str, fixed: list[str], guarded: list[str]
) -> None:
    found = config_shelf.changes(now, config_shelf.taken_for(brought(tmp_path, text), now))
    assert config_shelf.fixed(found) == fixed
    assert config_shelf.guarded(found) == guarded


def test_a_file_of_which_no_cell_can_be_built_is_listed_with_its_reason(
    tmp_path: Path, now: StationConfig
) -> None:
    brought(tmp_path, TEXT.replace("[cell]", "[cell]\nspeed = 7"))
    brought(tmp_path, with_table("[golden]\nhours = 8.0"))
    wrong, good = sorted(config_shelf.listed(tmp_path, now), key=lambda one: not one.wrong)
    assert "speed" in wrong.wrong
    assert [one.key for one in good.changes] == ["golden.hours"]
    assert not good.two


def test_a_file_that_is_not_there_or_not_what_was_brought(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no station file"):
        config_shelf.named(tmp_path, "00")
    path = brought(tmp_path, TEXT)
    path.write_text(TEXT + "# more")
    with pytest.raises(ConfigError, match="not what was brought"):
        config_shelf.named(tmp_path, path.stem)
