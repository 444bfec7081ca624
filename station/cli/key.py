"""`hardbin key`: make a key store, open it with custodians' passphrases, look into it, destroy it."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from station.cli import key_decisions, key_shares, key_states
from station.cli.codes import Exit
from station.cli.key_access import FDS, FILES, FOLDER, JSON, passphrases, pin, prompted, reached, said, stop
from station.cli.key_ceremony import ceremony
from station.cli.key_seal import seal
from station.vault.keys import calls
from station.vault.keys.control import own, running
from station.vault.keys.words import (
    DEVELOPMENT_CUSTODIAN,
    DEVELOPMENT_PASSPHRASE,
    Entry,
    Health,
    Mode,
    PqPolicy,
)


@click.group()
def key() -> None:
    """Make, open, look into and destroy a key store."""


for _command in (ceremony, seal, *key_shares.COMMANDS, *key_states.COMMANDS, *key_decisions.COMMANDS):
    key.add_command(_command)


@key.command()
@FOLDER
@click.option("--custodian", "custodians", multiple=True, help="One of the three who hold a share.")
@click.option("--development", is_flag=True, help="One share and a public passphrase: protects nothing.")
@click.option("--module", help="A PKCS#11 module whose token holds the keys.")
@click.option("--token", help="The label of that token.")
@click.option("--pin-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its PIN.")
@click.option("--pin-fd", type=int, help="Its PIN, from a descriptor.")
@click.option(
    "--pq",
    type=click.Choice([policy.value for policy in PqPolicy]),
    default=PqPolicy.REFUSE.value,
    show_default=True,
    help="Post-quantum keys that the token cannot hold: refuse them, or keep them in the file, marked.",
)
@FILES
@FDS
@JSON
def init(  # noqa: PLR0917
    folder: Path,
    custodians: tuple[str, ...],
    *,
    development: bool,
    module: str | None,
    token: str | None,
    pin_file: Path | None,
    pin_fd: int | None,
    pq: str,
    files: tuple[Path, ...],
    fds: tuple[int, ...],
    as_json: bool,
) -> None:
    """Make a store: any two of its three custodians open it.

    Passphrases come in the order of the custodians: from files, then descriptors, the rest from a prompt.
    """
    if development and (custodians or files or fds):
        raise click.UsageError("a development store has no custodians")
    if len(files) + len(fds) > len(custodians):
        raise click.UsageError(f"{len(files) + len(fds)} passphrases for {len(custodians)} custodians")
    if (module is None) is not (token is None):
        raise click.UsageError("--module and --token come together")
    with said():
        mode = Mode.DEVELOPMENT if development else Mode.PRODUCTION
        names = (DEVELOPMENT_CUSTODIAN,) if development else custodians
        given = iter([bytearray(DEVELOPMENT_PASSPHRASE)]) if development else passphrases(files, fds)
        holders = tuple(
            calls.Custodian(name, next(given, None) or prompted(name, new=True)) for name in names
        )
        plan = None
        if module is not None and token is not None:
            plan = calls.TokenPlan(module, token, PqPolicy(pq), pin(pin_file, pin_fd))
        with own(folder) as store:
            _show(store.ask(calls.Init(mode, holders, plan), Health), as_json=as_json)


@key.command()
@FOLDER
@click.option("--custodian", required=True, help="Whose share is given.")
@FILES
@FDS
@JSON
def activate(
    folder: Path, custodian: str, *, files: tuple[Path, ...], fds: tuple[int, ...], as_json: bool
) -> None:
    """Give one custodian's share to the store that runs; the second opens it."""
    if len(files) + len(fds) > 1:
        raise click.UsageError("one custodian at a time gives one passphrase")
    with said(), running(folder) as store:
        if store is None:
            stop(Exit.WRONG_STATE, f"{folder}: no key store process runs on this folder")
        passphrase = next(passphrases(files, fds), None) or prompted(custodian, new=False)
        _show(store.ask(calls.Activate(custodian, passphrase), Health), as_json=as_json)


@key.command()
@FOLDER
@JSON
def status(folder: Path, *, as_json: bool) -> None:
    """Tell whether the store is sealed, active or zeroised, and how it is protected."""
    with said(), reached(folder) as store:
        _show(store.ask(calls.Health(), Health), as_json=as_json)


@key.command(name="list")
@FOLDER
@JSON
def list_(folder: Path, *, as_json: bool) -> None:
    """Print the register: every key, its state, its uses."""
    with said(), reached(folder) as store:
        entries = store.ask(calls.Entries(), list[Entry])
    if as_json:
        click.echo(msgspec.json.encode(entries).decode())
        return
    for entry in entries:
        click.echo(_line(entry))


@key.command()
@FOLDER
@click.option("--store", help="The store's id, as `status` tells it; asked for if it is not given.")
@JSON
def zeroise(folder: Path, *, store: str | None, as_json: bool) -> None:
    """Destroy the store for good: no passphrase opens it again."""
    with said(), reached(folder) as held:
        named = store or click.prompt("This cannot be undone. The store's id")
        _show(held.ask(calls.Zeroise(named), Health), as_json=as_json)


def _show(health: Health, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(health).decode())
        return
    click.echo(f"{health.state}: {health.mode} store {health.store}, {health.backend}, {health.keys} keys")
    if health.before:
        click.echo(f"recovered: store {health.before} must not be used any more")
    if health.mode is Mode.DEVELOPMENT:
        click.echo("development: one share, a public passphrase; it protects nothing")
    if health.state == "sealed":
        click.echo(
            f"{health.shares} of {health.threshold} shares; custodians: {', '.join(health.custodians)}"
        )
    if health.module:
        click.echo(f"module: {health.module}; {', '.join(health.mechanisms)}")
    locked = "locked" if health.memory_locked else "not locked"
    click.echo(f"memory {locked}, {'dumpable' if health.dumpable else 'not dumpable'}")
    for finding in health.findings:
        click.echo(f"attention: {finding}")


def _line(entry: Entry) -> str:
    profile = entry.profile
    limit = "" if profile.limit is None else f" of {profile.limit}"
    until = "" if profile.not_after is None else f", until {_day(profile.not_after)}"
    mark = f", {entry.mark}" if entry.mark else ""
    what = f"{profile.id}: {profile.algorithm} to {profile.purpose}, {entry.state}"
    return f"{what}, {entry.where}, {entry.origin}, {entry.used}{limit} uses{until}{mark}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
