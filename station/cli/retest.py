"""`hardbin retest`: dies of the wafer on the chuck, once more."""

from typing import Literal

import click

from station import commands
from station.cli.at_cell import Asker, asking


@click.group()
def retest() -> None:
    """Land on dies once more."""


@retest.command()
@click.option("--bins", default="", metavar="N,N", help="Of the last contact; by default all rejects.")
@click.option("--sites", default="", metavar="N,N", help="By which they were tested; by default whichever.")
@click.option("--area", type=click.Choice(["edge", "centre"]), help="Of the wafer; by default all of it.")
@asking
def start(ask: Asker, bins: str, sites: str, area: Literal["edge", "centre"] | None) -> int:
    """Land once more on rejects of the wafer on the chuck; on none with keys."""
    chosen, by = _numbers("--bins", bins), _numbers("--sites", sites)
    return ask(commands.Retest(**ask.who, bins=chosen, sites=by, area=area or ""))


def _numbers(option: str, text: str) -> frozenset[int]:
    words = text.split(",") if text else []
    if not all(word.isdecimal() for word in words):
        raise click.UsageError(f"{option} {text!r}: write numbers with commas, as 5,7")
    return frozenset(map(int, words))
