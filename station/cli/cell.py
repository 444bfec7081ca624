"""`hardbin cell`: a cell that was stopped, and its card."""

import click

from station import commands
from station.cli import recovery
from station.cli.at_cell import REASON, Asker, asking


@click.group()
def cell() -> None:
    """Let a stopped cell go on, clean its card, look at its machines."""


@cell.command()
@recovery.PLACES_FOUND
@recovery.SITES_CLEARED
@REASON
@asking
def recover(ask: Asker, places: tuple[str, ...], cleared: tuple[int, ...], reason: str) -> int:
    """Say that somebody has looked at a cell that was aborted. The lot is paused then."""
    found = dict(map(recovery.place_of, places))
    return ask(commands.Recover(**ask.both, reason=reason, found=found, cleared=frozenset(cleared)))


@cell.command()
@asking
def clean(ask: Asker) -> int:
    """Clean the tips of the card at the next touchdown boundary."""
    return ask(commands.Clean(**ask.who))


@cell.command()
@asking
def selftest(ask: Asker) -> int:
    """Between lots: ask every machine who it is, make the cell safe and read it back."""
    return ask(commands.Test(**ask.who))
