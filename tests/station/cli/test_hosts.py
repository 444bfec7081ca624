"""Every command that listens refuses to do so beyond this machine without TLS."""

from collections.abc import Iterator

import click
import pytest

from station.cli import code_of, hardbin
from station.cli.codes import Exit

NEEDED = {"witness run": ["--key", "w.seeds", "--log", "log.pub", "--state", "state"]}
"""What a command needs beside an address; nothing of it is there."""


def listening(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The commands that have `--host` and `--port`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from listening(command, (*path, name))
        elif {"--host", "--port"} <= {one for parameter in command.params for one in parameter.opts}:
            yield " ".join((*path, name))


FOUND = sorted(listening(hardbin))


def test_those_that_listen_are_found() -> None:
    assert FOUND == ["console", "floor", "metrics serve", "witness run"]


@pytest.mark.parametrize("command", FOUND)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "ws-07.floor"])  # noqa: S104 - it is refused
def test_nothing_listens_beyond_this_machine_without_tls(
    command: str, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of([*command.split(), *NEEDED.get(command, []), "--host", host]) == Exit.CONFIG
    assert f"--host {host}: " in capsys.readouterr().err
