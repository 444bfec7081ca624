"""What is sent to somebody who helps: it opens elsewhere, and holds neither secrets nor results."""

import tarfile
from pathlib import Path

import pytest
from msgspec import json

from station.cli import code_of
from station.cli.codes import Exit
from station.custody.journal import read
from station.surroundings import simulated_station_file
from tests.station.console.lots import SOME, journalled

WORD = "correct-horse"


def station_file(folder: Path) -> Path:
    text = simulated_station_file().read_text("utf-8")
    path = folder / "station.toml"
    path.write_text(f'{text}\n[mqtt]\nurl = "mqtts://hardbin:{WORD}@broker:8883"\n', "utf-8")
    return path


async def lot(folder: Path) -> Path:
    made = folder / "L1"
    made.mkdir()
    await journalled(made, SOME)
    (made / "report.json").write_text('{"lot":"L1"}')
    (made / "results.db").write_text("measurements")
    (made / "vault").mkdir()
    (made / "vault" / "keys").write_text("secret")
    return made


async def test_a_bundle_opens_on_another_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, again = tmp_path / "help.tar", tmp_path / "again"
    made, station = await lot(tmp_path), station_file(tmp_path)
    asked = ["--out", str(tmp_path), "--bundle", str(out), "--station", str(station), "--lot", str(made)]
    assert code_of(["doctor", *asked]) == Exit.OK
    assert f"hardbin: {out}: machine.json, packages.json, station.json, L1/" in capsys.readouterr().err
    assert out.stat().st_mode & 0o077 == 0
    assert code_of(["service", "restore", str(out), str(again)]) == Exit.OK
    there = {str(path.relative_to(again)) for path in again.rglob("*") if path.is_file()}
    assert there == {"machine.json", "packages.json", "station.json", "L1/journal", "L1/report.json"}
    assert list(read(again / "L1" / "journal")) == list(read(made / "journal"))
    assert "hardbin" in json.decode((again / "packages.json").read_bytes())
    assert json.decode((again / "station.json").read_bytes())["mqtt"]["url"] == "mqtts://***@broker:8883"
    assert WORD.encode() not in out.read_bytes()


async def test_nothing_goes_out_with_a_private_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, made = tmp_path / "help.tar", await lot(tmp_path)
    (made / "report.json").write_text("-----BEGIN PRIVATE KEY-----")
    code = code_of(["doctor", "--out", str(tmp_path), "--bundle", str(out), "--lot", str(made)])
    assert code == Exit.INTEGRITY
    assert "L1/report.json holds a private key: nothing is written" in capsys.readouterr().err
    assert not out.exists()


def test_what_cannot_be_meant_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "help.tar"
    asked = ["doctor", "--out", str(tmp_path), "--lot", str(tmp_path)]
    assert code_of(asked) == Exit.USAGE
    assert "--bundle FILE" in capsys.readouterr().err
    assert code_of([*asked, "--bundle", str(out)]) == Exit.CONFIG
    assert "is no folder of a lot" in capsys.readouterr().err
    assert not out.exists()
    with tarfile.open(out, "w"):
        pass
    assert code_of(["doctor", "--out", str(tmp_path), "--bundle", str(out)]) == Exit.CONFIG
    assert "File exists" in capsys.readouterr().err
