"""`hardbin key seal`: a customer seals a key to one store, before it travels there."""

from pathlib import Path

import click
import msgspec

from station.cli.codes import Exit
from station.cli.key_access import JSON, passphrases, said, stop
from station.custody import durable_file
from station.vault.ceremonies import bundle
from station.vault.desk.statement import StatementError
from station.vault.keys import sealed_keys
from station.vault.keys.frames import wipe
from station.vault.keys.words import SealedKey

KEY_BYTES = 32


@click.command()
@click.argument("ceremony", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", required=True, help="The name that the key will have in the store.")
@click.option("--kem", default="IN-1", show_default=True, help="The store's key that it is sealed to.")
@click.option(
    "--key-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The key, 32 bytes."
)
@click.option("--key-fd", type=int, help="The key, from a descriptor.")
@JSON
def seal(
    ceremony: Path,
    out: Path,
    *,
    name: str,
    kem: str,
    key_file: Path | None,
    key_fd: int | None,
    as_json: bool,
) -> None:
    """Seal a key to the store that the bundle CEREMONY tells of, into the new file OUT.

    Check the bundle's hash with the vault's officers first: whoever could change it would get the key.
    """
    if out.exists():
        raise click.UsageError(f"{out} is there already; give a new file")
    if (key_file is None) is (key_fd is None):
        raise click.UsageError("give the key by --key-file or by --key-fd")
    told = _told(ceremony)
    public = next((one.public for one in told.keys if one.profile.id == kem), None)
    if public is None:
        stop(Exit.NOT_FOUND, f"{ceremony}: tells of no key {kem[:64]!r}")
    files, fds = (() if key_file is None else (key_file,)), (() if key_fd is None else (key_fd,))
    key = next(passphrases(files, fds, raw=True))
    if len(key) != KEY_BYTES:
        stop(Exit.CONFIG, f"a key has {KEY_BYTES} bytes, not {len(key)}")
    with said():
        sealed = sealed_keys.seal(key, name, bytes.fromhex(told.store), public)
    wipe(key)
    made = SealedKey(told.store, kem, name, sealed.ciphertext, sealed.box)
    durable_file.replace(out, msgspec.json.encode(made))
    shown = {"out": str(out), "store": told.store, "key": name}
    click.echo(
        msgspec.json.encode(shown).decode() if as_json else f"{out}: {name}, for store {told.store} alone"
    )


def _told(path: Path) -> bundle.Content:
    try:
        return bundle.read(path.read_bytes())
    except OSError as error:
        stop(Exit.NOT_FOUND, f"{path}: {error.strerror}")
    except StatementError as error:
        stop(Exit.INTEGRITY, f"{path}: {error}")
