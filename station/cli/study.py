"""`hardbin study`: studies of the measurement itself, run on the cell."""

import csv
from pathlib import Path

import click
import numpy as np

from station.cli.golden import golden
from station.cli.report import gauge_
from station.cli.study_lot import tested
from station.datalog.store import Store
from station.errors import AnalysisError, ConfigError
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
    rows = list[tuple[int, str, int, float]]()
    for operator in operators:
        tested(context, operator, parts, f"{operator}: put parts")
        rows += _values(out / operator / STORE, test, operator, trials)
    path = out / "gauge.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("part", "operator", "trial", "value"), *rows])
    context.invoke(gauge_, file=path, method="anova", tolerance=None, as_json=as_json)


study.add_command(golden)


def _values(path: Path, test: int, operator: str, trials: int) -> list[tuple[int, str, int, float]]:
    """Return part, operator, trial and value of each contact; AnalysisError if one is missing."""
    store = Store(path)
    try:
        column = store.column(1, test)
        contacts = [(row.part_id, row.exec_no) for row in store.devices(1)]
    finally:
        store.close()
    rows = [(part, operator, trial, float(v)) for (part, trial), v in zip(contacts, column, strict=True)]
    bad = sorted({part for part, _, _, value in rows if not np.isfinite(value)})
    tested = {part: sum(p == part for p, _ in contacts) for part, _ in contacts}
    bad += sorted(part for part, count in tested.items() if count != trials and part not in bad)
    if bad:
        told = ", ".join(map(str, bad))
        raise AnalysisError(
            f"{operator}: parts {told} have not {trials} values of test {test}; choose others"
        )
    return rows
