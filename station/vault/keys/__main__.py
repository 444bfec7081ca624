"""`hardbin-keys`: the key store as a process of its own, started by the vault."""

import argparse
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from station.clock import RealClock
from station.custody import durable_file
from station.vault.keys.errors import KeyStoreError, RequestError
from station.vault.keys.hardening import Hardening, die_with_parent, harden
from station.vault.keys.process import Server, Stopped, listening
from station.vault.keys.service import Service

REFUSED = 2
"""Exit status when the store cannot be served; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the vault lets go, or SIGTERM; return the exit status."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)
    hardening = harden()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN if options.fd is not None else _stop)
    try:
        with _only_one(options.folder):
            _serve(options, hardening)
    except (KeyStoreError, OSError) as error:
        sys.stderr.write(f"hardbin-keys: {error}\n")
        return REFUSED
    except Stopped:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hardbin-keys", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the store's files lie")
    parser.add_argument("--fd", type=int, help="the socket of the vault, inherited; without it, people only")
    parser.add_argument("--production", action="store_true", help="refuse a development store")
    return parser


def _serve(options: argparse.Namespace, hardening: Hardening) -> None:
    vault = None
    if options.fd is not None:
        die_with_parent()
        vault = socket.socket(fileno=options.fd)
        os.set_inheritable(options.fd, False)  # noqa: FBT003 - its parameter has no name
    service = Service(options.folder, RealClock(), hardening, production=options.production)
    people = _people(options.folder, needed=vault is None)
    try:
        if vault is None:
            sys.stderr.write(f"hardbin-keys: serving {options.folder}\n")
        Server(service, vault, people).run()
    finally:
        service.close()
        if people is not None:
            people.close()


def _people(folder: Path, *, needed: bool) -> socket.socket | None:
    """Where people reach the store; a vault's store does without where the path is too long for a socket."""
    try:
        return listening(folder)
    except RequestError as error:
        if needed:
            raise
        sys.stderr.write(f"hardbin-keys: people cannot reach this store: {error}\n")
        return None


def _stop(number: int, at: FrameType | None) -> None:
    del number, at
    raise Stopped


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two processes would both count from the same number."""
    durable_file.keep_folder(folder, mode=0o700)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise KeyStoreError(f"{folder}: another key store process runs on this folder") from error
        yield


if __name__ == "__main__":
    sys.exit(main())
