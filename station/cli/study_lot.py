"""The lot that a study runs: parts put in by a person, in order, each tested several times."""

import click

from station.cli.codes import Exit
from station.cli.run import run
from station.errors import AnalysisError
from station.surroundings import WAFER_SORT


def tested(context: click.Context, lot: str, count: int, asking: str) -> None:
    """Have `count` parts put in and tested, as the command of `context` says; AnalysisError if not all."""
    told = context.params
    click.echo(f"{asking} 1 to {count} in, in order; each is tested {told['trials']} times", err=True)
    if not told["yes"]:
        click.confirm("Are they in?", abort=True, err=True)
    code = context.invoke(
        run,
        lot=lot,
        devices=count,
        flow=None if told["station"] is not None else told["flow"] or WAFER_SORT,
        **{name: told[name] for name in ("station", "seed", "out", "trials", "hardware")},
        as_json=False,
    )
    if code not in {Exit.OK, Exit.INTEGRITY}:
        raise AnalysisError(f"lot {lot} did not come to its end; nothing is said of it")
