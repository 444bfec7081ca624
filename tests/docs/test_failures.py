"""The table of failures: each row has switch, reaction and tests that are there; each switch has a row."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs.failures import COMMON, PAGE, Row, covered, page, rows
from sim.card.pcsc import SimulatedPcsc
from sim.machines import MODELS

TESTS = Path(__file__).parents[1]
ROWS = [pytest.param(row, id=str(row.number)) for row in rows()]


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@cache
def words(file: str) -> frozenset[str]:
    """All words of a test file, and of the dialogues that it plays."""
    text = (TESTS / file).read_text("utf-8")
    said = set(re.findall(r"\w+", text))
    models = set(re.findall(r"(\w+)/", text)) | {Path(file).stem.removeprefix("test_")}
    for path in (TESTS / "dialogues").glob("*/*.txt"):
        if path.parent.name in models and path.stem in said:
            text += path.read_text("utf-8")
    return frozenset(re.findall(r"\w+", text))


def test_the_page_is_made_of_the_table() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m docs.failures"


def test_rows_are_numbered_without_gaps() -> None:
    assert [row.number for row in rows()] == list(range(1, len(rows()) + 1))
    assert len(rows()) > COMMON


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_whole(row: Row) -> None:
    assert row.failure
    assert row.reaction
    assert list(row.knobs())
    assert row.tests


@pytest.mark.parametrize("row", ROWS)
def test_its_tests_are_there(row: Row) -> None:
    for name in row.tests:
        file, _, function = name.partition("::")
        assert function in functions(file), name


@pytest.mark.parametrize("row", ROWS)
def test_each_switch_is_thrown_in_a_test_of_its_row(row: Row) -> None:
    thrown = frozenset[str]().union(*(words(name.partition("::")[0]) for name in row.tests))
    assert {knob for knob, _ in row.knobs()} - thrown == set()


@pytest.mark.parametrize("model", sorted(MODELS))
def test_each_switch_of_a_machine_is_in_a_row(model: str) -> None:
    assert sorted(MODELS[model].knobs - covered()[model]) == [], "docs/failures.toml needs a row for these"


def test_the_service_of_readers_fails_too() -> None:
    assert SimulatedPcsc.knobs >= {"mute", "card_removed"}
