"""`hardbin man`: the manual pages of all commands, made from the commands themselves."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click

from station.cli.codes import Exit
from station.cli.said import Said, says
from station.custody import durable_file

SECTION = "1"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
@says
def man(context: click.Context, folder: Path) -> Said:
    """Write a manual page for each command into FOLDER, as a package puts them into share/man/man1."""
    folder.mkdir(parents=True, exist_ok=True)
    root = context.find_root()
    pages = dict(_pages(root.command, click.Context(root.command, info_name="hardbin")))
    for name, text in pages.items():
        durable_file.put(folder / f"{name}.{SECTION}", text.encode())
    durable_file.sync(folder)
    return Said(f"{folder}: {len(pages)} pages", folder=folder, pages=len(pages))


def _pages(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    yield context.command_path.replace(" ", "-"), _page(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _pages(inner, click.Context(inner, parent=context, info_name=name))


def _page(command: click.Command, context: click.Context) -> str:
    path = context.command_path
    lines = [f'.TH "{path.replace(" ", "-").upper()}" {SECTION} "" "hardbin {version("hardbin")}" "hardbin"']
    lines += [".SH NAME", f"{path.replace(' ', '-')} \\- {_text(command.get_short_help_str(200))}"]
    usage = " ".join(command.collect_usage_pieces(context))
    lines += [".SH SYNOPSIS", f".B {path}", _text(usage), ".SH DESCRIPTION"]
    lines += [_text(" ".join(part.split())) + "\n.PP" for part in (command.help or "").split("\n\n")]
    lines += _listed("OPTIONS", _options(command, context))
    if isinstance(command, click.Group):
        lines += _listed("COMMANDS", _commands(command, context))
    codes = ((str(code.value), code.name.lower().replace("_", " ")) for code in Exit)
    return "\n".join(lines + _listed("EXIT STATUS", codes)) + "\n"


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield record


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, str]]:
    for name in group.list_commands(context):
        inner = group.get_command(context, name)
        if inner is not None:
            yield f"{context.command_path} {name}", inner.get_short_help_str(200)


def _listed(heading: str, rows: Iterator[tuple[str, str]]) -> list[str]:
    found = [line for name, text in rows for line in (".TP", f"\\fB{_text(name)}\\fR", _text(text))]
    return [f".SH {heading}", *found] if found else []


def _text(text: str) -> str:
    """Escape what the formatter would obey: backslashes, hyphens, a dot or quote at the start of a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE) or "\\&"
