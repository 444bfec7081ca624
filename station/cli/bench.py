"""`hardbin bench`: speeds, each beside its floor from the same run."""

import click
from msgspec import json

from station.engine.bench import measured

LABELS = {
    "kept_per_cpu_s": "measurements per CPU-second, results kept",
    "stdf_per_cpu_s": "measurements per CPU-second, with STDF and store",
    "floor_per_cpu_s": "floor: bare await, limit check and append",
    "efficiency_8_sites": "parallel efficiency, 8 sites x 5 ms of instrument time",
    "efficiency_32_sites": "parallel efficiency, 32 sites x 5 ms of instrument time",
    "rss_growth_mb_per_100k": "memory growth over 100,000 devices, MB",
}


@click.group()
def bench() -> None:
    """Measure how fast this machine runs a cell."""


@bench.command()
@click.option("--touchdowns", type=click.IntRange(1), default=20, show_default=True)
@click.option("--devices", type=click.IntRange(1000), default=100_000, show_default=True, help="For memory.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def engine(touchdowns: int, devices: int, as_json: bool) -> None:
    """The engine with the simulator out of the way: 16 sites x 200 tests."""
    figures = measured(touchdowns, devices)
    if as_json:
        click.echo(json.encode(figures))
        return
    for key, figure in figures.items():
        click.echo(f"{figure:>12,.10g}  {LABELS[key]}")
    ratio = figures["kept_per_cpu_s"] / figures["floor_per_cpu_s"]
    click.echo(f"{ratio:>12.4f}  engine / floor")
