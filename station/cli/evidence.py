"""`hardbin evidence`: what a lot leaves for its customer, exported, taken apart, and checked offline."""

import asyncio
from pathlib import Path

import click
import msgspec

from station import events
from station.cli.audit import given_note
from station.cli.codes import Exit
from station.clock import RealClock
from station.custody import journal
from station.custody.checkpoint import Note
from station.errors import EvidenceError, TrustError
from station.evidence import delivered, device_file, stated, trust, verification
from station.evidence.bundle import BUNDLE, TRUST
from station.evidence.verdict import Verdict
from station.io_thread import IoThread
from station.lot_folder import VAULT
from station.model import LotInfo
from station.open_lot import JOURNAL
from station.vault.client import VaultClient, VaultProcess

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
SHOWN = 50
"""Findings that a text shows; `--json` has all."""
SUFFIX = ".device.json"


@click.group()
def evidence() -> None:
    """Export a lot's evidence, take one device out of it, and check either offline."""


@evidence.command()
@click.argument("lot", type=FOLDER)
@click.option("--out", type=FOLDER, help="Where to put the files; by default into the lot's folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def export(lot: Path, *, out: Path | None, as_json: bool) -> int:
    """Export the evidence of a LOT folder again, from its vault, which must not be running.

    `hardbin run` does it at the end of each lot that personalises.
    """
    vault = lot / VAULT
    if not vault.is_dir():
        return _said(Exit.NOT_FOUND, f"{lot}: has no folder {VAULT!r}: its vault is not here")
    loaded = next(journal.read(lot / JOURNAL), None)
    if not isinstance(loaded, events.LotLoaded):
        return _said(Exit.NOT_FOUND, f"{lot / JOURNAL}: does not begin with the lot that was loaded")
    target = out or lot
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(_exported(vault, loaded.info, target))
    made = {"bundle": str(target / BUNDLE), "trust": str(target / TRUST)}
    click.echo(msgspec.json.encode(made).decode() if as_json else "\n".join(made.values()))
    return Exit.OK


async def _exported(vault: Path, info: LotInfo, target: Path) -> None:
    process = VaultProcess.start(vault)
    io = IoThread()
    try:
        io.start()
        client = VaultClient(process.socket, clock=RealClock(), io=io, station=info.station)
        try:
            await client.connect()
            await client.export(info.lot, target)
        finally:
            await client.aclose()
    finally:
        io.stop()
        process.stop()


@evidence.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--trust", "trust_file", type=FILE, required=True, help="What you trust; keep it apart.")
@click.option("--since", type=FILE, multiple=True, help="A checkpoint from before; repeatable.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes; by default one a core.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all findings.")
def verify(
    bundle: Path, *, trust_file: Path, since: tuple[Path, ...], workers: int | None, as_json: bool
) -> int:
    """Check BUNDLE, a manifest's folder, or one device's file, without network or vault.

    The first line names the first thing that is wrong. Exit code 0 if nothing is, 13 for findings, 7 if the
    trust file does not fit, 2 if BUNDLE cannot be read.
    """
    try:
        trusted = trust.read(trust_file)
        verdict = _verified(bundle, trusted, [given_note(path) for path in since], workers)
    except TrustError as error:
        return _said(Exit.TRUST, str(error))
    except EvidenceError as error:
        return _said(Exit.USAGE, str(error))
    told = {"sound": verdict.sound, **msgspec.to_builtins(verdict)}
    click.echo(msgspec.json.encode(told).decode() if as_json else _text(bundle, verdict))
    return Exit.OK if verdict.sound else Exit.INTEGRITY


@evidence.command()
@click.argument("statement", type=FILE)
@click.option("--trust", "trust_file", type=FILE, required=True, help="What you trust; keep it apart.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def register(statement: Path, *, trust_file: Path, as_json: bool) -> int:
    """Check a key store's STATEMENT of its keys (`hardbin key register`), without network or vault."""
    try:
        trusted = trust.read(trust_file)
        found = stated.read(statement.read_bytes(), trusted.record_keys())
    except TrustError as error:
        return _said(Exit.TRUST, str(error))
    except (EvidenceError, OSError) as error:
        return _said(Exit.INTEGRITY, f"{statement}: {error}")
    wrong = [*stated.faults(found, trusted)]
    if as_json:
        told = {"sound": not wrong, "findings": wrong, "register": msgspec.to_builtins(found)}
        click.echo(msgspec.json.encode(told).decode())
    else:
        lines = [f"{key.id}: {key.state}, {key.profile.algorithm}, {key.used} uses" for key in found.keys]
        result = "sound" if not wrong else f"findings: {len(wrong)}"
        lines = [*wrong, *lines, f"{statement}: store {found.store}, {len(found.keys)} keys, {result}"]
        click.echo("\n".join(map(_printable, lines)))
    return Exit.OK if not wrong else Exit.INTEGRITY


@evidence.command()
@click.argument("bundle", type=FILE)
@click.argument("device")
@click.option("--out", type=FILE, help=f"The file to write; by default <device>{SUFFIX} here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def device(bundle: Path, device: str, *, out: Path | None, as_json: bool) -> int:
    """Take one DEVICE out of BUNDLE, by unit, serial number or UID, as a file that can be checked alone."""
    try:
        found = device_file.extracted(bundle, device)
    except EvidenceError as error:
        return _said(Exit.NOT_FOUND if bundle.is_file() else Exit.USAGE, str(error))
    path = out or Path(f"{device.replace('/', '_')}{SUFFIX}")
    try:
        with path.open("xb") as file:
            file.write(found)
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from error
    click.echo(msgspec.json.encode({"device": str(path)}).decode() if as_json else str(path))
    return Exit.OK


def _verified(path: Path, trusted: trust.Trust, older: list[Note], workers: int | None) -> Verdict:
    if path.is_dir():
        _without_ledger(path, older)
        return delivered.verified(path, trusted)
    try:
        with path.open("rb") as file:
            begins = file.read(1)
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    if begins == b"{":
        _without_ledger(path, older)
        return device_file.verified(path, trusted)
    return verification.verified(path, trusted, older=older, workers=workers)


def _without_ledger(path: Path, older: list[Note]) -> None:
    if older:
        raise EvidenceError(f"{path}: has no ledger, so --since cannot be checked; the bundle has one")


def _said(code: Exit, message: str) -> Exit:
    click.echo(f"hardbin: {_printable(message)}", err=True)
    return code


def _text(path: Path, verdict: Verdict) -> str:
    rows = [str(finding) for finding in verdict.findings[:SHOWN]]
    if len(verdict.findings) > SHOWN:
        rows.append(f"... and {len(verdict.findings) - SHOWN} more; --json has all")
    rows += [f"note: {notice}" for notice in verdict.notices]
    rows += [f"signed by {name}" for name in verdict.signed_by]
    if verdict.mode == "development":
        rows.append("development keys: this proves nothing to a customer")
    result = "sound" if verdict.sound else f"findings: {len(verdict.findings)}"
    rows.append(f"{path}: lot {verdict.lot or '-'}, {verdict.devices} devices, {result}")
    return "\n".join(map(_printable, rows))


def _printable(text: str) -> str:
    """Escape what a terminal would obey: names in a bundle are not ours."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
