"""`hardbin bench`: speeds, each beside its floor from the same run."""

import click


@click.group()
def bench() -> None:
    """Measure how fast this machine runs a cell."""
