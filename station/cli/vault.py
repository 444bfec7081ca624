"""`hardbin vault`: run a vault, and what is done with its key store, for whoever thinks of vaults."""

import os
import sys
from pathlib import Path

import click

from station.cli.codes import Exit
from station.cli.key import activate, init, zeroise
from station.cli.key_access import stop
from station.cli.perso import status


@click.group()
def vault() -> None:
    """Run a vault; the rest is the same as of `hardbin key` and `hardbin perso`."""


@vault.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    required=True,
    help="Where keys, certificates and journal lie; an empty one gets a development vault.",
)
@click.option(
    "--socket", type=click.Path(path_type=Path), required=True, help="The Unix socket to serve stations on."
)
def run(folder: Path, socket: Path) -> None:
    """Serve stations and persons until SIGTERM: become `hardbin-vault`, whose memory no other code shares."""
    command = [sys.executable, "-m", "station.vault", "--folder", str(folder), "--socket", str(socket)]
    try:
        os.execv(sys.executable, command)  # noqa: S606 - our own interpreter and module
    except OSError as error:
        stop(Exit.UNEXPECTED, f"{sys.executable}: {error.strerror}")


vault.add_command(init)
vault.add_command(activate)
vault.add_command(status)
vault.add_command(zeroise)
