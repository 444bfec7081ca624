"""The tutorial does what it says: its files are those that are shipped, its commands run in order."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "tutorial" / "first-sequence.md"
FILE = "sequences/example/first.py"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = BLOCK.findall(PAGE.read_text("utf-8"))
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_its_pieces_are_the_whole_sequence() -> None:
    pieces = [line for kind, _, text in BLOCKS if kind == "python" for line in lines(text)]
    assert sorted(pieces) == sorted(lines((ROOT / FILE).read_text("utf-8")))


def test_its_station_file_is_the_shipped_one() -> None:
    shown = [(name, text) for kind, name, text in BLOCKS if kind == "toml"]
    assert [text for _, text in shown] == [(ROOT / name).read_text("utf-8") for name, _ in shown]


def test_its_commands_run_and_say_what_is_shown(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sequences", tmp_path / "sequences")
    for kind, name, text in BLOCKS:
        match kind:
            case "diff":
                change(tmp_path / name, text)
            case "console":
                for command, shown in commands(text):
                    said = ran(tmp_path, command)
                    assert doctest.OutputChecker().check_output(shown, said, LIKE), f"$ {command}\n{said}"


def change(file: Path, text: str) -> None:
    old, new = (line[1:] for line in text.splitlines())
    before = file.read_text("utf-8")
    assert before.count(old) == 1
    file.write_text(before.replace(old, new), "utf-8")


def commands(text: str) -> list[tuple[str, str]]:
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    assert found
    return found


def ran(folder: Path, command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder), "COLUMNS": "100"}
    done = subprocess.run(
        ["sh", "-c", f"exec 2>&1\n{command}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout
