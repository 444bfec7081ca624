"""Recipes that lie with a station: believed by signatures, staged by command, listed with what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from station import commands, config, events
from station.authority import HOST
from station.between import NAME, between
from station.config import StationConfig
from station.custody.journal import read
from station.door import Door
from station.errors import ConfigError, UntrustedError
from station.recipe.shelf import NotFoundError, Shelf, bring
from station.surroundings import simulated_station_file
from tests.station.recipe.test_recipe import ANNA, BEN, DRAFT, _toml, recipe, released

NOW = 1500.0
EN = frozenset({"engineer"})


@pytest.fixture
def station(tmp_path: Path) -> StationConfig:
    """A station that believes Anna and Ben."""
    (tmp_path / "trust.toml").write_text(_toml(ANNA) + _toml(BEN))
    path = tmp_path / "station.toml"
    path.write_text(simulated_station_file().read_text() + '\n[recipe]\ntrust = "trust.toml"\n')
    return config.load(path)


@pytest.fixture
def shelf(tmp_path: Path, station: StationConfig) -> Shelf:
    return Shelf(tmp_path, station, lambda: NOW)


def draft(tmp_path: Path, text: str = DRAFT) -> Path:
    path = tmp_path / "draft.toml"
    path.write_text(text)
    return path


def test_a_recipe_is_brought_staged_and_found(tmp_path: Path, shelf: Shelf) -> None:
    envelope = released(recipe(draft(tmp_path)), ANNA, BEN)
    name = bring(tmp_path, envelope)
    (one,) = shelf.listed()
    assert (one.recipe, one.title, one.staged, one.wrong) == (name, "se1-ft 4", False, "")
    assert one.signers == (ANNA.kid, BEN.kid)
    with pytest.raises(NotFoundError, match="is staged here"):
        shelf.path(name)
    assert shelf.stage(name[:12], "").title == "se1-ft 4"
    assert shelf.path(name[:12]).read_bytes() == envelope
    (one,) = shelf.listed()
    assert one.staged
    assert shelf.stage(name, "").title == "se1-ft 4"  # again


def test_what_one_person_has_signed_is_listed_and_not_staged(tmp_path: Path, shelf: Shelf) -> None:
    name = bring(tmp_path, released(recipe(draft(tmp_path)), ANNA))
    (one,) = shelf.listed()
    assert one.wrong
    with pytest.raises(UntrustedError):
        shelf.stage(name, "")
    assert not (tmp_path / "recipes" / f"{name}.recipe").exists()


def test_a_flipped_byte_is_another_recipe_that_nobody_signed(tmp_path: Path, shelf: Shelf) -> None:
    envelope = released(recipe(draft(tmp_path)), ANNA, BEN)
    name = bring(tmp_path, envelope)
    path = tmp_path / "recipes/brought" / f"{name}.recipe"
    path.write_bytes(envelope[:60] + bytes([envelope[60] ^ 1]) + envelope[61:])
    (one,) = shelf.listed()
    assert one.wrong
    with pytest.raises((UntrustedError, ConfigError)):
        shelf.stage(name, "")


def test_a_recipe_that_is_over_is_not_staged(tmp_path: Path, station: StationConfig) -> None:
    name = bring(tmp_path, released(recipe(draft(tmp_path)), ANNA, BEN))
    with pytest.raises(UntrustedError, match="no longer"):
        Shelf(tmp_path, station, lambda: 3000.0).stage(name, "")


def test_a_version_says_one_thing_and_goes_back_for_a_reason_only(tmp_path: Path, shelf: Shelf) -> None:
    old = bring(tmp_path, released(recipe(draft(tmp_path)), ANNA, BEN))
    newer = DRAFT.replace("version = 4", "version = 5")
    new = bring(tmp_path, released(recipe(draft(tmp_path, newer)), ANNA, BEN))
    other = bring(
        tmp_path, released(recipe(draft(tmp_path, newer.replace("times = 2", "times = 1"))), ANNA, BEN)
    )
    shelf.stage(new, "")
    with pytest.raises(UntrustedError, match="new version"):
        shelf.stage(other, "a reason does not help")
    with pytest.raises(ConfigError, match="needs a reason"):
        shelf.stage(old, "")
    assert shelf.stage(old, "yield fell").version == 4


@pytest.mark.parametrize("envelope", [b"", b"{}", b"x" * (1 << 20) + b"x"])
def test_what_is_no_recipe_is_not_brought(tmp_path: Path, envelope: bytes) -> None:
    with pytest.raises(ConfigError):
        bring(tmp_path, envelope)
    assert not (tmp_path / "recipes").exists()


# -- by command
async def test_a_command_stages_it_once_and_says_so(tmp_path: Path, shelf: Shelf) -> None:
    name = bring(tmp_path, released(recipe(draft(tmp_path)), ANNA, BEN))

    def asked(number: str, of: str, **more: Any) -> commands.Stage:
        return commands.Stage(id=number, actor="p-9", recipe=of, **({"roles": EN} | more))

    async with between(tmp_path, lambda: NOW, shelf) as notes:
        door = Door()
        door.between = notes
        receipts = [
            await door.request(asked("1", name[:16])),
            await door.request(asked("1", name[:16])),
            await door.request(asked("2", "0" * 16, roles=frozenset({HOST}))),
            await door.request(asked("3", name, roles=frozenset({"technician"}))),
        ]
    assert [receipt.code for receipt in receipts] == ["ok", "ok", "not_found", "denied"]
    happened = list(read(tmp_path / NAME))
    (staged,) = [one for one in happened if isinstance(one, events.Staged)]
    assert (staged.title, staged.actor) == ("se1-ft 4", "p-9")
    assert len([one for one in happened if isinstance(one, events.CommandRefused)]) == 2
    assert [one.staged for one in shelf.listed()] == [True]


async def test_a_station_without_recipes_says_so(tmp_path: Path) -> None:
    command = commands.Stage(id="1", actor="p-9", roles=EN, recipe="0" * 16)
    assert (await Door().request(command)).code == "wrong_state"
    async with between(tmp_path, lambda: NOW) as notes:
        assert (await notes.request(command)).code == "not_found"
