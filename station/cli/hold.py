"""`hardbin hold`: what holds a lot is gone."""

import click

from station import commands
from station.cli.at_cell import REASON, Asker, asking


@click.group()
def hold() -> None:
    """Let a held lot go on."""


@hold.command()
@REASON
@asking
def release(ask: Asker, reason: str) -> int:
    """Say that the cause of a hold is gone; some causes take two persons. The lot is paused then."""
    return ask(commands.Release(**ask.both, reason=reason))
