"""`hardbin lot`: a lot of a cell that serves, from its data to its summary; and the lots of a folder."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import msgspec
from rich.console import Group
from rich.table import Table

from station import commands, events
from station.cli import listening, step, summary, sweeps
from station.cli.at_cell import JSON, REASON, Asker, Watched, asking, seen
from station.cli.codes import Exit
from station.cli.key_access import stop
from station.cli.status import overview
from station.cli.terminal import terminal
from station.engine.states import State
from station.errors import ConfigError, StorageError
from station.model import ENGINEERING
from station.open_lot import history_in
from station.report import LotReport
from station.set_up import Traveller

OUT = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lots"),
    show_default=True,
    help="The folder of the lots.",
)
WHY = click.option("--reason", default="", help="Why; goes into the journal.")
WAIT = click.option("--wait", is_flag=True, help="Until it is so; exit code 12 if the lot is held instead.")
TIMEOUT = click.option("--timeout", type=click.FloatRange(min=0), help="Wait so many seconds at most.")
PATIENCE = 300
"""So many tenths of a second the report of a lot that is closed is waited for."""
STOPPED = frozenset({State.HELD.value, State.ABORTED.value})


class Listed(msgspec.Struct, frozen=True):
    """A lot of a folder."""

    lot: str
    state: str
    devices: int
    product: str
    reason: str = ""


@click.group()
def lot() -> None:
    """Load, run and stop a lot of a cell that serves, and look at lots."""


@lot.command()
@click.argument("name", metavar="LOT")
@click.option("--quantity", type=click.IntRange(1), required=True, help="How many devices it has.")
@click.option("--sublot", default="")
@click.option("--recipe", default="", help="SHA-256 of one that is staged, or its beginning.")
@click.option("--product", default="", help="What the traveller says it is: another holds the lot.")
@click.option("--card", default="", help="Which card, contactor or board it says: another holds the lot.")
@click.option("--program", default="", help="Which sequence or recipe it says: another holds the lot.")
@click.option("--engineering", is_flag=True, help="For a test engineer: no device gets a key or ships.")
@asking
def load(
    ask: Asker,
    name: str,
    quantity: int,
    sublot: str,
    recipe: str,
    product: str,
    card: str,
    program: str,
    *,
    engineering: bool,
) -> int:
    """Bring a LOT's data together."""
    more = {"mode": ENGINEERING} if engineering else {}
    says = Traveller(product, card, program)
    return ask(
        commands.Load(
            **ask.who | msgspec.structs.asdict(says) | more,
            lot=name,
            quantity=quantity,
            sublot=sublot,
            recipe=recipe,
        )
    )


@lot.command()
@click.argument("check", type=click.Choice(get_args(commands.WAIVABLE)))
@REASON
@asking
def waive(ask: Asker, check: str, reason: str) -> int:
    """Answer for a CHECK that keeps a lot from beginning."""
    return ask(commands.Waive(**ask.who | {"check": check}, reason=reason))


@lot.command()
@WAIT
@TIMEOUT
@asking
def check(ask: Asker, *, wait: bool, timeout: float | None) -> int:
    """Look at all that can be found out before a device is touched; the lot is then ready, or held."""
    return _go(ask, commands.Check(**ask.who), State.READY, State.PAUSED, wait=wait, timeout=timeout)


@lot.command()
@asking
def unload(ask: Asker) -> int:
    """Put a lot back of which nothing was tested, or one that is closed; the cell is empty then."""
    return ask(commands.Unload(**ask.who))


@lot.command()
@REASON
@asking
def close(ask: Asker, reason: str) -> int:
    """Sign for the difference with which a lot could not be closed; --by twice if it gives out keys."""
    return ask(commands.Close(**ask.both, reason=reason))


@lot.command()
@WAIT
@TIMEOUT
@asking
def start(ask: Asker, *, wait: bool, timeout: float | None) -> int:
    """Test the lot that is loaded."""
    return _go(ask, commands.Start(**ask.who), State.CLOSED, wait=wait, timeout=timeout)


@lot.command()
@WAIT
@TIMEOUT
@asking
def resume(ask: Asker, *, wait: bool, timeout: float | None) -> int:
    """Go on after a pause."""
    return _go(ask, commands.Resume(**ask.who), State.CLOSED, wait=wait, timeout=timeout)


@lot.command()
@WHY
@WAIT
@TIMEOUT
@asking
def pause(ask: Asker, reason: str, *, wait: bool, timeout: float | None) -> int:
    """Begin no more touchdown; the one in contact finishes and is sorted."""
    return _go(ask, commands.Pause(**ask.who, reason=reason), State.PAUSED, wait=wait, timeout=timeout)


@lot.command()
@WHY
@WAIT
@TIMEOUT
@asking
def end(ask: Asker, reason: str, *, wait: bool, timeout: float | None) -> int:
    """Finish the touchdown, sort it, write the summaries."""
    return _go(ask, commands.End(**ask.who, reason=reason), State.CLOSED, wait=wait, timeout=timeout)


@lot.command()
@WHY
@asking
def abort(ask: Asker, reason: str) -> int:
    """Make the cell safe at once; no bin is sent, the lot stays open."""
    return ask(commands.Abort(**ask.who, reason=reason))


lot.add_command(step.step)
lot.add_command(step.shmoo)
lot.add_command(sweeps.sweeps)


@lot.command()
@listening.engine
@JSON
def show(engine: Path, *, as_json: bool) -> None:
    """Show the lot of the cell: its data, its counts, its bins."""

    async def look(watched: Watched) -> None:
        if watched.lot is None:
            stop(Exit.NOT_FOUND, "the cell has no lot")
        if as_json:
            click.echo(msgspec.json.encode({"lot": watched.lot.lot, "sum": watched.sum}))
        else:
            terminal().print(Group(*overview(watched)))

    seen(engine, look)


@lot.command(name="list")
@OUT
@JSON
def list_(out: Path, *, as_json: bool) -> None:
    """Print the lots of a folder, and how each stands."""
    found = sorted(_listed(out), key=lambda one: one.lot)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    table = Table("lot", "state", "devices", "product", "reason", box=None)
    for one in found:
        table.add_row(one.lot, one.state, str(one.devices), one.product, one.reason)
    terminal().print(table)


@lot.command(name="summary")
@click.argument("name", metavar="LOT")
@OUT
@JSON
def summary_(name: str, out: Path, *, as_json: bool) -> None:
    """Print the summary of a LOT that is closed."""
    try:
        said = _written(out / name)
        report = msgspec.json.decode(said, type=LotReport)
    except FileNotFoundError:
        stop(Exit.NOT_FOUND, f"{out / name}: no report is there: `hardbin lot list` shows what there is")
    except (msgspec.DecodeError, OSError) as error:
        raise ConfigError(f"{out / name}/report.json: {error}") from error
    if as_json:
        click.echo(said)
    else:
        summary.shown(report)


def _written(folder: Path) -> bytes:
    """Return the report, which a station writes a moment after the lot is closed; FileNotFoundError."""
    for _ in range(PATIENCE):
        try:
            return (folder / "report.json").read_bytes()
        except FileNotFoundError:
            if not _is_closed(folder):
                break
        time.sleep(0.1)  # noqa: TID251 - no loop here
    return (folder / "report.json").read_bytes()


def _is_closed(folder: Path) -> bool:
    try:
        return history_in(folder).state is State.CLOSED
    except (ConfigError, StorageError):
        return False


def _listed(out: Path) -> Iterator[Listed]:
    for journal in out.glob("*/journal"):
        try:
            history = history_in(journal.parent)
        except (ConfigError, StorageError) as error:
            yield _closed(journal.parent) or Listed(journal.parent.name, "?", 0, "", str(error))
        else:
            info = history.info
            yield Listed(info.lot, history.state.value, info.quantity, info.product, history.reason)


def _closed(folder: Path) -> Listed | None:
    try:
        report = msgspec.json.decode((folder / "report.json").read_bytes(), type=LotReport)
    except (msgspec.DecodeError, OSError):
        return None
    return Listed(report.lot, report.state, report.tested, "", report.reason)


def _go(ask: Asker, command: commands.Any, *to: State, wait: bool, timeout: float | None) -> int:
    async def arrived(watched: Watched) -> int:
        try:
            async with asyncio.timeout(timeout):
                return await _arrived(watched, {one.value for one in to} | {State.CLOSED.value})
        except TimeoutError:
            stop(Exit.TIMEOUT, f"the lot is {watched.sum.state} after {timeout:g} s")

    return ask(command, until=arrived if wait else None)


async def _arrived(watched: Watched, wanted: set[str]) -> int:
    async for event in watched.coming():
        if not isinstance(event, events.StateChanged):
            continue
        if event.new in wanted:
            return Exit.OK
        if event.new in STOPPED:
            click.echo(f"hardbin: {event.new}: {event.reason}", err=True)
            return Exit.HELD
    raise AssertionError  # it has no end
