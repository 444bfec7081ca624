"""`hardbin doctor`: whether this machine can do what a station needs."""

from pathlib import Path

import click
from msgspec import json

from station import support
from station.cli.codes import Exit
from station.doctor import Health, examined
from station.remedies import applied, offered, remedies

FILE = click.Path(dir_okay=False, path_type=Path)
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
@click.option("--bundle", type=FILE, help="Write what somebody who helps must know into a new file.")
@click.option("--station", type=FILE, help="Its keys are looked at, and it goes into --bundle.")
@click.option(
    "--lot",
    "lots",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="Put journal and report of the lot in this folder in; repeatable.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("station-data"),
    show_default=True,
    help="The folder of the station.",
)
@click.option("--fix", is_flag=True, help="Put right what can be undone; each thing is named.")
def doctor(
    out: Path,
    bundle: Path | None,
    station: Path | None,
    lots: tuple[Path, ...],
    data: Path,
    *,
    fix: bool,
    as_json: bool,
) -> int:
    """Examine this machine: cryptography, plug-ins, disk, clock, memory, ways to equipment, open files."""
    if bundle is None and lots:
        raise click.UsageError("--lot says what goes into --bundle FILE")
    treated = applied if fix else offered
    files = [treated(one) for one in remedies(out, data, station)]
    findings = [*examined(out), *files]
    if bundle is not None:
        members = support.bundle(bundle, findings, station, lots)
        click.echo(f"hardbin: {bundle}: {', '.join(one.path for one in members)}", err=True)
    if as_json:
        click.echo(json.encode(findings))
    else:
        for finding in findings:
            advice = f"\n{'':19}-> {finding.advice}" if finding.advice else ""
            click.echo(f"{SIGNS[finding.health]} {finding.name:<14}{finding.found}{advice}")
    return Exit.CONFIG if any(finding.health is Health.BAD for finding in findings) else Exit.OK
