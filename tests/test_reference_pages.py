"""Pages show dialogues and code as the files have them."""

import re
from pathlib import Path

import pytest

from tests.dialogue import FOLDER

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(dialogue|python) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = sorted((ROOT / "docs").glob("**/*.md"))
BLOCKS = [
    pytest.param(kind, name, text, id=f"{page.stem}:{number}:{name}")
    for page in PAGES
    for number, (kind, name, text) in enumerate(BLOCK.findall(page.read_text("utf-8")))
]


@pytest.mark.parametrize(("kind", "name", "text"), BLOCKS)
def test_block_is_what_the_file_says(kind: str, name: str, text: str) -> None:
    if kind == "dialogue":
        assert text == (FOLDER / f"{name}.txt").read_text("utf-8")
    else:
        assert text in (ROOT / name).read_text("utf-8")
