"""`hardbin update`: releases of hardbin on a station, signed by two persons and changed between lots."""

import os
import shlex
import time
from pathlib import Path

import click
import msgspec

from station.cli.codes import Exit
from station.cli.desk_access import Person, by_person
from station.cli.key_access import stop
from station.cli.listening import engine
from station.cli.said import Said, says
from station.clock import RealClock
from station.custody import durable_file
from station.errors import ConfigError
from station.recipe.trust import trust_of
from station.release.bundle import STATEMENT, Release, believed, described
from station.release.change import Change, MidLotError, UnhealthyError
from station.release.places import CURRENT, PREVIOUS, Releases
from station.vault.desk.statement import StatementError, countersigned, opened, signed

OPEN = 0o022
"""Programs are for every user of the station, unlike what programs write."""
BUNDLE = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
ROOT = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/opt/hardbin"),
    show_default=True,
    help="Where releases lie.",
)
TRUST = click.option(
    "--trust",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Whose releases are believed, as of recipes.",
)
RESTART = click.option(
    "--restart",
    default="systemctl restart hardbin-engine hardbin-console hardbin-metrics",
    show_default=True,
    help="What starts the station anew; empty: nothing runs.",
)
WITHIN = click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0.5),
    default=60.0,
    show_default=True,
    help="Seconds until the engine must answer; then the release before comes back.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def update() -> None:
    """Bring another release of hardbin to a station, between lots, and go back."""


@update.command()
@BUNDLE
@click.argument("version")
@says
def build(folder: Path, version: str) -> Said:
    """Describe FOLDER, with wheels and lock, as release VERSION that nobody has signed yet."""
    try:
        made = msgspec.convert(
            msgspec.to_builtins(described(folder, version, int(RealClock().unix()))), Release
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"{version!r}: no version: {error}") from None
    durable_file.replace(folder / STATEMENT, signed(made, ()))
    words = f"{folder / STATEMENT}: {made.version}, {len(made.files)} files"
    return Said(words, version=made.version, files=len(made.files), statement=folder / STATEMENT)


@update.command()
@BUNDLE
@by_person
@says
def sign(who: Person, folder: Path) -> Said:
    """Add a person's two signatures to the release in FOLDER, when all of it is as it was described."""
    envelope = _envelope(folder)
    try:
        release = opened(envelope).read(Release)
    except StatementError as error:
        raise ConfigError(f"{folder / STATEMENT}: {error}") from None
    if described(folder, release.version, release.made) != release:
        raise ConfigError(f"{folder}: not as it was described; `hardbin update build` again")
    signer = who.signer()
    durable_file.replace(folder / STATEMENT, countersigned(envelope, signer.both()))
    return Said(
        f"{folder}: {release.version}, signed by {signer.kid}", version=release.version, signed_by=signer.kid
    )


@update.command()
@BUNDLE
@TRUST
@JSON
def verify(folder: Path, trust: Path, *, as_json: bool) -> None:
    """Check signatures and every file of the release in FOLDER."""
    release = believed(folder, trust_of(trust))
    told = {"version": release.version, "files": len(release.files)}
    line = f"{release.version}: {len(release.files)} files as two persons have signed them"
    click.echo(msgspec.json.encode(told).decode() if as_json else line)


@update.command()
@BUNDLE
@TRUST
@ROOT
@says
def stage(folder: Path, trust: Path, root: Path) -> Said:
    """Verify the release in FOLDER and install it beside the others; no network, and nothing runs it yet."""
    release = believed(folder, trust_of(trust))
    os.umask(OPEN)
    place = Releases(root).stage(folder, release)
    return Said(f"{place}: staged", version=release.version, folder=place)


@update.command()
@click.argument("version")
@ROOT
@engine
@RESTART
@WITHIN
@says
def activate(version: str, root: Path, engine: Path, restart: str, within_s: float) -> Said:
    """Change to release VERSION, between lots; if its engine does not answer, the one before comes back."""
    return _change(Releases(root), version, engine, restart, within_s)


@update.command()
@ROOT
@engine
@RESTART
@WITHIN
@says
def rollback(root: Path, engine: Path, restart: str, within_s: float) -> Said:
    """Change back to the release before, between lots."""
    releases = Releases(root)
    before = releases.named(PREVIOUS)
    if before is None:
        stop(Exit.NOT_FOUND, f"{root}: there is no release before")
    return _change(releases, before, engine, restart, within_s)


@update.command()
@ROOT
@says
def prune(root: Path) -> Said:
    """Remove releases but the one in use and the one before."""
    removed = Releases(root).prune()
    return Said(f"removed: {', '.join(removed) or 'none'}", removed=removed)


@update.command()
@ROOT
@JSON
def status(root: Path, *, as_json: bool) -> None:
    """Print which releases are there, which is in use, and which is the way back."""
    releases = Releases(root)
    told = {
        "current": releases.named(CURRENT),
        "previous": releases.named(PREVIOUS),
        "staged": releases.staged(),
    }
    if as_json:
        click.echo(msgspec.json.encode(told))
        return
    for version in releases.staged():
        notes = [name for name in (CURRENT, PREVIOUS) if told[name] == version]
        click.echo(" ".join([version, *notes]))


def _change(releases: Releases, version: str, engine: Path, restart: str, within_s: float) -> Said:
    change = Change(releases, engine, tuple(shlex.split(restart)), within_s, time.sleep)  # noqa: TID251 - no loop here
    try:
        change.to(version)
    except MidLotError as error:
        stop(Exit.WRONG_STATE, str(error))
    except UnhealthyError as error:
        stop(Exit.UNEXPECTED, str(error))
    return Said(f"{version} is in use", version=version)


def _envelope(folder: Path) -> bytes:
    try:
        return (folder / STATEMENT).read_bytes()
    except OSError as error:
        raise ConfigError(f"{folder / STATEMENT}: {error.strerror}") from error
