"""The dialogues alone lead through every line of the models in `drivers/`: no bus, no simulator."""

import subprocess
import sys
from pathlib import Path

from msgspec import json

from tests.lines import ROLES, ROOT

TESTS = [f"tests/drivers/{role}" for role in ROLES]
ALONE = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.lines")


def test_dialogues_lead_through_every_line(tmp_path: Path) -> None:
    told = tmp_path / "lines.json"
    command = [sys.executable, *ALONE, "--lines", str(told), *TESTS]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    missing = json.decode(told.read_bytes(), type=dict[str, list[int]])
    assert len(missing) > 2 * len(ROLES)
    assert {name: lines for name, lines in missing.items() if lines} == {}


def test_a_line_that_no_dialogue_reaches_is_found(tmp_path: Path) -> None:
    told = tmp_path / "lines.json"
    command = [sys.executable, *ALONE, "--lines", str(told), "tests/drivers/tower", "-k", "older"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
    missing = json.decode(told.read_bytes(), type=dict[str, list[int]])
    source = (ROOT / "drivers/tower/patlite.py").read_text().splitlines()
    said = {source[line - 1].strip() for line in missing["drivers/tower/patlite.py"]}
    assert 'await self._asked(Request("S", data))' in said
    assert "self._stream = port" not in said
