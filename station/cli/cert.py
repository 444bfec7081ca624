"""`hardbin cert`: look at certificates and lists of revoked ones, verify them, make those of the network."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TypeVar

import click
import msgspec
from cryptography import x509

from station.cli import cert_plant
from station.cli.codes import Exit
from station.clock import RealClock
from station.errors import ConfigError
from station.vault.pki import inspection
from station.vault.pki.chains import Anchor
from station.vault.pki.inspection import CertificateFacts, CrlFacts, Trusted

T = TypeVar("T")
ROOT, ISSUING, PUBLISHED = "root.der", "issuing*.der", "published"
SHOWN = 20
"""Entries of a list that a person sees."""
FILE = click.Path(dir_okay=False, path_type=Path)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with a file."""

    file: str
    what: str


@click.group()
def cert() -> None:
    """Look at certificates and lists of revoked ones, verify them, and make those of the plant's network."""


for one in (cert_plant.init_ca, cert_plant.issue, cert_plant.renew):
    cert.add_command(one)


@cert.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@JSON
def show(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Print what certificates say, DER or PEM; nothing is verified."""
    found = {str(path): inspection.described(_certificate(path)) for path in files}
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo("\n\n".join(_certificate_text(path, facts) for path, facts in found.items()))


@cert.command()
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True)
@JSON
def crl(paths: tuple[Path, ...], *, as_json: bool) -> None:
    """Print lists of revoked certificates: files, or those of a vault's folder; nothing is verified."""
    files = [file for path in paths for file in _crl_files(path)]
    found = {str(file): inspection.listed(_crl(file)) for file in files}
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo("\n\n".join(_crl_text(path, facts) for path, facts in found.items()))


@cert.command()
@click.argument("files", type=FILE, nargs=-1)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="A vault's folder.")
@click.option("--root", type=FILE, help="The root that is trusted; takes the place of the folder's.")
@click.option("--authority", "issuing", type=FILE, multiple=True, help="An issuing authority; repeatable.")
@click.option("--crl", "crls", type=FILE, multiple=True, help="A list of revoked ones; repeatable.")
@click.option("--at", help="The time to verify for, as 2027-03-01T12:00:00Z; now if not given.")
@JSON
def verify(
    files: tuple[Path, ...],
    *,
    folder: Path | None,
    root: Path | None,
    issuing: tuple[Path, ...],
    crls: tuple[Path, ...],
    at: str | None,
    as_json: bool,
) -> None:
    """Verify certificates up to a root, by the rules of their kind, and that none is revoked.

    The authorities and the lists are verified too. The exit code is 13 if anything is wrong.
    """
    when = _time(at)
    if folder is not None:
        root, issuing, crls = _of_folder(folder, root, issuing, crls)
    if root is None:
        raise click.UsageError("give the root that is trusted: --root FILE, or a vault's --folder")
    lists = {path: _crl(path) for path in crls}
    certificates = {path: _certificate(path) for path in (*issuing, *files)}
    trusted = Trusted(
        Anchor(_certificate(root)),
        tuple(certificates[path] for path in issuing),
        tuple(lists.values()),
    )
    found = [
        Finding(str(path), what)
        for path, one in certificates.items()
        for what in _about(path, inspection.wrong, one, trusted, when)
    ]
    found += [
        Finding(str(path), what)
        for path, one in lists.items()
        for what in inspection.wrong_crl(one, trusted, when)
    ]
    _told(found, len(certificates) + len(lists), as_json=as_json)


# -- what is given
def _of_folder(
    folder: Path, root: Path | None, issuing: tuple[Path, ...], crls: tuple[Path, ...]
) -> tuple[Path, tuple[Path, ...], tuple[Path, ...]]:
    if not folder.is_dir():
        _stop(f"{folder}: there is no such folder")
    more = tuple(sorted((folder / PUBLISHED).glob("*.crl")))
    return root or folder / ROOT, (*sorted(folder.glob(ISSUING)), *issuing), (*more, *crls)


def _crl_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted((path / PUBLISHED).glob("*.crl")) or sorted(path.glob("*.crl"))
    if not found:
        _stop(f"{path}: there is no list of revoked certificates in it")
    return found


def _certificate(path: Path) -> x509.Certificate:
    return _read(path, inspection.certificate)


def _crl(path: Path) -> x509.CertificateRevocationList:
    return _read(path, inspection.crl)


def _read(path: Path, read: Callable[[bytes], T]) -> T:
    try:
        return read(path.read_bytes())
    except OSError as error:
        _stop(f"{path}: {error.strerror}")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _time(at: str | None) -> datetime:
    if at is None:
        return datetime.fromtimestamp(RealClock().unix(), UTC)
    try:
        found = datetime.fromisoformat(at)
    except ValueError as error:
        raise click.BadParameter(f"{at!r} is no time as 2027-03-01T12:00:00Z", param_hint="--at") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _stop(message: str) -> NoReturn:
    click.echo(f"hardbin: {message}", err=True)
    click.get_current_context().exit(Exit.NOT_FOUND)


# -- what is shown
def _about(
    path: Path,
    judge: Callable[[x509.Certificate, Trusted, datetime], list[str]],
    one: x509.Certificate,
    trusted: Trusted,
    when: datetime,
) -> list[str]:
    try:
        return judge(one, trusted, when)
    except ConfigError as error:
        return [str(error)]


def _told(found: list[Finding], count: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"sound": not found, "checked": count, "findings": found}).decode())
    else:
        for finding in found:
            click.echo(f"{finding.file}: {finding.what}")
        click.echo(f"{count} checked, {'sound' if not found else f'findings: {len(found)}'}")
    if found:
        click.get_current_context().exit(Exit.INTEGRITY)


def _certificate_text(path: str, facts: CertificateFacts) -> str:
    rows = [
        ("subject", facts.subject),
        ("issuer", facts.issuer),
        ("serial", facts.serial),
        ("valid", f"{facts.not_before} to {facts.not_after}"),
        ("key", facts.key),
        ("signature", facts.signature),
        ("usage", ", ".join(facts.usage)),
        ("extensions", ", ".join(facts.extensions)),
        ("revoked list", ", ".join(facts.crl)),
        ("sha256", facts.sha256),
    ]
    kind = "authority" if facts.authority else "end entity"
    return f"{path}: {kind}, {facts.size} bytes\n" + _table(rows)


def _crl_text(path: str, facts: CrlFacts) -> str:
    rows = [
        ("issuer", facts.issuer),
        ("this update", facts.this_update),
        ("next update", facts.next_update),
        ("signature", facts.signature),
        ("sha256", facts.sha256),
        *[(entry.serial, f"{entry.since} {entry.reason}") for entry in facts.entries[:SHOWN]],
    ]
    more = len(facts.entries) - SHOWN
    rows += [("", f"and {more} more; --json prints all")] if more > 0 else []
    return f"{path}: list {facts.number}, {len(facts.entries)} revoked, {facts.size} bytes\n" + _table(rows)


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"  {_printable(name):<13} {_printable(value)}" for name, value in rows if value)


def _printable(text: str) -> str:
    """Escape what a terminal would obey: certificates are not ours."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
