"""`hardbin config`: what counts, where it comes from, and nothing that a network address must not tell."""

import json
from pathlib import Path

import pytest

from station import config as station_config
from station.cli import code_of
from station.cli.codes import Exit
from station.config_keys import explained, keys
from station.errors import ConfigError
from station.surroundings import simulated_station_file

FILE = simulated_station_file()


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: Exit = Exit.OK) -> str:
    assert code_of(["config", *arguments]) == code
    done = capsys.readouterr()
    return done.out + done.err


@pytest.mark.parametrize("key", list(keys()))
def test_every_key_says_what_it_means(key: str) -> None:
    found = explained(key, FILE)
    assert found.means
    assert found.type
    assert [source.name for source in found.sources] == ["environment", "file", "default"]


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    of_file = explained("cell.sites", FILE)
    assert of_file.winner == "file"
    line = int(of_file.sources[1].where.rpartition(":")[2])
    assert FILE.read_text().splitlines()[line - 1].startswith("sites")
    monkeypatch.setenv("HARDBIN_CELL_SITES", "3")
    assert explained("cell.sites", FILE).winner == "environment"
    loaded = station_config.load(FILE)
    assert loaded.cell.sites == len(loaded.sites) == 3
    assert station_config.load(FILE, sites=2).cell.sites == 2  # an option goes before both
    monkeypatch.setenv("HARDBIN_CELL_SITES", "many")
    with pytest.raises(ConfigError, match="HARDBIN_CELL_SITES"):
        station_config.load(FILE)


def test_what_is_shown_has_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARDBIN_MQTT_URL", "mqtts://gateway:s3cret@broker.plant")
    for arguments in (["show"], ["show", "--json"], ["explain", "mqtt.url"]):
        text = said(capsys, *arguments, "--station", str(FILE))
        assert "s3cret" not in text
        assert "mqtts://***@broker.plant" in text


def test_both_forms(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert 'station.name = "sim-ft-01"' in said(capsys, "show", "--station", str(FILE))
    told = json.loads(said(capsys, "explain", "mqtt.lease_s", "--station", str(FILE), "--json"))
    assert (told["winner"], told["value"]) == ("default", 300.0)
    assert "cell.sites" in said(capsys, "explain").splitlines()
    assert "mqtt.url" in said(capsys, "explain", "mqtt.urll", code=Exit.CONFIG)
    said(capsys, "show", "--station", str(tmp_path / "none.toml"), code=Exit.CONFIG)
