"""The page of the crash matrix: each promise says what holds and names tests that are there."""

import re
from pathlib import Path

import pytest

from tests.crash.test_phrases import Part
from tests.docs.test_attacks_page import PROOF, functions

PAGE = Path(__file__).parents[2] / "docs/reference/crash-matrix.md"
TEXT = PAGE.read_text("utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "[`" in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_each_promise_is_asserted_by_tests_that_are_there(row: str) -> None:
    promise, holds, proofs = (cell.strip() for cell in row.strip("|").split("|"))
    assert promise
    assert holds
    found = PROOF.findall(proofs)
    assert found
    for function, path in found:
        assert function in functions((PAGE.parent / path).resolve()), f"{path}::{function}"


def test_each_part_of_the_way_has_its_row() -> None:
    named = re.findall(r"`(\w+)` \|$", TEXT, re.MULTILINE)
    assert named == [part.name.lower() for part in Part]
