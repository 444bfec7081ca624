"""`hardbin recipe` on what is no recipe."""

from pathlib import Path

import pytest

from station.cli import code_of
from station.cli.codes import Exit


@pytest.mark.parametrize("command", ["show", "stage"])
@pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256))])
def test_what_is_no_recipe_is_said_so(
    command: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe"
    file.write_bytes(content)
    data = ["--data", str(tmp_path / "data")] if command == "stage" else []
    assert code_of(["recipe", command, str(file), *data]) in {Exit.CONFIG, Exit.TRUST}
    assert capsys.readouterr().err.count("\n") == 1
