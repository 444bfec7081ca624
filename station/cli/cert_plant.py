"""`hardbin cert init-ca|issue|renew`: the plant's own authority for TLS."""

from pathlib import Path

import click
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from station.cli.key_access import FDS, FILES, passphrases, prompted
from station.clock import RealClock
from station.custody import durable_file
from station.errors import ConfigError
from station.plant_authority import (
    CERTIFICATE,
    PlantAuthority,
    Use,
    described,
    key_file,
    requested,
    write_private,
)

FOLDER = click.Path(file_okay=False, path_type=Path)
CA = click.option("--ca", "folder", type=FOLDER, required=True, help="The authority's folder.")
DAYS = click.option(
    "--days", type=click.IntRange(1, 825), default=365, show_default=True, help="How long it is good."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command(name="init-ca")
@click.argument("folder", type=FOLDER)
@click.option("--name", required=True, help="Its name, as ahm1-floor.")
@click.option(
    "--years", type=click.IntRange(1, 30), default=10, show_default=True, help="How long it is good."
)
@FILES
@FDS
@JSON
def init_ca(
    folder: Path, name: str, years: int, files: tuple[Path, ...], fds: tuple[int, ...], *, as_json: bool
) -> None:
    """Make the plant's authority for TLS in FOLDER, its key under a passphrase."""
    given = next(passphrases(files, fds), None) or prompted(name, new=True)
    made = PlantAuthority.found(folder, name, years, bytes(given), RealClock().unix())
    _told(made.certificate, folder / CERTIFICATE, as_json=as_json)


@click.command()
@click.argument("name")
@CA
@click.option("--use", type=click.Choice([one.value for one in Use]), required=True, help="What for.")
@click.option(
    "--host", "hosts", multiple=True, help="Name or address by which a server is reached; repeatable."
)
@click.option(
    "--request",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A request whose key is certified; the key stays where it is.",
)
@click.option("--out", type=FOLDER, default=Path(), help="Where NAME.crt and NAME.key go.")
@DAYS
@FILES
@FDS
@JSON
def issue(
    name: str,
    folder: Path,
    use: str,
    hosts: tuple[str, ...],
    request: Path | None,
    out: Path,
    days: int,
    files: tuple[Path, ...],
    fds: tuple[int, ...],
    *,
    as_json: bool,
) -> None:
    """Make a certificate for NAME, and its key unless a request brings one."""
    certificate, private = out / f"{name}.crt", out / f"{name}.key"
    for path in (certificate, private):
        if path.exists() and (request is None or path == certificate):
            raise ConfigError(f"{path} is there already; `hardbin cert renew` makes a certificate anew")
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key() if request is None else requested(request)
    authority = _opened(folder, files, fds)
    made = authority.issue(name, Use(use), hosts, public, days, RealClock().unix())
    _make(out)
    if request is None:
        write_private(private, key_file(key))
    _put(certificate, made)
    _told(made, certificate, as_json=as_json)


@click.command()
@click.argument("certificate", type=click.Path(dir_okay=False, path_type=Path))
@CA
@DAYS
@FILES
@FDS
@JSON
def renew(
    certificate: Path,
    folder: Path,
    days: int,
    files: tuple[Path, ...],
    fds: tuple[int, ...],
    *,
    as_json: bool,
) -> None:
    """Make CERTIFICATE anew in its place: same key, names and use."""
    try:
        old = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise ConfigError(f"{certificate}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{certificate}: no certificate in PEM") from error
    made = _opened(folder, files, fds).renew(old, days, RealClock().unix())
    _put(certificate, made)
    _told(made, certificate, as_json=as_json)


def _opened(folder: Path, files: tuple[Path, ...], fds: tuple[int, ...]) -> PlantAuthority:
    given = next(passphrases(files, fds), None) or prompted(str(folder), new=False)
    return PlantAuthority.opened(folder, bytes(given))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from error


def _put(path: Path, made: x509.Certificate) -> None:
    try:
        durable_file.replace(path, made.public_bytes(Encoding.PEM))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _told(made: x509.Certificate, path: Path, *, as_json: bool) -> None:
    facts = described(made)
    if as_json:
        click.echo(msgspec.json.encode({"file": str(path), **msgspec.to_builtins(facts)}))
    else:
        hosts = f" at {', '.join(facts.hosts)}" if facts.hosts else ""
        click.echo(f"{path}: {facts.name}{hosts}, until {facts.not_after}, SHA-256 {facts.sha256}")
