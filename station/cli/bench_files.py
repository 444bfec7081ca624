"""`hardbin bench map` and `bench stdf`: what the files of a lot cost, each figure beside its floor."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from station.cli.said import Said, says

MAP_LABELS = {
    "dies": "dies of the wafer",
    "e142_write_ms": "CPU ms to write it as SEMI E142",
    "e142_read_ms": "CPU ms to read that",
    "e142_bytes": "bytes of it",
    "g85_write_ms": "CPU ms to write it as SEMI G85",
    "g85_read_ms": "CPU ms to read that",
    "g85_bytes": "bytes of it",
    "write_floor_ms": "floor: a digit a die, and one write",
    "read_floor_ms": "floor: the E142 file through the XML parser alone",
}
STDF_LABELS = {
    "stdf_write_per_cpu_s": "records written per CPU-second, limits compared",
    "stdf_floor_per_cpu_s": "floor: one bare struct.pack a record, one write a touchdown",
    "stdf_read_per_s": "records read per CPU-second",
    "stdf_read_floor_per_s": "floor: from header to header, bare struct",
}
LARGE = 1000


@click.command(name="map")
@click.option("--dies", type=click.IntRange(100, 1_000_000), default=50_000, show_default=True)
@says
def map_(dies: int) -> Said:
    """Map files of one large wafer, written and read."""
    from station.datalog.maps.bench import measured

    with TemporaryDirectory(prefix="hardbin-bench-") as folder:
        figures = measured(Path(folder), dies)
    return Said(lines(figures, MAP_LABELS), **figures)


@click.command()
@click.option("--touchdowns", type=click.IntRange(1), default=60, show_default=True, help="Of 8 x 100 tests.")
@says
def stdf(touchdowns: int) -> Said:
    """STDF alone, written and read; `bench datalog` has it beside store and Parquet."""
    from station.datalog.bench import stdf_measured

    with TemporaryDirectory(prefix="hardbin-bench-") as folder:
        figures = stdf_measured(Path(folder), touchdowns)
    return Said(lines(figures, STDF_LABELS), **figures)


def lines(figures: Mapping[str, float], labels: Mapping[str, str]) -> str:
    """Return a line a figure, with what it means."""
    return "\n".join(
        f"{figure:>12,.0f}  {labels[key]}" if figure >= LARGE else f"{figure:>12.3g}  {labels[key]}"
        for key, figure in figures.items()
    )


COMMANDS = (map_, stdf)
