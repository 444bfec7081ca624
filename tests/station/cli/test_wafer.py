"""`hardbin wafer`: from one format into the other, and what is said of a wrong one."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from station.cli import code_of
from station.cli.wafer import wafer
from station.datalog.maps import e142, g85
from tests.station.datalog.maps.test_maps import wafer as made


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(wafer, [str(argument) for argument in arguments])


def test_from_one_format_into_the_other(tmp_path: Path) -> None:
    e142.write(made(), tmp_path / "a.xml")
    done = run(
        "map", tmp_path / "a.xml", "--format", "g85", "-o", tmp_path / "b.xml", "--notch", "R", "--bottom"
    )
    assert (done.exit_code, done.output) == (0, "")
    assert g85.read(tmp_path / "b.xml") == [made()]
    assert "#1131" in run("map", tmp_path / "b.xml").stdout
    assert json.loads(run("show", tmp_path / "b.xml", "--json").stdout)[0]["good"] == 12
    assert "13 dies alike, 0 not" in run("compare", tmp_path / "a.xml", tmp_path / "b.xml").stdout
    assert (
        json.loads(run("compare", tmp_path / "a.xml", tmp_path / "b.xml", "--json").stdout)["changed"] == []
    )


def test_what_is_wrong_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    e142.write(made(), tmp_path / "a.xml")
    assert code_of(["wafer", "map", str(tmp_path / "a.xml"), "--wafer", "W9"]) == 13
    assert "it has the wafers W07; say one of them" in capsys.readouterr().err
    assert code_of(["wafer", "map", str(tmp_path / "a.xml"), "--format", "g85"]) == 2
    ours = (tmp_path / "a.xml").read_bytes()
    assert (
        code_of(["wafer", "map", str(tmp_path / "a.xml"), "--format", "g85", "-o", str(tmp_path / "a.xml")])
        == 13
    )
    assert "it is not overwritten" in capsys.readouterr().err
    assert (tmp_path / "a.xml").read_bytes() == ours
    (tmp_path / "c.xml").write_text("<MapData>")
    assert code_of(["wafer", "show", str(tmp_path / "c.xml")]) == 13
    assert "it is no XML" in capsys.readouterr().err
