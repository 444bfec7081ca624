"""TLS of a vault that listens beyond its Unix sockets: version 1.3, both sides with certificates.

No key's secrecy rests on it: what is sealed is sealed below. That it is 1.3 follows from two things: gRPC is
left with suites for RSA keys only (`station.vault`), and keys here are of P-256 or P-384.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import grpc
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from station.errors import ConfigError

ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]{1,253}):[0-9]{1,5}")
Options = Sequence[tuple[str, int]]


class TlsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files of a vault that listens on TCP, in PEM, relative to its folder."""

    certificate: str
    """Its own, and what stands between it and the authority."""
    key: str
    stations: str
    """The authority of stations' certificates."""
    persons: str = ""
    """The authority of certificates with which one may come to the desk; empty: that of the stations."""


@runtime_checkable
class Called(Protocol):
    """What gRPC tells of the other side."""

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """By kind; nothing on a Unix socket."""


@dataclass(frozen=True)
class ClientTls:
    """With what one comes to a vault."""

    certificate: bytes
    key: bytes
    authority: bytes
    """The one that the vault's certificate must be of."""

    @classmethod
    def read(cls, certificate: Path, key: Path, authority: Path) -> "ClientTls":
        """Read the three files; ConfigError if one is none."""
        pair = _pair(certificate, key)
        return cls(*pair, _certificates(authority))

    def credentials(self) -> grpc.ChannelCredentials:
        """As gRPC takes them."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def channel(target: str, tls: ClientTls | None, options: Options) -> grpc.aio.Channel:
    """A channel to a Unix socket, or over TLS; ConfigError for an address without the files for it."""
    if target.startswith("unix:"):
        return grpc.aio.insecure_channel(target, options=options)
    if tls is None or not ADDRESS.fullmatch(target):
        raise ConfigError(
            f"{target}: beyond a Unix socket a vault is reached as HOST:PORT, and only over TLS"
        )
    return grpc.aio.secure_channel(target, tls.credentials(), options=options)


def server_credentials(folder: Path, table: TlsTable, authority: str) -> grpc.ServerCredentials:
    """What a server shows, and by which authority it knows who comes; ConfigError if a file is none."""
    certificate, key = _pair(folder / table.certificate, folder / table.key)
    known = _certificates(folder / authority)
    return grpc.ssl_server_credentials([(key, certificate)], known, require_client_auth=True)


def named(context: object) -> str | None:
    """The name in the certificate of who calls; None on a Unix socket, empty if it names nobody."""
    told = context.auth_context() if isinstance(context, Called) else {}
    if b"ssl" not in told.get("transport_security_type", ()):
        return None
    return next((one.decode("utf-8", "replace") for one in told.get("x509_common_name", ())), "")


def _pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    shown, private = _certificates(certificate), _read(key)
    try:
        found = load_pem_private_key(private, None)
        leaf = x509.load_pem_x509_certificate(shown)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{key}: not a private key in PEM without a passphrase") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{key}: a key for TLS is one of P-256 or P-384, so that it is TLS 1.3")
    if leaf.public_key() != found.public_key():
        raise ConfigError(f"{certificate}: not the certificate of {key.name}")
    if not leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        raise ConfigError(f"{certificate}: names nobody; its subject needs a common name")
    return shown, private


def _certificates(path: Path) -> bytes:
    content = _read(path)
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise ConfigError(f"{path}: no certificates in PEM") from error
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
