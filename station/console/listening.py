"""Where browsers find a page: on loopback as it is, further away over TLS and by people with accounts."""

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import uvicorn
from cryptography import x509
from starlette.types import ASGIApp

from station.addresses import is_loopback
from station.console.stream import Stream
from station.errors import ConfigError

HTTPS = 443


@dataclass(frozen=True)
class Tls:
    """The page's certificate, with those of authorities in between, and its key; PEM."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return what a server speaks TLS 1.3 with; ConfigError if certificate or key cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"--tls-cert {self.certificate}, --tls-key {self.key}: {error}") from error
        return context

    def names(self) -> frozenset[str]:
        """Return the names and addresses that the certificate is for; ConfigError if there are none."""
        try:
            found = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            raise ConfigError(f"--tls-cert {self.certificate}: no subjectAltName: {error}") from error
        addresses = (_shown(str(one)) for one in names.get_values_for_type(x509.IPAddress))
        hosts = (one.lower() for one in names.get_values_for_type(x509.DNSName) if "*" not in one)
        if not (told := frozenset({*hosts, *addresses})):
            raise ConfigError(f"--tls-cert {self.certificate}: neither a name nor an address of this page")
        return told


class Accounts(Protocol):
    """Who may come in."""

    @property
    def accounts(self) -> bool:
        """Whether there are persons who can log in."""


@dataclass(frozen=True)
class Listen:
    """An address of this machine, and TLS if it is spoken there."""

    host: str
    port: int
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if self.tls is None and not self.on_loopback:
            raise ConfigError(
                f"--host {self.host}: without TLS only this machine may come in: "
                "127.0.0.1, ::1 or localhost, or give --tls-cert and --tls-key"
            )

    @property
    def on_loopback(self) -> bool:
        """Whether nobody but this machine reaches it."""
        return is_loopback(self.host)

    def admit(self, who: Accounts) -> None:
        """Refuse what must not be seen from afar; ConfigError."""
        if not self.on_loopback and not who.accounts:
            raise ConfigError(
                f"--host {self.host}: beyond this machine people log in, and nobody has an account: "
                "`hardbin people init`, and no --person"
            )

    def bound(self) -> socket.socket:
        """Return the socket; ConfigError if somebody else has it."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family)
        except OSError as error:
            raise ConfigError(f"--host {self.host} --port {self.port}: {error.strerror}") from error

    def hosts(self, port: int) -> frozenset[str]:
        """Return what browsers may call it, as in the Host header."""
        names = frozenset[str]() if self.tls is None else self.tls.names()
        if self.on_loopback:
            names |= {_shown(self.host), "localhost", "127.0.0.1", "[::1]"}
        if self.tls is not None and port == HTTPS:
            return names
        return frozenset(f"{name}:{port}" for name in names)

    def url(self, port: int) -> str:
        """Return where the page is, as it is told to people."""
        host = _shown(self.host)
        if self.tls is not None and not self.on_loopback:
            host = min(self.tls.names())
        return f"{'http' if self.tls is None else 'https'}://{host}:{port}/"


async def listened(
    app: Callable[[frozenset[str]], ASGIApp], listen: Listen, stream: Stream, ready: Callable[[str], None]
) -> None:
    """Serve an application, made for its Host headers, until a signal to end; `ready` is told its address."""
    context = None if listen.tls is None else listen.tls.context()
    with listen.bound() as bound:
        port = bound.getsockname()[1]
        config = uvicorn.Config(
            app(listen.hosts(port)),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            ssl_context_factory=None if context is None else lambda *_: context,
        )
        server = _Server(config, stream)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.end)
        ready(listen.url(port))
        await server.serve(sockets=[bound])


class _Server(uvicorn.Server):
    """Ends when it is told, and lets the streams of browsers go first."""

    def __init__(self, config: uvicorn.Config, stream: Stream) -> None:
        super().__init__(config)
        self._stream = stream

    def end(self) -> None:
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stream.close()
        await super().shutdown(sockets)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
