"""`hardbin alarm`: what asks for an action at a cell."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.table import Table

from station import commands
from station.alarms import Alarm
from station.cli import listening
from station.cli.at_cell import JSON, REASON, Asker, Watched, asking, seen
from station.cli.terminal import terminal

ID = click.argument("name", metavar="ALARM")


@click.group()
def alarm() -> None:
    """Show the alarms of a cell; say that one was seen, or let it be quiet for a while."""


@alarm.command(name="list")
@listening.engine
@JSON
def list_(engine: Path, *, as_json: bool) -> None:
    """Print the alarms that are active, and those that nobody has acknowledged."""
    _print(engine, as_json=as_json, everything=False)


@alarm.command()
@listening.engine
@JSON
def history(engine: Path, *, as_json: bool) -> None:
    """Print the alarms of the lots that went by."""
    _print(engine, as_json=as_json, everything=True)


@alarm.command()
@ID
@asking
def ack(ask: Asker, name: str) -> int:
    """Say that somebody has seen an ALARM."""
    return ask(commands.Acknowledge(**ask.who, alarm=name))


@alarm.command()
@ID
@click.option("--minutes", type=click.IntRange(1), required=True, help="For how long.")
@REASON
@asking
def shelve(ask: Asker, name: str, minutes: int, reason: str) -> int:
    """Let an ALARM be quiet for a while."""
    return ask(commands.Shelve(**ask.who, alarm=name, minutes=minutes, reason=reason))


def _print(engine: Path, *, as_json: bool, everything: bool) -> None:
    async def look(watched: Watched) -> None:
        found = [one for one in watched.alarms.all if everything or one.active or not one.acknowledged]
        if as_json:
            click.echo(msgspec.json.encode(found))
            return
        table = Table("alarm", "at", "priority", "state", "reason", box=None)
        for one in found:
            table.add_row(one.id, _clock(one.at), one.priority, _state(one), one.reason)
        terminal().print(table)

    seen(engine, look)


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def _state(one: Alarm) -> str:
    seen_by = f"seen by {one.acknowledged}" if one.acknowledged else "not seen"
    return f"{'active' if one.active else 'over'}, {seen_by}"
