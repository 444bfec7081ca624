"""The page on bad data names tests, and they are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "bad-data.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))
ASKED = (
    *("cut", "big-endian", "over-long", "malformed STDF", "malformed or cut map", "NaN, infinities"),
    *("text outside ASCII", "65,535 bytes", "limits crossed over", "a die outside the map"),
    *("a wafer id read wrongly", "disk full in the middle of a touchdown"),
)


@pytest.mark.parametrize("named", NAMED)
def test_a_named_test_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
    assert name in functions


@pytest.mark.parametrize("asked", ASKED)
def test_each_kind_of_bad_data_has_its_line(asked: str) -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("|") and asked in line.split("|")[1]]
    assert lines
    assert all("tests/" in line for line in lines)
