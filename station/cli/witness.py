"""`hardbin witness`: run a witness of ledgers, and ask one for its signature."""

from pathlib import Path
from threading import Event

import click

from station.cli import listening
from station.cli.audit import FILE, FOLDER, given_keys, given_note
from station.cli.said import Said, says
from station.clock import RealClock
from station.console.listening import Listen
from station.custody import durable_file, seed_file
from station.custody.log_keys import Kind
from station.custody.tiles import CHECKPOINT, TileReader
from station.custody.witness import Witness
from station.custody.witness_client import cosigned
from station.custody.witness_server import WitnessServer
from station.errors import ConfigError
from station.signals import signals_call


@click.group()
def witness() -> None:
    """Watch ledgers from another host: remember their last checkpoint, sign only what follows from it."""


@witness.command()
@click.argument("file", type=FILE)
@click.option("--name", required=True, help="Name of the witness, for example w1.example.")
@says
def key(file: Path, *, name: str) -> Said:
    """Make the witness's key in a new FILE and print the public one, for `--witness`."""
    made = str(seed_file.create(file, name).signer(Kind.MLDSA44).key)
    return Said(made, file=file, key=made)


@witness.command()
@click.option("--key", "seeds", type=FILE, required=True, help="The witness's key, made by `witness key`.")
@click.option("--log", "logs", type=FILE, multiple=True, required=True, help="Public keys of a log.")
@click.option("--state", type=FOLDER, required=True, help="Folder of the last checkpoints.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=7450, show_default=True, help="0 takes a free one."
)
@listening.tls
def run(
    *,
    seeds: Path,
    logs: tuple[Path, ...],
    state: Path,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Serve `POST /add-checkpoint` until SIGINT or SIGTERM."""
    listen = Listen(host, port, listening.tls_of(tls_cert, tls_key))
    tls = None if listen.tls is None else listen.tls.context()
    signer = seed_file.read(seeds).signer(Kind.MLDSA44)
    keys = given_keys(logs)
    try:
        durable_file.sync_all(durable_file.make_folder(state))
        with durable_file.held(state):
            _serve(WitnessServer(Witness(state, keys, signer, RealClock().unix), host, port, tls))
    except BlockingIOError as error:
        raise ConfigError(f"{state}: another witness uses this folder") from error
    except OSError as error:
        raise ConfigError(f"{error.filename or f'{host}:{port}'}: {error.strerror}") from error


def _serve(server: WitnessServer) -> None:
    stop = Event()
    with signals_call(stop.set):
        server.start()
        click.echo(f"witness ready {server.url}")
        stop.wait()
        server.stop()


@witness.command()
@click.argument("url")
@click.argument("folder", type=FOLDER)
@click.option("--witness", "keys", type=FILE, multiple=True, required=True, help="Public key of the witness.")
@click.option("--out", type=FILE, help="File for the signed checkpoint, instead of standard output.")
@says
def submit(url: str, folder: Path, *, keys: tuple[Path, ...], out: Path | None) -> Said:
    """Ask the witness at URL to sign the checkpoint of a ledger's FOLDER."""
    note = given_note(folder / CHECKPOINT)
    reader = TileReader(folder, note.checkpoint.size)
    signed = cosigned(url, note, reader.node, given_keys(keys))
    if out is None:
        return Said(signed.encode().decode().rstrip("\n"), checkpoint=signed.encode().decode())
    durable_file.replace(out, signed.encode())
    return Said("", file=out, checkpoint=signed.encode().decode())
