"""`hardbin chaos`: simulated lots in cells with faults, whose station is killed; what must hold, holds."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from msgspec import json

from station.chaos.campaign import Campaign, Played, Result, Violation, campaign
from station.chaos.schedule import Schedule, read, schedule
from station.chaos.troubles import CONSOLE
from station.cli.codes import Exit
from station.console.page_files import page_files
from station.errors import ConfigError

STRIDE = 100
"""After so many lots a campaign says how far it is."""


@click.command()
@click.option("--lots", type=click.IntRange(1), default=20, show_default=True, help="How many are played.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the first lot.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Lots side by side.")
@click.option("--schedule", "text", help="Play this one, as a violation names it.")
@click.option("--json", "as_json", is_flag=True, help="Print one result object and nothing else.")
def chaos(lots: int, seed: int, jobs: int, text: str | None, as_json: bool) -> int:
    """Play simulated lots with faults and kills drawn from seeds, and check what each has left."""
    from station.cli import code_of  # noqa: PLC0415 - it knows this command

    with TemporaryDirectory(prefix="hardbin-chaos-") as folder, stoppable():
        if text is None:
            seeds = range(seed, seed + lots)
            _must_have_pages(map(schedule, seeds))
            result = campaign(code_of, Path(folder), seeds, jobs=jobs, told=Telling(lots, quiet=as_json))
        else:
            result = _one(Campaign(code_of, Path(folder)), text)
    click.echo(json.encode(result) if as_json else _summary(result))
    return Exit.INTEGRITY if result.violations else Exit.OK


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends a campaign as SIGINT does: when the lots in play are over, leaving nothing."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _one(played: Campaign, text: str) -> Result:
    try:
        asked = read(text)
    except ValueError as error:
        raise click.UsageError(f"--schedule: {error}") from error
    _must_have_pages([asked])
    wrong = tuple(played.wrong_with(asked))
    found = (Violation(f"hardbin chaos --schedule '{asked}'", str(asked), wrong),) if wrong else ()
    return Result(1, asked.wrongs, played.lives, found)


def _must_have_pages(schedules: Iterable[Schedule]) -> None:
    """Say at once that no console can start; each lot would wait a minute for its own."""
    try:
        if any(one.name == CONSOLE for played in schedules for one in played.troubles):
            page_files()
    except ConfigError as error:
        raise click.ClickException(f"no console can be started: {error}") from error


class Telling:
    """What is said of a campaign under way: each violation at once, and how far it is."""

    def __init__(self, lots: int, *, quiet: bool) -> None:
        self._lots, self._quiet = lots, quiet
        self._played = self._violations = 0

    def __call__(self, played: Played) -> None:
        self._played += 1
        if (found := played.violation) is not None:
            self._violations += 1
            click.echo(
                f"seed {played.seed}: {'; '.join(found.complaints)}\n    {found.replay}", err=self._quiet
            )
        if not self._played % STRIDE:
            click.echo(f"{self._played} of {self._lots} lots, {self._violations} violations", err=True)


def _summary(result: Result) -> str:
    told = [f"{violation.replay}\n    {'; '.join(violation.complaints)}" for violation in result.violations]
    count = f"{result.lots} lots, {result.faults} faults and kills, {result.lives} lives of a station"
    return "\n".join([*told, f"{count}: {len(result.violations)} violations"])
