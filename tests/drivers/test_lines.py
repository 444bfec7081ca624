"""The dialogues alone lead through every line of the instruments' drivers: no bus, no simulator."""

import subprocess
import sys
from pathlib import Path

from msgspec import json

ROOT = Path(__file__).parents[2]
ROLES = ("smu", "supply", "dmm", "relays", "scope", "generator", "counter", "thermal")


def coverage(data: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "coverage", arguments[0], f"--data-file={data}", *arguments[1:]]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_dialogues_lead_through_every_line(tmp_path: Path) -> None:
    data, told = tmp_path / "lines", tmp_path / "lines.json"
    models = ",".join(f"drivers/{role}" for role in ROLES)
    tests = [f"tests/drivers/{role}" for role in ROLES]
    coverage(data, "run", f"--source={models}", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    coverage(data, "json", "-o", str(told))
    files = json.decode(told.read_bytes())["files"]
    assert len(files) > len(ROLES)
    assert {name: file["missing_lines"] for name, file in files.items() if file["missing_lines"]} == {}
