"""`hardbin study`: studies of the measurement itself, run on the cell."""

from pathlib import Path

import click

from station.analysis.lot import lot_of
from station.analysis.study import of_lots, table
from station.cli.golden import golden
from station.cli.report import gauge_
from station.cli.study_lot import tested
from station.errors import ConfigError
from station.lot_folder import STORE
from station.surroundings import CELLS

LEAST_OPERATORS = 2


@click.group()
def study() -> None:
    """Study the measurement: the same parts, several operators, several trials."""


@study.command()
@click.option("--test", required=True, type=click.IntRange(0), help="Number of the parametric test.")
@click.option(
    "--operator", "operators", multiple=True, required=True, help="Who puts the parts in; repeatable."
)
@click.option("--parts", type=click.IntRange(2, 1000), default=10, show_default=True)
@click.option("--trials", type=click.IntRange(2, 50), default=3, show_default=True)
@click.option("--flow", type=click.Choice(list(CELLS)), help="Which simulated cell; by default wafer-sort.")
@click.option("--station", type=click.Path(dir_okay=False, path_type=Path), help="Station file.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the simulated world.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("studies"), show_default=True
)
@click.option("--hardware", is_flag=True, help="Drive real machines; needs --station.")
@click.option("--yes", is_flag=True, help="Do not ask whether the parts are in.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def gauge(
    context: click.Context,
    test: int,
    operators: tuple[str, ...],
    parts: int,
    trials: int,
    flow: str | None,
    station: Path | None,
    seed: int,
    out: Path,
    *,
    hardware: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Run a GR&R study: for each operator the same parts in the same order, each tested several times."""
    if len(set(operators)) < LEAST_OPERATORS or len(set(operators)) != len(operators):
        raise click.UsageError("--operator must be given twice or more, each with another name")
    if out.exists():
        raise ConfigError(f"{out} exists: a study is never overwritten, choose another --out")
    for operator in operators:
        tested(context, operator, parts, f"{operator}: put parts")
    values = of_lots([lot_of(out / operator / STORE) for operator in operators], test)
    path = out / "gauge.csv"
    path.write_text(table(values, operators), encoding="utf-8")
    context.invoke(gauge_, file=path, method="anova", tolerance=None, as_json=as_json)


study.add_command(golden)
