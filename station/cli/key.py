"""`hardbin key`: make a key store, open it with custodians' passphrases, look into it, destroy it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from station.cli.codes import Exit
from station.vault.keys import calls, errors
from station.vault.keys.control import Control, own, running
from station.vault.keys.words import (
    DEVELOPMENT_CUSTODIAN,
    DEVELOPMENT_PASSPHRASE,
    Entry,
    Health,
    Mode,
    PqPolicy,
)

PASSPHRASE_MAX = 1024
CODES = {
    errors.PassphraseError: Exit.DENIED,
    errors.LockedError: Exit.WRONG_STATE,
    errors.PolicyError: Exit.WRONG_STATE,
    errors.RequestError: Exit.CONFIG,
    errors.ModuleError: Exit.EQUIPMENT,
    errors.DownError: Exit.TIMEOUT,
}
FOLDER = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
FILES = click.option(
    "--passphrase-file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read a passphrase from a file; one trailing newline is left out.",
)
FDS = click.option("--passphrase-fd", "fds", multiple=True, type=int, help="Read one from a descriptor.")


@click.group()
def key() -> None:
    """Make, open, look into and destroy a key store."""


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
    with _said():
        mode = Mode.DEVELOPMENT if development else Mode.PRODUCTION
        names = (DEVELOPMENT_CUSTODIAN,) if development else custodians
        given = iter([bytearray(DEVELOPMENT_PASSPHRASE)]) if development else _passphrases(files, fds)
        holders = tuple(
            calls.Custodian(name, next(given, None) or _prompted(name, new=True)) for name in names
        )
        plan = None
        if module is not None and token is not None:
            plan = calls.TokenPlan(module, token, PqPolicy(pq), _pin(pin_file, pin_fd))
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
    with _said(), running(folder) as store:
        if store is None:
            _stop(Exit.WRONG_STATE, f"{folder}: no key store process runs on this folder")
        passphrase = next(_passphrases(files, fds), None) or _prompted(custodian, new=False)
        _show(store.ask(calls.Activate(custodian, passphrase), Health), as_json=as_json)


@key.command()
@FOLDER
@JSON
def status(folder: Path, *, as_json: bool) -> None:
    """Tell whether the store is sealed, active or zeroised, and how it is protected."""
    with _said(), _reached(folder) as store:
        _show(store.ask(calls.Health(), Health), as_json=as_json)


@key.command(name="list")
@FOLDER
@JSON
def list_(folder: Path, *, as_json: bool) -> None:
    """Print the register: every key, its state, its uses."""
    with _said(), _reached(folder) as store:
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
    with _said(), _reached(folder) as reached:
        named = store or click.prompt("This cannot be undone. The store's id")
        _show(reached.ask(calls.Zeroise(named), Health), as_json=as_json)


@contextmanager
def _reached(folder: Path) -> Iterator[Control]:
    """The process that serves the folder, or one of our own."""
    if not folder.is_dir():
        _stop(Exit.NOT_FOUND, f"{folder}: there is no such folder")
    with running(folder) as served:
        if served is not None:
            yield served
            return
    with own(folder) as started:
        yield started


@contextmanager
def _said() -> Iterator[None]:
    """Say what the store refused, with the exit code of its kind."""
    try:
        yield
    except errors.KeyStoreError as error:
        _stop(CODES.get(type(error), Exit.INTEGRITY), str(error))


def _passphrases(files: tuple[Path, ...], fds: tuple[int, ...]) -> Iterator[bytearray]:
    for file in files:
        with file.open("rb", buffering=0) as opened:
            yield _read(opened.fileno(), str(file))
    for fd in fds:
        yield _read(fd, f"descriptor {fd}")


def _read(fd: int, name: str) -> bytearray:
    content = bytearray(PASSPHRASE_MAX + 3)
    view, at = memoryview(content), 0
    try:
        while at < len(content) and (count := os.readv(fd, [view[at:]])):
            at += count
    except OSError as error:
        _stop(Exit.USAGE, f"{name}: {error.strerror}")
    found = content[:at].removesuffix(b"\n").removesuffix(b"\r")
    content[:] = bytes(len(content))
    if not found:
        _stop(Exit.USAGE, f"{name}: holds no passphrase")
    return found


def _prompted(name: str, *, new: bool) -> bytearray:
    asked = click.prompt(f"Passphrase of {name}", hide_input=True, confirmation_prompt=new, err=True)
    return bytearray(str(asked).encode())


def _pin(file: Path | None, fd: int | None) -> bytearray:
    given = _passphrases(() if file is None else (file,), () if fd is None else (fd,))
    found = next(given, None)
    if found is not None:
        return found
    return bytearray(str(click.prompt("PIN of the token", hide_input=True, err=True)).encode())


def _show(health: Health, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(health).decode())
        return
    click.echo(f"{health.state}: {health.mode} store {health.store}, {health.backend}, {health.keys} keys")
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


def _stop(code: Exit, message: str) -> NoReturn:
    click.echo(f"hardbin: {message}", err=True)
    click.get_current_context().exit(code)
