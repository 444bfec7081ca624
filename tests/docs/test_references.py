"""The reference pages have every option, code, key, event and field that the code has, and no other."""

import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest

from docs import models
from station import config, events
from station.cli import hardbin
from station.cli.codes import Exit
from station.engine.safe_state import BOUNDS_S
from station.engine.states import LEGAL, TRANSITIONS, WITH_LOT, State
from station.model import Disposition, Ending, Outcome
from station.report import BinCount, LotReport, TruthReport

DOCS = Path(__file__).parent.parent.parent / "docs"
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / "reference" / f"{name}.md").read_text("utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one."""
    _, found, rest = text.partition(f"# {heading}\n")
    assert found, heading
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows but the headings, code marks taken away."""
    found: list[list[str]] = []
    for line in re.findall(r"^\| (.*) \|$|^(\|---)", text, re.MULTILINE):
        if line[1]:
            found.pop()
        else:
            found.append([cell.replace("`", "").strip() for cell in re.split(r"(?<!\\)\|", line[0])])
    return found


def fields(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


# -- command line
def commands(group: click.Group, path: str = "hardbin") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*found, id=found[0]) for found in commands(hardbin)]
)
def test_every_option_of_a_command_is_there(path: str, command: click.Command) -> None:
    told = {row[0].split()[0] for row in rows(section(page("cli"), path))}
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert told == {option.opts[-1] for option in options if option.opts[-1].startswith("--")}


def test_exit_codes() -> None:
    told = [(int(row[0]), row[1]) for row in rows(section(page("cli"), "Exit codes"))]
    assert told == [(code.value, code.name) for code in Exit]


# -- files
@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("[station]", config.StationTable),
        ("[cell]", config.CellTable),
        ("[[equipment]]", config.EquipmentTable),
        ("[vault]", config.VaultTable),
        ("[visa]", config.VisaTable),
        ("[datalog]", config.DatalogTable),
        ("[mqtt]", config.MqttTable),
        ("[simulation]", config.SimulationTable),
    ],
)
def test_every_key_of_the_station_file_is_there(heading: str, kind: type[msgspec.Struct]) -> None:
    told = {row[0]: row[2] for row in rows(section(page("station-file"), heading)) if len(row) == 4}
    assert list(told) == fields(kind)
    for field in msgspec.structs.fields(kind):
        assert (told[field.encode_name] == "needed") == field.required


def test_table_of_models_is_that_of_the_code() -> None:
    assert models.PAGE.read_text("utf-8") == models.table(), "run: python -m docs.models"


def test_each_model_says_what_it_is_and_where_that_is_from() -> None:
    for entry in entry_points(group="hardbin.drivers"):
        row = models.row(entry)
        assert all((row.role, row.what, row.port, row.facts)), entry.name
        assert row.evidence in models.MARKS, entry.name


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("Report", LotReport), ("An object of `bins`", BinCount), ("`truth`", TruthReport)],
)
def test_every_field_of_the_report_is_there(heading: str, kind: type[msgspec.Struct]) -> None:
    assert [row[0] for row in rows(section(page("report"), heading))] == fields(kind)


def test_every_event_and_its_fields_are_there() -> None:
    told = {row[0]: row[1].split() for row in rows(section(page("journal"), "Events"))}
    assert told == {
        str(kind.__struct_config__.tag): [name for name in fields(kind) if name != "at"]
        for kind in get_args(events.Any)
    }


def test_outcomes_and_dispositions_are_there() -> None:
    text = page("journal").replace("`", "")
    assert f"An object of outcomes: {' '.join(fields(Outcome))}." in text
    assert all(disposition.value in text for disposition in Disposition)


# -- engine
def test_life_cycle() -> None:
    told = {
        row[0]: row[2].split(", ") for row in rows(section(page("engine"), "Life cycle of a lot")) if row[2:]
    }
    assert told == {state.value: sorted(n.value for n in TRANSITIONS[state]) for state in State}


def test_commands() -> None:
    table = rows(section(page("engine"), "Life cycle of a lot"))
    told = {row[0]: row[1] for row in table if len(row) == 2}
    states = {name: ", ".join(sorted(s.value for s in legal)) for name, legal in LEGAL.items()}
    named = {WITH_LOT: "every state with a lot", frozenset(State): "every state"}
    assert told == {name: named.get(LEGAL[name], text) for name, text in states.items()}


def test_endings() -> None:
    assert [row[0] for row in rows(section(page("engine"), "Endings of a row"))] == [e.name for e in Ending]


def test_bounds_of_the_safe_state() -> None:
    told = [row[1] for row in rows(section(page("engine"), "Safe state"))]
    assert told == [f"{bound:.1f} s" for _, _, bound in BOUNDS_S[:-1]]


# -- all pages
PAGES = sorted([*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS.parent)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        assert "://" not in target, target
        linked = path.parent / file if file else path
        assert linked.exists(), target
        if anchor:
            assert anchor in {slug(text) for text in HEADING.findall(linked.read_text("utf-8"))}, target


def slug(heading: str) -> str:
    """Return the anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: str(path.relative_to(DOCS)))
def test_every_page_is_in_an_index(path: Path) -> None:
    indexes = [DOCS / "README.md", DOCS / "decisions" / "README.md", models.PAGE]
    linked = {
        (index.parent / target.partition("#")[0]).resolve()
        for index in indexes
        for target in re.findall(r"\]\(([^)\s]+)\)", index.read_text("utf-8"))
    }
    assert path.resolve() in {*linked, (DOCS / "README.md").resolve()}
