"""Bad input on the command line: one clear message, its exit code, no traceback, nothing half-written."""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from station.cli import code_of
from station.surroundings import simulated_station_file

LIMIT_BYTES = 8 * 1024 * 1024


class Refused(Protocol):
    """Runs the command in this process; checks its exit code and what it said, and returns that."""

    def __call__(self, code: int, *arguments: str, says: str) -> str: ...


@pytest.fixture(name="refused")
def _refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    def refused(code: int, *arguments: str, says: str) -> str:
        assert code_of(arguments) == code
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        assert says in said.err
        return said.err

    return refused


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--colour", "red"), "No such option"),
        (("fly",), "No such command"),
        (("run", "--devices", "0"), "--devices"),
        (("run", "--sites", "65"), "--sites"),
        (("run", "--speed", "slow"), "write jump, or a factor above 0"),
        (("run", "--lot", "../x"), "letters, digits"),
        (("run", "--lot", ""), "letters, digits"),
        (("run", "--hardware"), "--hardware needs --station"),
    ],
)
def test_usage(refused: Refused, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    out = ("--out", str(tmp_path)) if arguments[0] == "run" else ()
    refused(2, *arguments, *out, says=says)
    assert list(tmp_path.iterdir()) == []


def changed(folder: Path, old: str, new: str) -> str:
    text = simulated_station_file().read_text()
    assert old in text
    path = folder / "station.toml"
    path.write_text(text.replace(old, new, 1))
    return str(path)


CANNOT_BE_MEANT = (
    ('driver = "keithley_2450"', 'driver = "keithley_9000"', "fine-1"),
    ('driver = "binon"', 'drivr = "binon"', "unknown field `drivr`"),
    ("[site]", '[site]\n"io.EXTRA" = "nothing"', "no equipment is called 'nothing'"),
    ('"smu-{site}.b"', '"smu-{site}.q"', "smu-1.q"),
    ('sequence = "se1-final-test"', 'sequence = "se9"', "there is no sequence 'se9'"),
    ("visa:GPIB1::1::INSTR", "gpib:1", "'gpib:1'"),
    ("[site]", '[simulation]\nlatency = "quick"\n[site]', "simulation.latency"),
)
DOES_NOT_FIT = (
    ('"smu-{site}.b"', '"smu-{site}.q"', "{line}: site.io.RST: 'smu-1.q' is no channel; there are: smu-1.a"),
    ('vdd = "supply-{site}.1"', "", "the sequence se1-final-test needs 'vdd'"),
    ('"supply-{site}.1"', '"smu-{site}.a"', "{line}: site.vdd: a Supply is needed there"),
    ('"smu-{site}.b"', '"supply-{site}.1"', "{line}: site.io.RST: a Smu is needed there"),
    ('handler = "handler"', 'handler = "supply-1"', "{line}: 'supply-1' is no handler and no prober"),
    ('mode = "development"', 'mode = "none"', "{line}: [vault]: mode is 'none'"),
)


@pytest.mark.parametrize(("old", "new", "says"), CANNOT_BE_MEANT)
def test_a_station_file_that_cannot_be_meant(
    refused: Refused, tmp_path: Path, old: str, new: str, says: str
) -> None:
    out = tmp_path / "lots"
    refused(3, "run", "--station", changed(tmp_path, old, new), "--out", str(out), says=says)
    assert not out.exists() or list(out.iterdir()) == []


@pytest.mark.parametrize(("old", "new", "says"), [*CANNOT_BE_MEANT, *DOES_NOT_FIT])
def test_the_check_refuses_it_without_a_run(
    refused: Refused, tmp_path: Path, old: str, new: str, says: str
) -> None:
    file = changed(tmp_path, old, new)
    refused(3, "check", "--station", file, says=says.format(line=f"{file}:{line_of(file)}"))


def line_of(file: str) -> int:
    """The first line in which a station file differs from the simulated one, counted from 1."""
    told, shipped = (path.read_text().splitlines() for path in (Path(file), simulated_station_file()))
    return next(n for n, line in enumerate(told, 1) if line != shipped[n - 1])


def test_a_fault_that_no_machine_has(refused: Refused, tmp_path: Path) -> None:
    refused(
        3, "run", "--out", str(tmp_path), "--fault", "handler.explode", says="handler has no fault 'explode'"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_does_not_open_leaves_nothing_behind(refused: Refused, tmp_path: Path) -> None:
    out = tmp_path / "lots"
    says = refused(11, "run", "--out", str(out), "--lot", "X", "--fault", "fine-2.mute", says="fine-2")
    assert "fine-1" not in says
    assert list(out.iterdir()) == []


def test_an_existing_lot_is_never_overwritten(refused: Refused, tmp_path: Path) -> None:
    lot = tmp_path / "X"
    lot.mkdir()
    (lot / "precious").write_text("kept")
    refused(3, "run", "--lot", "X", "--out", str(tmp_path), says="never overwritten")
    assert (lot / "precious").read_text() == "kept"


def test_a_disk_without_room_refuses_at_the_start(tmp_path: Path) -> None:
    """No file may grow beyond what the journal's reserve needs."""
    command = [sys.executable, "-m", "station.cli", "run", "--lot", "F", "--out", str(tmp_path)]
    ran = subprocess.run(
        [*command, "--devices", "16"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited,
        timeout=100,
    )
    assert ran.returncode == 13
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert "journal" in ran.stderr
    assert "File too large" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))
