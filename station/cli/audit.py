"""`hardbin audit`: check a ledger offline, look into it, take entries out with their proofs."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from station.cli.codes import Exit
from station.cli.desk_access import Caller, at_desk
from station.cli.said import Said, says
from station.custody import chain, rotation, seed_file
from station.custody import export as exports
from station.custody.audit import Report, Trust, audited
from station.custody.checkpoint import Note, checked_origin, parsed
from station.custody.command_ledger import build as build_commands
from station.custody.ledger import Entry, decoded
from station.custody.log_keys import Key, key_of
from station.custody.lot_ledger import build
from station.custody.tiles import CHECKPOINT, TileReader
from station.errors import LedgerError
from station.vault.desk.roles import Action as AtDesk

POLL_S = 1.0
AUDIT = "audit"
"""What `hardbin serve` calls its trail."""
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def audit() -> None:
    """Check a ledger, follow it, and take entries out with proofs; needs neither vault nor network."""


@audit.command()
@click.argument("folders", metavar="FOLDER...", type=FOLDER, nargs=-1, required=True)
@click.option("--key", "keys", type=FILE, multiple=True, required=True, help="Public keys of the log.")
@click.option("--witness", "witnesses", type=FILE, multiple=True, help="Public keys of witnesses.")
@click.option("--since", type=FILE, multiple=True, help="A checkpoint from before; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all findings.")
def verify(
    folders: tuple[Path, ...],
    *,
    keys: tuple[Path, ...],
    witnesses: tuple[Path, ...],
    since: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Check a ledger's folder, or one of exported entries; the exit code is 13 if anything is wrong.

    Several folders are logs of one ledger, in their order: each must begin where the one before it ended.
    """
    trust = Trust(given_keys(keys), given_keys(witnesses), [given_note(path) for path in since])
    for folder in folders:
        _must_exist(folder)
    if len(folders) > 1:
        _verify_all(folders, trust, as_json=as_json)
        return
    (folder,) = folders
    report = exports.checked(folder, trust) if exports.is_export(folder) else _audited(folder, trust)
    click.echo(msgspec.json.encode(_object(report)).decode() if as_json else _text(folder, report))
    if not report.sound:
        click.get_current_context().exit(Exit.INTEGRITY)


def _verify_all(folders: tuple[Path, ...], trust: Trust, *, as_json: bool) -> None:
    reports = [_audited(folder, chain.trust_of(folder, trust)) for folder in folders]
    links = [*chain.findings(folders), *chain.strangers(folders, trust.older)]
    sound = not links and all(report.sound for report in reports)
    if as_json:
        logs = [{"folder": str(one), **_object(report)} for one, report in zip(folders, reports, strict=True)]
        told = {"sound": sound, "logs": logs, "findings": msgspec.to_builtins(links)}
        click.echo(msgspec.json.encode(told).decode())
    else:
        texts = [_text(folder, report) for folder, report in zip(folders, reports, strict=True)]
        click.echo("\n".join([*texts, *(_printable(str(link)) for link in links)]))
    if not sound:
        click.get_current_context().exit(Exit.INTEGRITY)


@audit.command()
@click.argument("folder", type=FOLDER)
@click.option("-n", "--lines", type=click.IntRange(0), default=10, show_default=True, help="How many.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until interrupted.")
@click.option("--json", "as_json", is_flag=True, help="The entries as they are, one a line.")
def tail(folder: Path, *, lines: int, follow: bool, as_json: bool) -> None:
    """Print the last entries that the checkpoint covers; nothing is verified."""
    show = _as_json if as_json else _as_text
    size = given_note(_checkpoint(folder)).checkpoint.size
    _print(folder, max(0, size - lines), size, show)
    if follow:
        asyncio.run(print_new(folder, size, show))


@audit.command()
@click.argument("folder", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--lot", help="Only entries of this lot.")
@click.option("--unit", help="Only entries of this unit.")
@click.option("--event", "events", multiple=True, help="Only these events; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def export(
    folder: Path, out: Path, *, lot: str | None, unit: str | None, events: tuple[str, ...], as_json: bool
) -> None:
    """Write entries, each with its proof, into a new folder OUT; check it with `audit verify`."""
    note = given_note(_checkpoint(folder))
    if out.exists():
        raise click.UsageError(f"{out} is there already; give a new folder")

    def wanted(entry: Entry) -> bool:
        return (
            (lot is None or entry.lot == lot)
            and (unit is None or entry.unit == unit)
            and (not events or entry.event in events)
        )

    count = exports.exported(folder, note, out, wanted)
    size = note.checkpoint.size
    if as_json:
        click.echo(msgspec.json.encode({"out": str(out), "entries": count, "size": size}).decode())
    else:
        click.echo(f"{count} of {size} entries, each with its proof, in {out}")


@audit.command()
@click.argument("file", type=FILE)
@click.option("--name", required=True, help="Origin of the log, for example plant.example/cell-3/2027.")
@says
def key(file: Path, *, name: str) -> Said:
    """Make development keys of a log in a new FILE and print the public ones, for `--key`."""
    made = [str(signer.key) for signer in seed_file.create(file, name).signers()]
    return Said("\n".join(made), file=file, keys=made)


@audit.command()
@click.argument("file", type=FILE)
@click.option("--name", required=True, help="Of the log that is to begin.")
@says
def rename(file: Path, *, name: str) -> Said:
    """Print the public keys in FILE as they are for another log, for its witnesses before a rotation."""
    try:
        made = [str(replace(key, name=checked_origin(name))) for key in given_keys((file,))]
    except LedgerError as error:
        raise click.UsageError(f"--name: {error}") from error
    return Said("\n".join(made), keys=made)


@audit.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why.")
@at_desk
def rotate(caller: Caller, name: str, reason: str) -> None:
    """End the vault's log and begin the log NAME; an engineer and a security officer."""
    body = caller.ask(AtDesk.ROTATE_LOG, name, {"reason": reason})
    done = msgspec.convert(body, Rotated)
    ended = f"{done.ended.origin}: ended with {done.ended.size} leaves, root {done.ended.root}"
    caller.show(body, [ended, f"{done.begun}: begun"])


class Rotated(msgspec.Struct):
    """Which log has ended, and which has begun."""

    ended: rotation.Before
    begun: str


@audit.command()
@click.argument("lot", type=FOLDER)
@click.argument("folder", type=FOLDER)
@click.option("--key", "seeds", type=FILE, required=True, help="Development keys, made by `audit key`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def lot(lot: Path, folder: Path, *, seeds: Path, as_json: bool) -> None:
    """Make a ledger of a lot's journal in a new FOLDER: the station's claims, signed in development."""
    if not (lot / "journal").is_file():
        _stop(Exit.NOT_FOUND, f"{lot}: there is no journal in it")
    if folder.exists():
        raise click.UsageError(f"{folder} is there already; give a new folder")
    head = build(lot / "journal", folder, seed_file.read(seeds)).checkpoint
    if as_json:
        told = {"out": str(folder), "origin": head.origin, "size": head.size, "root": head.root.hex()}
        click.echo(msgspec.json.encode(told).decode())
    else:
        click.echo(f"{head.size} entries of {head.origin} in {folder}: claims of the station")


@audit.command()
@click.argument("data", type=FOLDER)
@click.argument("folder", type=FOLDER)
@click.option("--key", "seeds", type=FILE, required=True, help="Development keys, made by `audit key`.")
@click.option("--name", "station", required=True, help="Of the station, as in its station file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def commands(data: Path, folder: Path, *, seeds: Path, station: str, as_json: bool) -> None:
    """Make or continue in FOLDER a ledger of the commands that came from afar, by a station's DATA."""
    if not (data / AUDIT).is_file():
        _stop(Exit.NOT_FOUND, f"{data}: there is no audit trail in it")
    head = build_commands(data / AUDIT, folder, seed_file.read(seeds), station).checkpoint
    if as_json:
        told = {"out": str(folder), "origin": head.origin, "size": head.size, "root": head.root.hex()}
        click.echo(msgspec.json.encode(told).decode())
    else:
        click.echo(f"{head.size} entries of {head.origin} in {folder}: claims of the station")


# -- what is given
def _must_exist(folder: Path) -> None:
    if not folder.is_dir():
        _stop(Exit.NOT_FOUND, f"{folder}: there is no such folder")


def _checkpoint(folder: Path) -> Path:
    _must_exist(folder)
    return folder / CHECKPOINT


def _audited(folder: Path, trust: Trust) -> Report:
    if not (folder / CHECKPOINT).is_file():
        _stop(Exit.NOT_FOUND, f"{folder}: neither a ledger nor exported entries")
    return audited(folder, trust)


def given_note(path: Path) -> Note:
    """Read a file with a checkpoint."""
    try:
        return parsed(_read(path))
    except LedgerError as error:
        raise LedgerError(f"{path}: {error}") from error


def given_keys(paths: tuple[Path, ...]) -> list[Key]:
    """Read files of public keys, one a line."""
    lines = [(path, line) for path in paths for line in _read(path).decode(errors="replace").splitlines()]
    try:
        return [key_of(line) for path, line in lines if line.strip()]
    except LedgerError as error:
        raise click.UsageError(f"{', '.join(map(str, paths))}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        _stop(Exit.NOT_FOUND, f"{path}: {error.strerror}")


def _stop(code: Exit, message: str) -> NoReturn:
    click.echo(f"hardbin: {message}", err=True)
    click.get_current_context().exit(code)


# -- what is shown
def _object(report: Report) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(report)
    return {"sound": report.sound} | found


def _text(folder: Path, report: Report) -> str:
    rows = [str(finding) for finding in report.findings]
    rows += [f"note: {notice}" for notice in report.notices]
    rows += [f"signed by {name}" for name in report.signed_by]
    count = sum(report.events.values())
    verdict = "sound" if report.sound else f"findings: {len(report.findings)}"
    rows.append(f"{folder}: {report.origin}, {count} entries checked, tree of {report.size}, {verdict}")
    return "\n".join(map(_printable, rows))


def _printable(text: str) -> str:
    """Escape what a terminal would obey: entries and file names are not ours."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def _as_json(entry: bytes) -> str:
    return entry.decode(errors="replace")


def _as_text(entry: bytes) -> str:
    found = decoded(entry)
    at = datetime.fromtimestamp(found.t / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    named = [name for name in (found.lot, found.unit, found.order, found.key, found.actor) if name]
    data = [f"{name}={value}" for name, value in found.data.items()]
    line = [f"{found.seq:>7} {at}.{found.t % 1000:03}Z {found.src} {found.event}", *named, *data]
    return _printable(" ".join(line))


def _print(folder: Path, start: int, size: int, show: Callable[[bytes], str]) -> None:
    for _, entry in TileReader(folder, size).entries_from(start) if start < size else ():
        click.echo(show(entry))


async def print_new(folder: Path, shown: int, show: Callable[[bytes], str]) -> None:
    """Print what comes after the first `shown` entries, for ever; a log that follows in its place, whole."""
    head = given_note(folder / CHECKPOINT).checkpoint
    while True:
        await asyncio.sleep(POLL_S)
        if not (folder / CHECKPOINT).is_file():
            continue  # a log that has ended was put away, and the next is not published
        before, head = head, given_note(folder / CHECKPOINT).checkpoint
        if head.origin != before.origin:
            shown = 0
        _print(folder, shown, head.size, show)
        shown = max(shown, head.size)
