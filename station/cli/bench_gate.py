"""`hardbin bench gate`: whether anything takes far more CPU than what it stands on, in the same run.

Times say more of a machine and its neighbours than of the code. So each part is measured many times in short
slices, in turn with its floor, and the least of both counts. What is over its bound is measured again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import click
from msgspec import Struct, json

from station.cli.codes import Exit
from station.datalog import bench as datalog
from station.engine import bench as engine

Costs: TypeAlias = dict[str, float]
"""CPU-seconds of a unit of work, by name."""
SLICES = 4
TRIES = 10
"""So often all parts are measured before one that is over its bound is believed."""
TOUCHDOWNS = 6
FLOOR_ROWS = 20_000


@dataclass(frozen=True)
class Gate:
    """A figure, what it is held against, and how many times that it may be."""

    name: str
    floor: str
    most: float


class Held(Struct, frozen=True):
    """A figure beside its bound."""

    name: str
    ratio: float
    most: float
    kept: bool


GATES = (
    Gate("engine", "await", 130.0),
    Gate("engine_stdf_store", "await", 430.0),
    Gate("stdf_write", "stdf_floor", 20.0),
    Gate("stdf_read", "read_floor", 12.0),
    Gate("store", "store_floor", 7.0),
)
"""Bounds are twice what is seen on a quiet machine: one that is over it takes twice as long as it did."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one list.")
def gate(*, as_json: bool) -> int:
    """CPU of engine, STDF and store as a multiple of bare Python's, each beside its bound; for CI."""
    found = gated(measured)
    if as_json:
        click.echo(json.encode(found))
    else:
        for one in found:
            told = "" if one.kept else "TOO MUCH: "
            click.echo(f"{one.ratio:>8.1f}  {one.name:<20} {told}at most {one.most:g}")
    return Exit.OK if all(one.kept for one in found) else Exit.UNEXPECTED


def gated(measure: Callable[[Path], Costs]) -> list[Held]:
    """Measure until every figure keeps its bound, or none has got better often enough."""
    least = Costs()
    found = list[Held]()
    for _ in range(TRIES):
        with TemporaryDirectory(prefix="hardbin-bench-") as folder:
            for _ in range(SLICES):
                _lower(least, measure(Path(folder)))
        found = list(_held(least))
        if all(one.kept for one in found):
            break
    return found


def _lower(least: Costs, costs: Mapping[str, float]) -> None:
    for name, cost in costs.items():
        least[name] = min(cost, least.get(name, cost))


def _held(least: Mapping[str, float]) -> Iterator[Held]:
    for one in GATES:
        ratio = least[one.name] / least[one.floor]
        yield Held(one.name, round(ratio, 2), one.most, ratio <= one.most)


def measured(folder: Path) -> Costs:
    """Measure each part and each floor once, for a second or so."""
    rows = tuple(engine.quick(number) for number in range(1, engine.ROWS + 1))
    plan = engine.sequence(rows)
    bare, plain, recorded = (
        1 / rate
        for rate in (
            max(engine.floor_rate(FLOOR_ROWS) for _ in range(SLICES)),
            engine.rate(plan, engine.SITES, TOUCHDOWNS, recorded=False),
            engine.rate(plan, engine.SITES, TOUCHDOWNS, recorded=True),
        )
    )
    read = datalog.reading(folder, TOUCHDOWNS, SLICES)
    return {
        "await": bare,
        "engine": plain,
        "engine_stdf_store": recorded,
        "stdf_read": 1 / read["stdf_read_per_s"],
        "read_floor": 1 / read["stdf_read_floor_per_s"],
        **datalog.writing(folder, TOUCHDOWNS),
        **datalog.storing(folder, TOUCHDOWNS),
    }
