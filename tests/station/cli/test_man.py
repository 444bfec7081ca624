"""Manual pages of all commands, which a formatter can read."""

import shutil
import subprocess
from pathlib import Path

import pytest

from station.cli import code_of, hardbin
from station.cli.codes import Exit
from tests.docs.test_references import commands


def test_every_command_has_its_page_and_every_option_is_on_it(tmp_path: Path) -> None:
    assert code_of(["man", str(tmp_path)]) == Exit.OK
    for path, command in commands(hardbin):
        text = (tmp_path / f"{path.replace(' ', '-')}.1").read_text("utf-8")
        assert text.startswith(".TH ")
        for option in (name for one in command.params for name in one.opts if name.startswith("--")):
            assert option.replace("-", "\\-") in text
    assert ".SH COMMANDS" in (tmp_path / "hardbin.1").read_text("utf-8")


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_a_formatter_has_nothing_to_say_against_them(tmp_path: Path) -> None:
    assert code_of(["man", str(tmp_path)]) == Exit.OK
    pages = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-Wbreak", "-z", *pages],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
