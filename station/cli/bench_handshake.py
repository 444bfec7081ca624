"""`hardbin bench handshake`: what it costs to bring a handler its bins, beside its floor."""

import click

from station.cli.bench_files import lines
from station.cli.said import Said, says
from station.equip.bench_handshake import measured

LABELS = {
    "handshakes_per_cpu_s": "handshakes per CPU-second, 8 sites, from start of test to their bins confirmed",
    "floor_per_cpu_s": "floor: the same lines over the same port, nothing looked for but the echo",
    "handshake_p50_ms": "ms for each, half of them; 5 are the look for requests that are stale",
    "floor_p50_ms": "floor: ms for the lines alone",
}


@click.command()
@click.option("--touchdowns", type=click.IntRange(10), default=300, show_default=True)
@says
def handshake(touchdowns: int) -> Said:
    """The BINON handshake of a handler that answers at once: sites, bins, echo, confirmation."""
    figures = measured(touchdowns)
    return Said(lines(figures, LABELS), **figures)
