"""Options of processes that follow an engine, or listen for browsers and Prometheus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from station.cli.console_offer import SOCKET
from station.console.listening import Tls

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)

engine = click.option(
    "--engine",
    type=FILE,
    default=SOCKET,
    show_default=True,
    help="The socket that `hardbin run` or `hardbin serve` offers with --console.",
)
people = click.option(
    "--people",
    "folder",
    envvar="HARDBIN_PEOPLE",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("station-data/people"),
    show_default=True,
    help="The accounts of `hardbin people`; with any there, persons log in.",
)
host = click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address of this machine to listen at."
)


def port(number: int) -> Callable[[F], F]:
    """Give a command `--port`, by default this one."""
    return click.option(
        "--port", type=click.IntRange(0, 65535), default=number, show_default=True, help="0: a free one."
    )


def tls(command: F) -> F:
    """Give a command the options of a certificate; `tls_of` makes one of them."""
    command = click.option("--tls-key", type=FILE, help="Its key.")(command)
    help_ = "Certificate of this server, PEM; needed beyond loopback."
    return click.option("--tls-cert", type=FILE, help=help_)(command)


def tls_of(certificate: Path | None, key: Path | None) -> Tls | None:
    """Return what was given; UsageError for one without the other."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise click.UsageError("--tls-cert and --tls-key belong together")
    return Tls(certificate, key)
