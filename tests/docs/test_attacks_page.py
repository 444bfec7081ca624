"""The table of attacks: each row has an answer, and tests that are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/reference/attacks.md"
ROWS = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and "[`" in line]
PROOF = re.compile(r"\[`(test_\w+)`\]\((\S+?)\)")
CODES = re.compile(r"`(\w+)`")


@cache
def functions(path: Path) -> frozenset[str]:
    """All test functions of a file."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_each_attack_has_an_answer_and_tests_that_are_there(row: str) -> None:
    attack, answer, proofs = (cell.strip() for cell in row.strip("|").split("|"))
    assert attack
    assert answer
    found = PROOF.findall(proofs)
    assert found
    for function, path in found:
        assert function in functions((PAGE.parent / path).resolve()), f"{path}::{function}"


def test_each_code_of_the_verification_has_a_row() -> None:
    text = PAGE.with_name("mqtt.md").read_text("utf-8")
    section = text.partition("## Verification")[2].partition("\n## ")[0]
    codes = {
        code
        for line in section.splitlines()
        if line.startswith("| ") and "|---" not in line
        for code in CODES.findall(line.rsplit("|", 2)[1])
    }
    assert "replayed" in codes
    answers = {code for row in ROWS for code in CODES.findall(row.split("|")[2])}
    assert codes <= answers
