"""What the how-to of sequences says is what the code says."""

import inspect
import re
from pathlib import Path

from station import grades, policies, sequence_checks

PAGE = (Path(__file__).parent.parent.parent / "docs/how-to/write-a-sequence.md").read_text("utf-8")
SECTION = PAGE.partition("## What is refused")[2].partition("\n## ")[0]


def shape(message: str) -> str:
    """Return the fixed words of a message: placeholders and quotes left out."""
    text = re.sub(r"\{[^}]*\}|\.\.\.|\d+|'", " ", message)
    return " ".join(text.split())


def test_every_message_of_a_refused_table_is_listed() -> None:
    source = "".join(map(inspect.getsource, (sequence_checks, grades, policies)))
    said = {shape(text) for text in re.findall(r'yield f?"((?:[^"\\]|\\.)*)"', source)}
    shown = {shape(text) for text in re.findall(r"^\| `([^`]*)` \|", SECTION, re.MULTILINE)}
    said.discard(shape("the {role} bin {bin_.name!r} is of kind {bin_.kind.value}, it must be {kind.value}"))
    shown.discard(shape("the passing bin '...' is of kind ..., it must be pass"))
    assert said
    assert said == shown
