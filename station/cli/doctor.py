"""`hardbin doctor`: whether this machine can do what a station needs."""

from pathlib import Path

import click
from msgspec import json

from station.cli.codes import Exit
from station.doctor import Health, examined

SIGNS = {Health.OK: "ok  ", Health.WARN: "WARN", Health.BAD: "BAD "}


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lots"),
    show_default=True,
    help="Where lots go.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one list.")
def doctor(out: Path, *, as_json: bool) -> int:
    """Examine this machine: cryptography, plug-ins, disk, clock, memory, ways to equipment."""
    findings = list(examined(out))
    if as_json:
        click.echo(json.encode(findings))
    else:
        for finding in findings:
            advice = f"\n{'':19}-> {finding.advice}" if finding.advice else ""
            click.echo(f"{SIGNS[finding.health]} {finding.name:<14}{finding.found}{advice}")
    return Exit.CONFIG if any(finding.health is Health.BAD for finding in findings) else Exit.OK
