"""Which VISA library a station file means, and what is said when it is not there."""

from pathlib import Path

import pytest

from station import assemble, visa_libraries
from station.cli import code_of
from station.cli.codes import Exit
from station.errors import ConfigError
from station.surroundings import simulated_station_file


def test_names_that_need_nothing() -> None:
    assert visa_libraries.library("@py") == "@py"
    assert visa_libraries.library("world-1@hardbin") == "world-1@hardbin"


def test_a_path_is_a_vendor_s_library(tmp_path: Path) -> None:
    library = tmp_path / "libvisa.so"
    library.touch()
    assert visa_libraries.library(str(library)) == f"{library}@ivi"
    assert visa_libraries.library(f"{library}@ivi") == f"{library}@ivi"


def test_a_vendor_s_library_is_where_its_package_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "libktvisa32.so"
    monkeypatch.setitem(visa_libraries.VENDORS, "keysight", ("/nowhere.so", str(library)))
    with pytest.raises(
        ValueError, match="keysight: its library is not installed: looked for /nowhere.so and"
    ):
        visa_libraries.library("keysight")
    library.touch()
    assert visa_libraries.library("keysight") == f"{library}@ivi"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("linux-gpib", "its Python module gpib or gpib_ctypes is not installed"),
        ("nivisa", "'nivisa' is no VISA library; allowed are @py, @ivi, linux-gpib, ni, keysight"),
        ("/nowhere/libvisa.so", "there is no VISA library at /nowhere/libvisa.so"),
    ],
)
def test_what_is_missing_is_said(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visa_libraries, "GPIB_MODULES", ("gpib", "gpib_ctypes"))
    monkeypatch.setattr(visa_libraries, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=message):
        assemble.Hardware(name)


def test_a_station_with_a_missing_library_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "station.toml"
    text = simulated_station_file().read_text("utf-8")
    file.write_text(f'{text}\n[visa]\nlibrary = "/nowhere/libvisa.so"\n')
    assert (
        code_of(["run", "--hardware", "--station", str(file), "--out", str(tmp_path / "lots")]) == Exit.CONFIG
    )
    assert "[visa] library: there is no VISA library at /nowhere" in capsys.readouterr().err
    assert code_of(["check", "--station", str(file)]) == Exit.CONFIG
    assert not (tmp_path / "lots").exists()
