"""Files that persons and machines hand over, each with the reader that takes it and the errors it raises."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from station import backup
from station.disposition import rules
from station.errors import ConfigError, CustodyError
from station.recipe.content import draft_of
from station.recipe.trust import trust_of
from station.remote import trust as clients
from station.vault.ceremonies import bundle, plan
from station.vault.desk import founders, signers, statement
from station.vault.desk.documents import RmaBox
from station.vault.desk.roles import Role
from station.vault.desk.statement import StatementError
from station.vault.keys.errors import PassphraseError
from station.vault.tls import ClientTls
from tests.station.recipe.test_recipe import DRAFT
from tests.station.vault.ceremonies.rooms import planned

PASSPHRASE = b"planted passphrase"
RULES = """
name = "se1-parts"
version = 2
[dynamic]
bin = 41
hard = 4
[statistical.good]
hold = 0.95
quarantine = 0.9
"""


@dataclass(frozen=True)
class Paper:
    """What reads a file or an envelope, with one that it takes, and the errors that it may raise."""

    name: str
    read: Callable[[bytes], object] = field(repr=False)
    good: bytes = field(repr=False)
    errors: type[Exception] | tuple[type[Exception], ...]


def papers(folder: Path) -> Iterator[Paper]:
    """One of each; the readers write what they are given into the folder."""
    yield _plan(folder)
    yield _person(folder)
    yield _founders(folder)
    yield from _tables(folder)
    yield _backup(folder)
    yield _certificate(folder)
    yield from _envelopes()


def _plan(folder: Path) -> Paper:
    path = planned(folder) / plan.FILE
    return _file("plan", lambda path: plan.read(path.parent), path, ConfigError)


def _person(folder: Path) -> Paper:
    path = folder / "anna.key"
    signers.create(path, bytearray(PASSPHRASE))

    def opened(path: Path) -> object:
        return signers.open_file(path, bytearray(PASSPHRASE))

    return _file("person", opened, path, (ConfigError, PassphraseError))


def _founders(folder: Path) -> Paper:
    path = folder / founders.FOUNDERS
    path.write_bytes(msgspec.json.encode([founders.Founder(b"card", (Role.OFFICER,))]))
    return _file("founders", lambda path: founders.read(path.parent), path, ConfigError)


def _tables(folder: Path) -> Iterator[Paper]:
    person = 'person = "{}"\ned25519 = "{}"\nml_dsa_65 = "{}"\n'
    two = (f"[[trusted]]\n{person.format(f'p-0000000{n}', '0a' * 32, '0b' * 1952)}" for n in (1, 2))
    known = f'[[key]]\nkid = "mes#1"\nroles = ["operator"]\ned25519 = "{"0a" * 32}"\n'
    tables: dict[str, tuple[Callable[[Path], object], str]] = {
        "recipe": (draft_of, DRAFT),
        "recipe trust": (trust_of, "".join(two)),
        "clients": (clients.load, known),
        "rules": (rules.read, RULES),
    }
    for name, (read, good) in tables.items():
        path = folder / f"{name}.toml"
        path.write_text(good)
        yield _file(name, read, path, ConfigError)


def _backup(folder: Path) -> Paper:
    held = folder / "held"
    held.mkdir()
    (held / "notes").write_text("what is kept")
    path = folder / "backup.tar"
    backup.save([held], path)
    return _file("backup", backup.checked, path, CustodyError)


def _certificate(folder: Path) -> Paper:
    key = ec.derive_private_key(7, ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cell-7")])
    since = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=9))
        .sign(key, hashes.SHA384())
        .public_bytes(Encoding.PEM)
    )
    path, private, authority = (folder / name for name in ("cell.pem", "cell.key", "authority.pem"))
    path.write_bytes(made)
    authority.write_bytes(made)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return _file("TLS", lambda path: ClientTls.read(path, private, authority), path, ConfigError)


def _envelopes() -> Iterator[Paper]:
    box = RmaBox("L1/1", "0a" * 16, b"HBX1")
    yield Paper("box", _box, msgspec.json.encode(box), ValueError)
    content = bundle.Content(ceremony="init-vault", plan="00", transcript="00", store="", keys=())
    made = statement.signed(content, [signers.development("p-00000001")])
    yield Paper("ceremony", bundle.read, made, StatementError)


def _box(content: bytes) -> object:
    return msgspec.json.decode(content, type=RmaBox)


def _file(
    name: str,
    read: Callable[[Path], object],
    path: Path,
    errors: type[Exception] | tuple[type[Exception], ...],
) -> Paper:
    good = path.read_bytes()

    def of_bytes(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return Paper(name, of_bytes, good, errors)
