"""`hardbin bench soak`: one long lot of the bare engine, and a shift of the simulated cell."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from msgspec import json

from station.cli.bench_all import asked
from station.engine.bench import soaked
from station.surroundings import CELLS, WAFER_SORT

ROWS = 5
HOUR_S = 3600.0
LABELS = {
    "devices": "devices through one process, each in journal, store and STDF",
    "sites": "sites side by side",
    "wall_s": "seconds",
    "devices_per_s": "devices a second",
    "devices_per_cpu_s": "devices per CPU-second",
    "growth_mb": "MB that the process grew by, from the first tenth to the end",
    "disk_mb": "MB on disk",
    "shift_hours": "hours of the simulated cell, at the times of its machines",
    "shift_lots": "lots one after the other",
    "shift_devices": "devices in them",
    "shift_wall_s": "seconds that they took",
    "shift_wrong": "of their devices that were not what the station says",
}


@click.command()
@click.option(
    "--devices", type=click.IntRange(640), default=1_000_000, show_default=True, help="Of the long lot."
)
@click.option("--sites", type=click.IntRange(1, 64), default=64, show_default=True, help="Of the long lot.")
@click.option("--hours", type=click.FloatRange(0), default=8.0, show_default=True, help="Of the shift.")
@click.option(
    "--flow", type=click.Choice(list(CELLS)), default=WAFER_SORT, show_default=True, help="Of the shift."
)
@click.option(
    "--lot-devices", type=click.IntRange(1), default=2000, show_default=True, help="Of each lot of the shift."
)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def soak(*, devices: int, sites: int, hours: float, flow: str, lot_devices: int, as_json: bool) -> None:
    """A million devices through one process, and a shift of eight hours in virtual time."""
    click.echo(f"... {devices} devices on {sites} sites", err=True)
    with TemporaryDirectory(prefix="hardbin-bench-") as folder:
        figures: dict[str, Any] = {**soaked(devices, sites, ROWS, Path(folder))}
    figures |= shift(hours, flow, lot_devices)
    if as_json:
        click.echo(json.encode(figures))
        return
    memory = figures.pop("resident_mb")
    for key, figure in figures.items():
        click.echo(f"{figure:>12,.10g}  {LABELS[key]}")
    click.echo(f"MB at each tenth: {', '.join(f'{one:.0f}' for one in memory)}")


def shift(hours: float, flow: str, devices: int) -> dict[str, float]:
    """Run lots of a simulated cell, one after the other, until its clock has gone on so many hours."""
    simulated_s = wall_s = 0.0
    lots = tested = wrong = 0
    while simulated_s < hours * HOUR_S:
        lots += 1
        click.echo(f"... lot {lots}, {simulated_s / HOUR_S:.1f} h", err=True)
        size = ("--devices", str(devices), "--seed", str(lots))
        report = asked("run", "--flow", flow, *size, "--lot", f"SHIFT-{lots:02}")
        simulated_s += report["simulated_s"]
        wall_s += report["wall_s"]
        tested += report["tested"]
        truth = report["truth"]
        wrong += sum(len(truth[name]) for name in ("escapes", "unexplained", "misplaced", "custody"))
    return {
        "shift_hours": round(simulated_s / HOUR_S, 2),
        "shift_lots": lots,
        "shift_devices": tested,
        "shift_wall_s": round(wall_s, 1),
        "shift_wrong": wrong,
    }
