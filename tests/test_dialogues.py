"""Every dialogue against its simulator, and the rules for the files themselves."""

from pathlib import Path

import pytest

from tests.dialogue import Dialogue, DialogueError, all_dialogues, load
from tests.player import play, simulator

DIALOGUES = all_dialogues()


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=str)
def test_simulator_answers_as_written(dialogue: Dialogue) -> None:
    play(dialogue, simulator(dialogue))


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=str)
def test_origin_names_its_source(dialogue: Dialogue) -> None:
    assert dialogue.turns
    if dialogue.origin != "assumed":
        assert dialogue.source, "a manual or a capture is named"


def test_file_without_origin_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("> *IDN?\n")
    with pytest.raises(DialogueError, match="first line"):
        load(path)
