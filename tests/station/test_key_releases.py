"""A key release on its way: it lies with the station, names two signers, and the vault alone believes it."""

from dataclasses import replace
from pathlib import Path

import pytest

from station import config as station_config
from station import key_releases
from station.config import StationConfig
from station.errors import ConfigError
from station.recipe.shelf import NotFoundError
from station.surroundings import simulated_station_file
from station.vault.desk.documents import KeyRelease
from station.vault.desk.signers import development
from station.vault.desk.statement import signed

RELEASE = KeyRelease(key_set="KS-1", order="WO-1", stations=("cell-1",), not_after=2_000_000_000)
BOTH = signed(RELEASE, [development("p-00000002"), development("p-00000003")])
ONE = signed(RELEASE, [development("p-00000002")])


@pytest.fixture
def running() -> StationConfig:
    """A station whose vault runs, though nobody answers there."""
    config = station_config.load(simulated_station_file())
    vault = type(config.vault)(mode="running", address="unix:/nonexistent/vault.sock")
    return replace(config, vault=vault)


def test_it_is_found_by_its_name_or_the_beginning_of_it(tmp_path: Path) -> None:
    name = key_releases.bring(tmp_path, BOTH)
    assert key_releases.named(tmp_path, name[:10]) == BOTH
    with pytest.raises(NotFoundError, match="no key release"):
        key_releases.named(tmp_path, "00")


def test_what_lies_there_is_listed(tmp_path: Path) -> None:
    name = key_releases.bring(tmp_path, BOTH)
    (tmp_path / "keys" / f"{'0' * 64}.signed").write_bytes(b"{}")
    broken, found = key_releases.listed(tmp_path)
    assert (found.release, found.order, found.key_set, found.stations) == (name, "WO-1", "KS-1", ("cell-1",))
    assert (found.signers, found.wrong) == (("p-00000002", "p-00000003"), "")
    assert broken.wrong


@pytest.mark.parametrize("statement", [b"", b"{}", b"x" * (key_releases.SIZE_MAX + 1)])
def test_what_is_none_is_not_taken(tmp_path: Path, statement: bytes) -> None:
    with pytest.raises(ConfigError, match="key release"):
        key_releases.bring(tmp_path, statement)
    assert list(tmp_path.iterdir()) == []


async def test_one_signature_is_not_carried(running: StationConfig) -> None:
    assert (await key_releases.carried(running, ONE)).code == "dual_pending"


async def test_a_station_without_a_vault_that_runs_carries_nothing() -> None:
    config = station_config.load(simulated_station_file())
    assert (await key_releases.carried(config, BOTH)).code == "wrong_state"
