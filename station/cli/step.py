"""`hardbin lot step` and `lot shmoo`: an engineering lot row by row, and what a row does over a grid."""

import asyncio
from collections.abc import Mapping, Sequence

import click
import msgspec

from station import commands, events
from station.cli.at_cell import Asker, Watched, asking
from station.cli.codes import Exit
from station.cli.key_access import stop
from station.engine import shmoo as sweeps
from station.model import Axis, Measurement

PASSED, FAILED, UNKNOWN = "+", ".", "?"


@click.command()
@click.option("--site", "sites", type=click.IntRange(1), multiple=True, help="Of these; else of all.")
@click.option("--to", "row", type=click.IntRange(1), help="Stand still behind this test.")
@click.option("--on", "on", is_flag=True, help="Go on, and stand still no more.")
@click.option(
    "--bound-s",
    type=click.FloatRange(1, 3600),
    default=300.0,
    show_default=True,
    help="How long a site stands before its device is given up.",
)
@click.option("--wait", is_flag=True, help="Until each of the sites stands, or has its result.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Wait so many seconds at most.")
@asking
def step(
    ask: Asker,
    sites: tuple[int, ...],
    row: int | None,
    *,
    on: bool,
    bound_s: float,
    wait: bool,
    timeout: float | None,
) -> int:
    """Let an engineering lot run one row, and stand still behind it with outputs as they are."""
    if on and row is not None:
        raise click.UsageError("--on goes on without standing still, --to stands behind a test: one of them")
    chosen = frozenset(sites)
    asked = commands.Step(
        **ask.who,
        sites=chosen,
        go="on" if on else "next" if row is None else "to",
        row=row or 0,
        bound_s=bound_s,
    )

    async def standing(watched: Watched) -> int:
        try:
            async with asyncio.timeout(timeout):
                return await _standing(watched, chosen, as_json=ask.as_json)
        except TimeoutError:
            stop(Exit.TIMEOUT, f"not every site stands after {timeout:g} s")

    return ask(asked, until=standing if wait and not on else None)


async def _standing(watched: Watched, sites: frozenset[int], *, as_json: bool) -> int:
    """Print each site that comes to stand; all must, whose device has no result before."""
    missing = set(sites or (() if watched.lot is None else watched.lot.info.sites))
    async for event in watched.coming():
        if isinstance(event, events.StepHalted) and event.site in missing:
            click.echo(msgspec.json.encode(event) if as_json else _halted(event))
            missing.discard(event.site)
        elif isinstance(event, events.ContactsClosed):
            missing -= {outcome.site for outcome in event.outcomes}
        if not missing:
            return Exit.OK
    raise AssertionError  # it has no end


def _halted(halted: events.StepHalted) -> str:
    if not halted.row:
        return f"site {halted.site}: before the first row"
    said = "not run" if halted.measurement is None else _reading(halted.measurement)
    limit = "" if halted.limit is None else f"  [{_end(halted.limit.low)} .. {_end(halted.limit.high)}]"
    unit = "" if halted.limit is None else f" {halted.limit.unit}"
    return f"site {halted.site}: behind {halted.row} {halted.name}: {said}{limit}{unit}"


def _end(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _reading(measured: Measurement) -> str:
    values = measured.values or (() if measured.value is None else (measured.value,))
    said = " ".join(f"{value:g}" for value in values)
    return " ".join(filter(None, (said, measured.verdict.value, measured.text)))


class AxisType(click.ParamType[Axis]):
    """NAME=START:STOP:POINTS."""

    name = "name=start:stop:points"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Axis:
        """Read it."""
        name, _, numbers = str(value).partition("=")
        try:
            start, stop_, points = numbers.split(":")
            return Axis(name, float(start), float(stop_), int(points))
        except ValueError:
            self.fail(f"{value!r}: NAME=START:STOP:POINTS is wanted, as vdd_v=3.0:3.6:13", param, ctx)


AXIS = AxisType()


@click.command()
@click.option("--site", type=click.IntRange(1), required=True, help="It stands behind the test.")
@click.option("--row", type=click.IntRange(1), required=True, help="Number of the test.")
@click.option("--x", type=AXIS, required=True, help="What is swept: NAME=START:STOP:POINTS.")
@click.option("--y", type=AXIS, help="The same of a second parameter.")
@asking
def shmoo(ask: Asker, site: int, row: int, x: Axis, y: Axis | None) -> int:
    """Run the row behind which a site of an engineering lot stands over a grid of its parameters."""
    wanted = commands.Shmoo(**ask.who, site=site, row=row, x=x, y=y)

    async def done(watched: Watched) -> int:
        found = dict[tuple[float, float | None], events.ShmooPoint]()
        async for event in watched.coming():
            match event:
                case events.ShmooPoint(site=at) if at == site:
                    found[event.x, event.y] = event
                    if ask.as_json:
                        click.echo(msgspec.json.encode(event))
                case events.ShmooEnded(site=at) if at == site:
                    if ask.as_json:
                        click.echo(msgspec.json.encode(event))
                    else:
                        click.echo("\n".join(plot(x, y, found)))
                        click.echo(ended(event))
                    if event.failed:
                        stop(Exit.EQUIPMENT, f"it broke off: {event.failed}")
                    return Exit.OK
                case _:
                    pass
        raise AssertionError  # it has no end

    return ask(wanted, until=done)


def ended(event: events.ShmooEnded) -> str:
    """Say what a sweep came to."""
    broke = f"; it broke off: {event.failed}" if event.failed else ""
    return f"{event.passed} of {event.tried} points passed{broke}"


def plot(
    x: Axis, y: Axis | None, found: Mapping[tuple[float, float | None], events.ShmooPoint]
) -> Sequence[str]:
    """Draw it: a row for each y, the highest on top; `+` passed, `.` failed, `?` not judged."""
    across = list(sweeps.values(x))
    down: list[float | None] = [None] if y is None else [*reversed([*sweeps.values(y)])]
    lines = [f"{'' if at is None else f'{at:.4g}':>10} " + _drawn(across, at, found) for at in down]
    ends = f"{'':>10} {x.start:g} .. {x.stop:g} {x.name}{f', upwards {y.name}' if y else ''}"
    return [*lines, ends]


def _drawn(
    across: Sequence[float], y: float | None, found: Mapping[tuple[float, float | None], events.ShmooPoint]
) -> str:
    marks = {"passed": PASSED, "failed": FAILED}
    points = (found.get((x, y)) for x in across)
    return "".join(
        " " if one is None else marks.get(one.measurement.verdict.value, UNKNOWN) for one in points
    )
