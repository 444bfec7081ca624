"""The `hardbin` command: noun-verb, `--json` for programs, one message and a stable exit code on failure."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from drivers.errors import EquipmentError, TransportError
from station import logs
from station.cli.codes import Exit
from station.errors import (
    AnalysisError,
    BusyError,
    ConfigError,
    CustodyError,
    SequenceError,
    StoppedError,
    UntrustedError,
)

PRIVATE = 0o027
"""What is written is not for others than user and group, and the group writes nothing."""
CODES: dict[type[Exception], Exit] = {
    StoppedError: Exit.INTERRUPTED,
    ConfigError: Exit.CONFIG,
    SequenceError: Exit.CONFIG,
    UntrustedError: Exit.TRUST,
    BusyError: Exit.BUSY,
    TransportError: Exit.LINK,
    EquipmentError: Exit.EQUIPMENT,
    CustodyError: Exit.INTEGRITY,
    AnalysisError: Exit.USAGE,
}
"""What each error ends with: the first kind that it is of."""


class Commands(click.Group):
    """Commands, each from the module of its name; imported when it is called, so that all start fast."""

    names = (
        "alarm",
        "approve",
        "asset",
        "audit",
        "bench",
        "bin",
        "cell",
        "cert",
        "chaos",
        "check",
        "collector",
        "completion",
        "config",
        "console",
        "disposition",
        "doctor",
        "e10",
        "equip",
        "evidence",
        "floor",
        "hold",
        "init",
        "key",
        "lot",
        "man",
        "metrics",
        "monitor",
        "mqtt",
        "order",
        "people",
        "perso",
        "person",
        "recipe",
        "replay",
        "report",
        "resource",
        "retest",
        "run",
        "serve",
        "service",
        "sim",
        "site",
        "status",
        "stdf",
        "store",
        "study",
        "td",
        "update",
        "user",
        "vault",
        "version",
        "wafer",
        "witness",
    )

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.names:
            return None
        found = getattr(import_module(f"station.cli.{cmd_name}"), cmd_name)
        return found if isinstance(found, click.Command) else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hardbin")
def hardbin() -> None:
    """Control a semiconductor test cell: test, personalise, bin and account for every device."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with a code of `station.cli.codes`."""
    os.umask(os.umask(0) | PRIVATE)
    sys.exit(code_of(arguments))


def code_of(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code, having said what is wrong in one message."""
    try:
        logs.configure(os.environ)
        result: object = hardbin.main(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return _said("interrupted", Exit.INTERRUPTED)
    except tuple(CODES) as error:
        return _said(str(error), next(code for kind, code in CODES.items() if isinstance(error, kind)))
    except OSError as error:
        if error.filename is None:
            raise
        return _said(f"{error.filename}: {error.strerror}", Exit.CONFIG)
    return result if isinstance(result, int) else Exit.OK


def _said(message: str, code: Exit) -> Exit:
    click.echo(f"hardbin: {message}", err=True)
    return code
