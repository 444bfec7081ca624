"""`hardbin equip new`: a new model of each role passes its own dialogues, and nothing is ever overwritten."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import json

from drivers import roles
from station.cli import code_of
from station.cli.codes import Exit
from station.equip.scaffold import SAFETIES, scaffold

ROOT = Path(__file__).parent.parent.parent.parent
ROLES = sorted(SAFETIES)
LIBRARY = ("dialogue", "player", "replay", "stepclock", "test_dialogues", "__init__", "conftest")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with nothing in it but what drivers need, and a new model of each role."""
    folder = tmp_path_factory.mktemp("checkout")
    without = shutil.ignore_patterns("__pycache__", "*.so")
    for package in ("drivers", "sim", "station"):
        shutil.copytree(ROOT / package, folder / package, ignore=without)
    shutil.copytree(ROOT / "tests" / "simulated", folder / "tests" / "simulated", ignore=without)
    for name in LIBRARY:
        shutil.copy(ROOT / "tests" / f"{name}.py", folder / "tests" / f"{name}.py")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for role in ROLES:
        assert code_of(["equip", "new", role, f"acme_{role}9", "--folder", str(folder)]) == Exit.OK
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
        timeout=100,
    )


def test_new_models_pass_their_own_dialogues(checkout: Path) -> None:
    ran = run(checkout, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for role in ROLES:
        assert (checkout / f"tests/dialogues/acme_{role}9/connects.txt").is_file()


def test_new_models_are_written_as_the_house_writes(checkout: Path) -> None:
    checked = run(checkout, "ruff", "check", "--no-cache", "drivers", "sim", "tests")
    assert checked.returncode == 0, checked.stdout
    formatted = run(checkout, "ruff", "format", "--no-cache", "--check", "drivers", "sim", "tests")
    assert formatted.returncode == 0, formatted.stdout


def test_every_verb_of_its_role_is_there_and_says_that_it_is_not_written(checkout: Path) -> None:
    for role in ROLES:
        text = (checkout / f"drivers/{role}/acme_{role}9.py").read_text("utf-8")
        kind = getattr(roles, SAFETIES[role].role)
        for verb in kind.__abstractmethods__ - {"make_safe"}:
            assert f'raise self._unwritten("{verb}")' in text, (role, verb)


def test_nothing_is_overwritten_and_nothing_half_written(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = checkout / "drivers/smu/acme_other.py"
    mine.write_text("# mine\n")
    assert code_of(["equip", "new", "smu", "acme_other", "--folder", str(checkout)]) == Exit.CONFIG
    assert "acme_other.py exists: nothing was written" in capsys.readouterr().err
    assert mine.read_text() == "# mine\n"
    assert not (checkout / "sim/smu/acme_other.py").exists()
    mine.unlink()


@pytest.mark.parametrize("name", ["acme", "Acme_1", "acme-1", "_1", "acme_../x", ""])
def test_name_is_maker_and_model(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["equip", "new", "smu", name, "--folder", str(tmp_path)]) == Exit.CONFIG
    assert "write <maker>_<model>" in capsys.readouterr().err


def test_only_a_checkout_is_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["equip", "new", "smu", "acme_1", "--folder", str(tmp_path)]) == Exit.CONFIG
    assert "is not a checkout of hardbin" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_it_wrote_and_what_is_to_do_is_told(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["equip", "new", "scope", "acme_told", "--folder", str(checkout), "--json"]) == Exit.OK
    told = json.decode(capsys.readouterr().out)
    assert len(told["files"]) == len(scaffold("scope", "acme_told").files)
    assert told["lines"]["pyproject.toml"] == 'acme_told = "drivers.scope.acme_told:AcmeTold"'
    for path in told["files"]:
        Path(path).unlink()
