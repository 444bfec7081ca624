"""How the commands of `hardbin key` reach a store, read passphrases, and say what was refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from station.cli.codes import Exit
from station.vault.keys import calls, errors
from station.vault.keys.control import Control, own, running
from station.vault.keys.words import DEVELOPMENT_CUSTODIAN, DEVELOPMENT_PASSPHRASE, Health, Mode

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


@contextmanager
def reached(folder: Path) -> Iterator[Control]:
    """The process that serves the folder, or one of our own."""
    if not folder.is_dir():
        stop(Exit.NOT_FOUND, f"{folder}: there is no such folder")
    with running(folder) as served:
        if served is not None:
            yield served
            return
    with own(folder) as started:
        yield started


@contextmanager
def said() -> Iterator[None]:
    """Say what the store refused, with the exit code of its kind."""
    try:
        yield
    except errors.KeyStoreError as error:
        stop(CODES.get(type(error), Exit.INTEGRITY), str(error))


def passphrases(files: tuple[Path, ...], fds: tuple[int, ...], *, raw: bool = False) -> Iterator[bytearray]:
    """What files and descriptors hold, one after the other; `raw`: a newline at the end is part of it."""
    for file in files:
        with file.open("rb", buffering=0) as opened:
            yield _read(opened.fileno(), str(file), raw=raw)
    for fd in fds:
        yield _read(fd, f"descriptor {fd}", raw=raw)


def _read(fd: int, name: str, *, raw: bool) -> bytearray:
    content = bytearray(PASSPHRASE_MAX + 3)
    view, at = memoryview(content), 0
    try:
        while at < len(content) and (count := os.readv(fd, [view[at:]])):
            at += count
    except OSError as error:
        stop(Exit.USAGE, f"{name}: {error.strerror}")
    found = content[:at]
    if not raw:
        found = found.removesuffix(b"\n").removesuffix(b"\r")
    content[:] = bytes(len(content))
    if not found:
        stop(Exit.USAGE, f"{name}: holds no passphrase")
    return found


def prompted(name: str, *, new: bool) -> bytearray:
    """Ask for a passphrase at the terminal."""
    asked = click.prompt(f"Passphrase of {name}", hide_input=True, confirmation_prompt=new, err=True)
    return bytearray(str(asked).encode())


def pin(file: Path | None, fd: int | None) -> bytearray:
    """The PIN of a token, from wherever it is given."""
    given = passphrases(() if file is None else (file,), () if fd is None else (fd,))
    found = next(given, None)
    if found is not None:
        return found
    return bytearray(str(click.prompt("PIN of the token", hide_input=True, err=True)).encode())


def stop(code: Exit, message: str) -> NoReturn:
    """End the command with a code, having said why."""
    click.echo(f"hardbin: {message}", err=True)
    click.get_current_context().exit(code)


def by(names: tuple[str, ...], files: tuple[Path, ...], fds: tuple[int, ...]) -> tuple[calls.Custodian, ...]:
    """Custodians with their passphrases: from files, then descriptors, the rest from a prompt."""
    if len(files) + len(fds) > len(names):
        raise click.UsageError(f"{len(files) + len(fds)} passphrases for {len(names)} custodians")
    given = passphrases(files, fds)
    return tuple(calls.Custodian(name, next(given, None) or prompted(name, new=False)) for name in names)


def opened(store: Control, holders: tuple[calls.Custodian, ...]) -> tuple[calls.Custodian, ...]:
    """Have custodians open a store that is sealed; return who approves: in development everybody."""
    health = store.ask(calls.Health(), Health)
    if health.mode is Mode.DEVELOPMENT and not holders:
        return (calls.Custodian(DEVELOPMENT_CUSTODIAN, bytearray(DEVELOPMENT_PASSPHRASE)),)
    for holder in holders:
        if health.state == "sealed":
            health = store.ask(calls.Activate(holder.name, holder.passphrase), Health)
    return holders
