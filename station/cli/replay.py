"""`hardbin replay`: a lot once more, as it was seen while it ran."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

import click

from station import events
from station.cli.progress import LiveProgress, PlainProgress
from station.custody.journal import read
from station.errors import ConfigError

FASTEST = float("inf")


@click.command()
@click.argument("journal", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=FASTEST,
    help="How many times as fast as it was; by default at once.",
)
def replay(journal: Path, speed: float) -> None:
    """Show a lot again from its JOURNAL, or from its folder; nothing is driven and nothing is written."""
    path = journal / "journal" if journal.is_dir() else journal
    happened = _happened(path)
    loaded = next((one.info for one in happened if isinstance(one, events.LotLoaded)), None)
    if loaded is None:
        raise ConfigError(f"{path}: no lot is in it")
    live = sys.stdout.isatty() and speed != FASTEST
    progress = (LiveProgress if live else PlainProgress)(loaded.quantity)
    asyncio.run(progress.follow(_paced(happened, speed)))
    click.echo(
        f"{loaded.lot} {progress.state}: {progress.good} good of {progress.sorted} {progress.reason}".rstrip()
    )


def _happened(path: Path) -> tuple[events.Any, ...]:
    try:
        return tuple(read(path))
    except OSError as error:
        raise ConfigError(f"{path}: {error}") from error


async def _paced(happened: Iterable[events.Any], speed: float) -> AsyncGenerator[events.Any, None]:
    at = None
    for event in happened:
        if at is not None and event.at > at:
            await asyncio.sleep((event.at - at) / speed)
        at = event.at
        yield event
