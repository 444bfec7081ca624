"""The page of threats: every test that it names is there, and every parser of the list is thrown bytes at."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/threats.md"
NAMED = re.compile(r"\[`(\w+)(?:\.py)?`\]\(\.\./\.\./(tests/[\w/]+\.py)\)")
FUZZED = (
    "APDU",
    "TLV",
    "STDF",
    "E142",
    "G85",
    "SECS-II",
    "MQTT payloads",
    "recipe bundles",
    "evidence bundles",
    "configuration",
)
"""What must be in the table of bytes from elsewhere."""


def rows(section: str) -> list[list[str]]:
    """The rows of the tables behind a heading, without their heads."""
    text = re.split(rf"^## {section}$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1]
    lines = re.split(r"^## ", text, flags=re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][
        1:
    ]


def sections() -> list[str]:
    return re.findall(r"^## (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)


@cache
def functions(file: str) -> dict[str, set[str]]:
    """The tests of a file, and the names of their decorators."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {node.name: {ast.unparse(one).partition("(")[0] for one in node.decorator_list} for node in found}


@pytest.mark.parametrize("section", sections())
def test_every_threat_is_tried_by_a_test_that_is_there(section: str) -> None:
    assert rows(section)
    for row in rows(section):
        named = NAMED.findall(row[-1])
        assert named, row[0]
        for name, file in named:
            assert name in functions(file) or name == Path(file).stem, (row[0], name)


def test_every_parser_of_the_list_is_thrown_bytes_at() -> None:
    table = {row[0]: NAMED.findall(row[1]) for row in rows("Bytes from elsewhere")}
    assert set(FUZZED) <= set(table)
    for what, named in table.items():
        thrown = [name for name, file in named if "given" in functions(file)[name]]
        assert thrown, f"{what}: no test of it draws its bytes"
