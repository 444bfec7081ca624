"""A production station drives its machines by released content only."""

import hashlib
from base64 import urlsafe_b64encode
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from station import config as station_config
from station import production
from station.assemble import sequence_named
from station.cli import code_of
from station.cli.codes import Exit
from station.surroundings import simulated_station_file


def station_file(folder: Path, *more: str) -> Path:
    """The simulated cell's, as one of production."""
    text = simulated_station_file().read_text("utf-8")
    path = folder / "station.toml"
    path.write_text(text.replace("[station]\n", "[station]\nproduction = true\n") + "\n".join(more), "utf-8")
    return path


def against(path: Path) -> str:
    config = station_config.load(path)
    return "; ".join(production.objections(config, sequence_named(config.cell.sequence)))


def installed(folder: Path, files: dict[str, bytes], *, hashed: bool = True) -> Distribution:
    """A package as pip leaves it."""
    info = folder / "made-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 1.0\n")
    rows = []
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(data)
        digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},{f'sha256={digest}' if hashed else ''},{len(data)}")
    (info / "RECORD").write_text("\n".join([*rows, "made-1.0.dist-info/RECORD,,", ""]))
    return Distribution.at(info)


FILES = {"made/__init__.py": b"", "made/test.py": b"LIMIT = 1\n"}


def test_a_package_is_as_it_was_built_or_says_what_is_not(tmp_path: Path) -> None:
    package = installed(tmp_path, FILES)
    assert production.altered(package) == ""
    (tmp_path / "made" / "more.py").write_text("LIMIT = 3\n")
    assert production.altered(package) == f"{tmp_path / 'made' / 'more.py'} is no file of it"
    (tmp_path / "made" / "test.py").write_text("LIMIT = 2\n")
    assert production.altered(package) == "made/test.py is not as it was built"
    (tmp_path / "made" / "test.py").unlink()
    assert production.altered(package) == "made/test.py is not as it was built"


def test_a_package_of_a_working_folder_or_without_hashes_is_no_release(tmp_path: Path) -> None:
    package = installed(tmp_path / "a", FILES, hashed=False)
    assert production.altered(package) == "it has no list of its files and their hashes"
    package = installed(tmp_path / "b", FILES)
    direct = tmp_path / "b" / "made-1.0.dist-info" / "direct_url.json"
    direct.write_text('{"dir_info": {"editable": true}, "url": "file:///src"}')
    assert production.altered(package) == "it is installed from a working folder"


def test_all_that_is_in_the_way_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "altered", lambda package: "it is installed from a working folder")
    told = against(station_file(tmp_path))
    for part in ("recipe.trust is not given", 'vault.mode is "development"', "package hardbin: it is inst"):
        assert part in told


def test_what_is_released_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "altered", lambda package: "")
    monkeypatch.setattr(production, "assumed", lambda config: iter(()))
    path = station_file(tmp_path, '[recipe]\ntrust = "trust.toml"')
    running = 'mode = "running"\naddress = "unix:/run/hardbin/vault.sock"'
    path.write_text(path.read_text("utf-8").replace('mode = "development"', running), "utf-8")
    assert against(path) == ""


def test_a_station_of_production_does_not_drive_machines_before_all_is_released(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    station, out = str(station_file(tmp_path)), tmp_path / "lots"
    for command in (["run", "--out", str(out)], ["serve", "--console", "--data", str(tmp_path / "data")]):
        assert code_of([*command, "--hardware", "--station", station]) == Exit.CONFIG
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert f"{station}: not for production: " in said
    assert list(out.iterdir()) == []
    assert not (tmp_path / "data").exists()
    assert code_of(["check", "--production", "--station", station]) == Exit.CONFIG
    assert "hardbin: not for production: recipe.trust is not given" in capsys.readouterr().err
