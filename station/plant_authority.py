"""The plant's own certificate authority: who is who on its network, over TLS. No device is in it.

A folder with its certificate, its key under a passphrase, and a record of what it has issued.
"""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from station.custody import durable_file
from station.errors import ConfigError, UntrustedError

CERTIFICATE, KEY, ISSUED = "ca.crt", "ca.key", "issued"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
EARLY = timedelta(minutes=5)
"""Clocks differ: a certificate is good from a little before it is made."""
CURVES = (ec.SECP256R1, ec.SECP384R1)


class Use(StrEnum):
    """What a certificate is for."""

    STATION = "station"
    """Comes to the broker, the vault and the floor's database; also a gateway or a collector."""
    SERVER = "server"
    """Is come to: a broker, a vault, a console; may come to others too."""
    PERSON = "person"
    """Comes to a vault's desk."""


USAGES = {
    Use.STATION: (ExtendedKeyUsageOID.CLIENT_AUTH,),
    Use.SERVER: (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    Use.PERSON: (ExtendedKeyUsageOID.CLIENT_AUTH,),
}


class Issued(Struct, frozen=True):
    """One line of the record."""

    serial: str
    name: str
    hosts: tuple[str, ...]
    use: str
    not_after: str
    sha256: str


def key_file(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    """Return a key in PEM, under a passphrase if there is one."""
    form = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, form)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, and that is not there yet; ConfigError."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    except FileExistsError:
        raise ConfigError(f"{path} is there already, and is not overwritten") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def requested(path: Path) -> ec.EllipticCurvePublicKey:
    """Return the key of a request in PEM, whose signature is verified; ConfigError."""
    try:
        request = x509.load_pem_x509_csr(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: no certificate request in PEM") from error
    key = request.public_key()
    if not request.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
        raise ConfigError(f"{path}: not signed with the key of P-256 or P-384 that it asks for")
    if not isinstance(key.curve, CURVES):
        raise ConfigError(f"{path}: a key for TLS is one of P-256 or P-384, not of {key.curve.name}")
    return key


def _alternative(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_host(one) for one in hosts])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        if not HOST.fullmatch(text):
            raise ConfigError(f"{text[:64]!r} is neither the name of a host nor an address") from None
        return x509.DNSName(text)


def _named(name: str) -> x509.Name:
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name[:64]!r}: names have letters, digits and . _ -, at most 64")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _built(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    return x509.CertificateBuilder(
        issuer, subject, key, x509.random_serial_number(), since, until
    ).add_extension(identifier, critical=False)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


class PlantAuthority:
    """An authority whose key is open."""

    def __init__(self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._folder, self.certificate, self._key = folder, certificate, key

    @classmethod
    def found(cls, folder: Path, name: str, years: int, passphrase: bytes, now: float) -> "PlantAuthority":
        """Make one in a new folder, or an empty one; ConfigError."""
        subject, key = _named(name), ec.generate_private_key(ec.SECP384R1())
        since = datetime.fromtimestamp(now, UTC)
        built = _built(subject, subject, key.public_key(), since - EARLY, since + timedelta(days=365 * years))
        made = (
            built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(key, SHA384())
        )
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror}") from error
        write_private(folder / KEY, key_file(key, passphrase))
        durable_file.replace(folder / CERTIFICATE, made.public_bytes(Encoding.PEM))
        return cls(folder, made, key)

    @classmethod
    def opened(cls, folder: Path, passphrase: bytes) -> "PlantAuthority":
        """Open one; ConfigError if it is none, UntrustedError for a wrong passphrase."""
        try:
            certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
            sealed = (folder / KEY).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{error.filename}: {error.strerror}; `hardbin cert init-ca` makes it"
            ) from error
        except ValueError as error:
            raise ConfigError(f"{folder / CERTIFICATE}: no certificate in PEM") from error
        try:
            key = load_pem_private_key(sealed, passphrase)
        except (TypeError, ValueError) as error:
            raise UntrustedError(f"{folder / KEY}: not opened by this passphrase") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise ConfigError(f"{folder / KEY}: not the key of {CERTIFICATE}")
        return cls(folder, certificate, key)

    def issue(
        self, name: str, use: Use, hosts: Sequence[str], key: ec.EllipticCurvePublicKey, days: int, now: float
    ) -> x509.Certificate:
        """Make a certificate, which is in the record before anybody has it; ConfigError."""
        if use is Use.SERVER and not hosts:
            raise ConfigError(f"{name}: a server is told by its hosts' names and addresses; give them")
        more = [x509.ExtendedKeyUsage(USAGES[use])] + ([_alternative(hosts)] if hosts else [])
        return self._made(_named(name), key, more, days, now)

    def renew(self, old: x509.Certificate, days: int, now: float) -> x509.Certificate:
        """Make a certificate of ours anew: same key, names and use, another time; UntrustedError."""
        key = old.public_key()
        try:
            old.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise UntrustedError("the certificate is not of this authority, and is not renewed") from error
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise UntrustedError("the certificate is not of a key that this authority certifies")
        kinds = x509.ExtendedKeyUsage, x509.SubjectAlternativeName
        more = [one.value for one in old.extensions if isinstance(one.value, kinds)]
        return self._made(old.subject, key, more, days, now)

    def _made(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        more: Sequence[x509.ExtensionType],
        days: int,
        now: float,
    ) -> x509.Certificate:
        since, last = datetime.fromtimestamp(now, UTC), self.certificate.not_valid_after_utc
        until = since + timedelta(days=days)
        if until > last:
            raise ConfigError(f"{days} days are beyond the authority's own end, {last:%Y-%m-%d}")
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        built = (
            _built(subject, self.certificate.subject, key, since - EARLY, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(authority, critical=False)
        )
        for one in more:
            built = built.add_extension(one, critical=False)
        made = built.sign(self._key, SHA384())
        self._record(made)
        return made

    def _record(self, made: x509.Certificate) -> None:
        line = msgspec.json.encode(described(made)) + b"\n"
        path = self._folder / ISSUED
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "ab") as opened:
                opened.write(line)
                opened.flush()
                os.fsync(opened.fileno())
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error


def described(made: x509.Certificate) -> Issued:
    """Say in one line what a certificate of this kind is."""
    (name,) = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    hosts: tuple[str, ...] = ()
    uses: list[x509.ObjectIdentifier] = []
    for one in made.extensions:
        if isinstance(one.value, x509.SubjectAlternativeName):
            hosts = tuple(str(host.value) for host in one.value)
        if isinstance(one.value, x509.ExtendedKeyUsage):
            uses = list(one.value)
    serves = ExtendedKeyUsageOID.SERVER_AUTH in uses
    return Issued(
        serial=f"{made.serial_number:x}",
        name=str(name.value),
        hosts=hosts,
        use="server" if serves else "client",
        not_after=f"{made.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        sha256=made.fingerprint(SHA256()).hex(),
    )
