"""At a release the fragments become a section of the changelog, and go."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name in ("CHANGELOG.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "changes").mkdir()
    for path in (ROOT / "changes").glob("*.md"):
        shutil.copy(path, tmp_path / "changes")
    (tmp_path / "changes/sample.md").write_text("Something\nis new.\n")
    return tmp_path


def made(house: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command: list[str | Path] = [sys.executable, ROOT / ".ci/changelog", *arguments, "--root", house]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_fragment_is_in_the_section_of_the_version(house: Path) -> None:
    fragments = {path.name: path.read_text("utf-8") for path in (house / "changes").glob("*.md")}
    done = made(house, "99.0.0", "2026-11-30")
    assert (done.returncode, done.stderr) == (0, "")
    assert not list((house / "changes").glob("*.md"))
    before, _, told = (house / "CHANGELOG.md").read_text("utf-8").partition("## 99.0.0 (2026-11-30)\n")
    assert "## Unreleased" in before
    told, _, _ = told.partition("\n## ")
    for name, text in fragments.items():
        assert all(line in told for line in text.strip().splitlines()), name
    assert told.count("\n### ") == len(fragments)
    assert "### Sample\n\nSomething\nis new.\n" in told


def test_the_version_is_the_projects(house: Path) -> None:
    before = tomllib.loads((house / "pyproject.toml").read_text("utf-8"))
    assert made(house, "99.0.0", "2026-11-30").returncode == 0
    after = tomllib.loads((house / "pyproject.toml").read_text("utf-8"))
    assert after["project"].pop("version") == "99.0.0"
    del before["project"]["version"]
    assert after == before


@pytest.mark.parametrize(
    ("version", "date", "text"),
    [("1.0", "2026-11-30", "version"), ("99.0.0", "today", "date"), ("99.0.0", "2026-11-30", "empty")],
)
def test_what_cannot_be_meant_changes_nothing(house: Path, version: str, date: str, text: str) -> None:
    if text == "empty":
        (house / "changes/nothing.md").write_text("\n")
    before = sorted(path.name for path in (house / "changes").iterdir())
    done = made(house, version, date)
    assert done.returncode == 1
    assert text in done.stderr
    assert sorted(path.name for path in (house / "changes").iterdir()) == before
    for name in ("CHANGELOG.md", "pyproject.toml"):
        assert (house / name).read_bytes() == (ROOT / name).read_bytes()


def test_a_version_is_released_once(house: Path) -> None:
    assert made(house, "99.0.0", "2026-11-30").returncode == 0
    (house / "changes/more.md").write_text("More.\n")
    assert "there already" in made(house, "99.0.0", "2026-12-01").stderr
