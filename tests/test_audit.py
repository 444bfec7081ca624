"""The audit of the locks finds what it must find, and finds nothing in ours."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parent.parent
AUDIT = ROOT / ".ci/audit"
ADVISORIES = tomllib.loads((ROOT / ".ci/advisories.toml").read_text("utf-8"))["advisory"]
HASH = " \\\n    --hash=sha256:" + "0" * 64 + "\n"


def audited(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, AUDIT, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


def lock(folder: Path, text: str, name: str = "requirements.lock") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_our_locks_are_sound_and_the_bill_of_materials_is_whole(tmp_path: Path) -> None:
    done = audited("--sbom", tmp_path / "sbom.json")
    assert (done.returncode, done.stderr) == (0, "")
    told = {one["name"] for one in json.loads((tmp_path / "sbom.json").read_bytes())["components"]}
    assert {"cryptography", "msgspec", "uvicorn"} <= told


def affected(specifier: str) -> str:
    """A version that an advisory is about: a bound, or just below it."""
    bounds = [Version(one.version) for one in SpecifierSet(specifier)]
    tried = [bound for bound in bounds if bound in SpecifierSet(specifier)]
    return str(tried[0]) if tried else "0.0.1"


@pytest.mark.parametrize("advisory", ADVISORIES, ids=[one["id"] for one in ADVISORIES])
def test_a_weak_version_is_found(tmp_path: Path, advisory: dict[str, str]) -> None:
    weak = f"{advisory['package']}=={affected(advisory['affected'])}{HASH}"
    done = audited(lock(tmp_path, weak, "requirements-test.lock"))
    assert done.returncode == 1
    assert advisory["id"] in done.stderr


def test_what_has_no_hash_or_is_installed_otherwise_is_found(tmp_path: Path) -> None:
    done = audited(lock(tmp_path, f"msgspec==0.0.1{HASH}click==8.0.0\n"))
    assert done.returncode == 1
    assert "click 8.0.0: no hash" in done.stderr
    assert "0.0.1 is locked" in done.stderr


def test_a_licence_that_binds_is_found(tmp_path: Path) -> None:
    """Pymerkle is under the GPL: a judge of tests, which no plant may get."""
    from importlib.metadata import version

    done = audited(lock(tmp_path, f"pymerkle=={version('pymerkle')}{HASH}"))
    assert done.returncode == 1
    assert "pymerkle: its licence" in done.stderr


def test_an_empty_lock_is_no_success(tmp_path: Path) -> None:
    assert audited(lock(tmp_path, "# nothing\n")).returncode == 1
