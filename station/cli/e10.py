"""`hardbin e10`: what the time of a cell went into."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.table import Table

from station import events
from station.cli import listening
from station.cli.at_cell import Watched, seen
from station.cli.mqtt import answered
from station.cli.mqtt_access import Commander, signing
from station.cli.terminal import terminal
from station.custody.journal import read
from station.errors import ConfigError
from station.figures.e10 import Interval, intervals
from station.figures.production import Production, production
from station.figures.shift import Asked, HandOver, Stop, hand_over
from station.remote.client import Client
from station.remote.messages import Reply

TIME = click.DateTime(["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"])

JOURNALS = click.argument(
    "journals", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
FROM = click.option(
    "--from", "start", type=TIME, help="Where the shift begins, UTC; by default the first event."
)
TO = click.option("--to", "end", type=TIME, help="Where it ends, UTC; by default the last event.")


@click.group()
def e10() -> None:
    """Equipment states and figures, by SEMI E10 and E79."""


@e10.command()
@JOURNALS
@FROM
@TO
@click.option(
    "--ideal", type=click.FloatRange(min=0, min_open=True), help="Units per hour that the cell could do."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def report(
    journals: tuple[Path, ...],
    start: datetime | None,
    end: datetime | None,
    ideal: float | None,
    *,
    as_json: bool,
) -> None:
    """Report a shift of one cell from the journals of its lots."""
    begins, ends, inside, spans = _shift(journals, start, end)
    figures = production(inside, spans, ideal_units_per_hour=ideal)
    if as_json:
        click.echo(msgspec.json.encode({"intervals": spans, "figures": figures}))
    else:
        _shown(spans, figures, inside)


@e10.command()
@listening.engine
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(engine: Path, *, as_json: bool) -> None:
    """Print in which class of E10 a cell is, and why."""

    async def look(watched: Watched) -> None:
        now = watched.sum
        if as_json:
            click.echo(msgspec.json.encode({"e10": now.e10, "reason": now.e10_reason, "state": now.state}))
        else:
            click.echo(f"{now.e10} {now.e10_reason}".rstrip())

    seen(engine, look)


@e10.command(name="set")
@click.argument("state", type=click.Choice(["SDT", "ENG"]), required=False, default="")
@click.option("--reason", required=True, help="Why; a work order, a symptom, a project.")
@click.option("--lease", envvar="HARDBIN_LEASE", default="", help="As control.acquire has answered.")
@click.option("--id", "name", default="", help="Of a command that got no answer: it is done once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@signing
def set_(commander: Commander, state: str, reason: str, lease: str, name: str, *, as_json: bool) -> int:
    """Say why a cell is in its class; with STATE, standby is scheduled down or engineering from now on."""

    async def talk(client: Client) -> Reply:
        client.lease = lease
        return await client.ask("e10.set", {"state": state}, name=name, reason=reason)

    return answered(commander.talk(talk), "e10.set", as_json=as_json)


@e10.command()
@JOURNALS
@FROM
@TO
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def shift(journals: tuple[Path, ...], start: datetime | None, end: datetime | None, *, as_json: bool) -> None:
    """Print the note for the next shift: lots, downs, holds, alarms, commands, and how the cell is."""
    _, ends, inside, spans = _shift(journals, start, end)
    note = hand_over(inside, spans, ends=ends)
    click.echo(msgspec.json.encode(note).decode() if as_json else "\n".join(_note(note)))


def _note(note: HandOver) -> Iterator[str]:
    left = f"the cell is left {note.state} {note.reason}".rstrip()
    yield f"Shift {_clock(note.begins)} to {_clock(note.ends)} UTC; {left}"
    for heading, lines in (
        (
            "Lots",
            [f"{one.lot} {one.product}: {one.good} good of {one.tested}, {one.state}" for one in note.lots],
        ),
        ("Down", [_stop(one) for one in note.downs]),
        ("Holds", [_stop(one) for one in note.holds]),
        ("Nobody has said why", [_stop(one) for one in note.unassigned]),
        ("Alarms", [f"{one.count} x {one.kind}: {one.reason}" for one in note.alarms]),
        ("Commands", [_command(one) for one in note.commands]),
    ):
        yield f"\n{heading}"
        yield from (f"  {line}" for line in lines or ["none"])
    yield "\nhanded over by ____________________   taken over by ____________________"


def _stop(one: Stop) -> str:
    return f"{_clock(one.start)} for {_time(one.end - one.start)}: {one.kind} {one.reason}".rstrip()


def _command(one: Asked) -> str:
    return f"{_clock(one.at)} {one.command} by {one.actor}: {one.code} {one.reason}".rstrip()


def _shift(
    journals: tuple[Path, ...], start: datetime | None, end: datetime | None
) -> tuple[float, float, list[events.Any], list[Interval]]:
    """Begin and end of a shift, what happened in it, and its intervals."""
    history = sorted((event for path in journals for event in read(path)), key=lambda event: event.at)
    if not history:
        raise ConfigError(f"{journals[0]}: there is nothing in it")
    begins = history[0].at if start is None else _seconds(start)
    ends = history[-1].at if end is None else _seconds(end)
    if begins >= ends:
        raise ConfigError(f"--from {_clock(begins)} is not before --to {_clock(ends)}")
    spans = [_within(span, begins) for span in intervals(history, end=ends) if span.end > begins]
    inside = [event for event in history if begins <= event.at <= ends]
    return begins, ends, inside, spans


def _seconds(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _within(span: Interval, begins: float) -> Interval:
    return Interval(max(span.start, begins), span.end, span.state, span.reason)


def _shown(spans: Sequence[Interval], figures: Production, history: Sequence[events.Any]) -> None:
    console = terminal(soft_wrap=False)
    table = Table("from", "to", "state", "reason", box=None)
    for span in spans:
        table.add_row(_clock(span.start), _clock(span.end), span.state.value, span.reason)
    console.print(table)
    lots = [event.info.lot for event in history if isinstance(event, events.LotLoaded)]
    numbers = Table(box=None, show_header=False)
    for name, text in _lines(figures):
        numbers.add_row(name, text)
    console.print(f"\nlots {', '.join(dict.fromkeys(lots)) or 'none'}")
    console.print(numbers)


def _lines(figures: Production) -> list[tuple[str, str]]:
    spent = ", ".join(f"{name} {_time(seconds)}" for name, seconds in figures.seconds.items() if seconds)
    return [
        ("time", spent),
        ("devices", str(figures.devices)),
        (
            "units per hour",
            f"{_number(figures.units_per_hour)}, gross {_number(figures.gross_units_per_hour)}",
        ),
        ("test time", _time(figures.test_s)),
        ("index", f"tester {_time(figures.tester_index_s)}, handler {_time(figures.handler_index_s)}"),
        ("cycle", _time(figures.cycle_s)),
        ("failures", f"{figures.failures}, MTBF {_time(figures.mtbf_s)}, MTTR {_time(figures.mttr_s)}"),
        ("assists", f"{figures.assists}, MTBA {_time(figures.mtba_s)}"),
        ("OEE", _percent(figures.oee)),
        ("  availability", _percent(figures.availability)),
        ("  performance", _percent(figures.performance)),
        ("  quality", _percent(figures.quality)),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min"
