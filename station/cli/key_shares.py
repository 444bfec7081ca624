"""`hardbin key` on shares: another passphrase, other custodians, a backup, and opening with a backup."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from station.cli.codes import Exit
from station.cli.key_access import (
    FDS,
    FILES,
    FOLDER,
    JSON,
    opened,
    passphrases,
    prompted,
    reached,
    said,
    stop,
)
from station.custody import durable_file
from station.vault.desk.people import card_of
from station.vault.desk.statement import StatementError
from station.vault.keys import calls
from station.vault.keys.control import running
from station.vault.keys.words import BackupShare, Health, Signatory

APPROVED = click.option("--by", "approving", multiple=True, help="A custodian who approves it.")


@click.command()
@FOLDER
@click.option("--custodian", required=True, help="Whose passphrase it is.")
@FILES
@FDS
@JSON
def passphrase(
    folder: Path, custodian: str, *, files: tuple[Path, ...], fds: tuple[int, ...], as_json: bool
) -> None:
    """Give a custodian's share another passphrase: the old one comes first, then the new one."""
    with said(), reached(folder) as store:
        given = passphrases(files, fds)
        old = next(given, None) or prompted(f"{custodian}, the old one", new=False)
        new = next(given, None) or prompted(f"{custodian}, the new one", new=True)
        store.ask(calls.Repassphrase(custodian, old, new), type(None))
    told = {"custodian": custodian, "changed": True}
    click.echo(msgspec.json.encode(told).decode() if as_json else f"{custodian} has a new passphrase")


@click.command()
@FOLDER
@APPROVED
@click.option("--custodian", "custodians", multiple=True, help="Who holds a share from now on.")
@click.option("--threshold", type=int, default=2, show_default=True, help="How many of them open the store.")
@FILES
@FDS
@JSON
def reshare(
    folder: Path,
    *,
    approving: tuple[str, ...],
    custodians: tuple[str, ...],
    threshold: int,
    files: tuple[Path, ...],
    fds: tuple[int, ...],
    as_json: bool,
) -> None:
    """Give shares to other custodians; the file gets another key, so all of them choose passphrases.

    Passphrases come in the order of those who approve, then of the new custodians.
    """
    with said(), reached(folder) as store:
        given = passphrases(files, fds)
        allowing = opened(store, _holders(approving, given, new=False))
        new = _holders(custodians, given, new=True)
        store.ask(calls.Reshare(allowing, new, threshold, False, 0), type(None))
        health = store.ask(calls.Health(), Health)
    if as_json:
        click.echo(msgspec.json.encode(health).decode())
    else:
        click.echo(f"{health.threshold} of {', '.join(health.custodians)} open the store from now on")


@click.command()
@FOLDER
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@APPROVED
@click.option("--holder", "holders", multiple=True, help="Who gets a share of the backup.")
@click.option("--threshold", type=int, default=3, show_default=True, help="How many of them open the store.")
@FILES
@FDS
@JSON
def backup(
    folder: Path,
    out: Path,
    *,
    approving: tuple[str, ...],
    holders: tuple[str, ...],
    threshold: int,
    files: tuple[Path, ...],
    fds: tuple[int, ...],
    as_json: bool,
) -> None:
    """Cut the file's key into further shares, a file for each holder in the new folder OUT.

    Passphrases come in the order of those who approve, then of the holders.
    """
    if out.exists():
        raise click.UsageError(f"{out} is there already; give a new folder")
    with said(), reached(folder) as store:
        given = passphrases(files, fds)
        allowing = opened(store, _holders(approving, given, new=False))
        new = _holders(holders, given, new=True)
        shares = store.ask(calls.Backup(allowing, new, threshold), tuple[BackupShare, ...])
    written = durable_file.make_folder(out)
    for share in shares:
        durable_file.replace(out / f"{share.holder}.share", msgspec.json.encode(share))
    durable_file.sync_all(written)
    if as_json:
        names = [share.holder for share in shares]
        click.echo(msgspec.json.encode({"out": str(out), "holders": names, "threshold": threshold}).decode())
    else:
        click.echo(f"{out}: {len(shares)} shares; any {threshold} of them open a copy of the store")


@click.command()
@FOLDER
@click.argument("share", type=click.Path(path_type=Path, dir_okay=False))
@FILES
@FDS
@JSON
def restore(
    folder: Path, share: Path, *, files: tuple[Path, ...], fds: tuple[int, ...], as_json: bool
) -> None:
    """Give the share of a backup to the store that runs; when enough were given, it is open."""
    found = read_share(share)
    with said(), running(folder) as store:
        if store is None:
            stop(Exit.WRONG_STATE, f"{folder}: no key store process runs on this folder")
        given = next(passphrases(files, fds), None) or prompted(found.holder, new=False)
        health = store.ask(calls.Restore(found, given), Health)
    if as_json:
        click.echo(msgspec.json.encode(health).decode())
    elif health.state == "active":
        click.echo(f"active: store {health.store}; give it new custodians with `hardbin key reshare`")
    else:
        click.echo(f"{health.shares} of {found.threshold} shares")


def _holders(names: tuple[str, ...], given: Iterator[bytearray], *, new: bool) -> tuple[calls.Custodian, ...]:
    return tuple(calls.Custodian(name, next(given, None) or prompted(name, new=new)) for name in names)


def read_share(path: Path) -> BackupShare:
    """Read the file of a backup's share; the command ends if it is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=BackupShare)
    except OSError as error:
        stop(Exit.NOT_FOUND, f"{path}: {error.strerror}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        stop(Exit.INTEGRITY, f"{path}: not a share of a backup")


@click.command()
@FOLDER
@click.option(
    "--person",
    "persons",
    multiple=True,
    metavar="CARD=ROLE[,ROLE]",
    help="The file with a person's card, and his roles.",
)
@APPROVED
@FILES
@FDS
@JSON
def trust(
    folder: Path,
    *,
    persons: tuple[str, ...],
    approving: tuple[str, ...],
    files: tuple[Path, ...],
    fds: tuple[int, ...],
    as_json: bool,
) -> None:
    """Say whose signatures under work orders the store believes: these persons, and no others."""
    believed = tuple(_signatory(one) for one in persons)
    with said(), reached(folder) as store:
        allowing = opened(store, _holders(approving, passphrases(files, fds), new=False))
        store.ask(calls.Trust(allowing, believed), type(None))
    if as_json:
        click.echo(
            msgspec.json.encode([{"person": one.person, "roles": one.roles} for one in believed]).decode()
        )
        return
    for one in believed:
        click.echo(f"{one.person}: {', '.join(one.roles)}")


def _signatory(text: str) -> Signatory:
    path, parted, roles = text.rpartition("=")
    if not parted:
        raise click.UsageError(f"--person {text!r}: CARD=ROLE[,ROLE]")
    try:
        card = card_of(Path(path).read_bytes())
    except OSError as error:
        stop(Exit.NOT_FOUND, f"{path}: {error.strerror}")
    except StatementError as error:
        stop(Exit.INTEGRITY, f"{path}: not a person's card: {error}")
    return Signatory(card.person, tuple(roles.split(",")), bytes.fromhex(card.ed25519))


COMMANDS = (passphrase, reshare, backup, restore, trust)
