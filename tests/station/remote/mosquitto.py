"""A real Mosquitto with certificates and access list, on a free port, for as long as a block lasts."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from station.remote import acl
from station.remote.link import Link, Message
from station.remote.mqtt_broker import Address, MqttBroker

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
RUNNING = " running"


class Authority:
    """A floor's certificate authority, for a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "floor ca")])
        made = self._builder("floor ca", self._key).add_extension(x509.BasicConstraints(True, None), True)
        self.file = self._written("ca.crt", made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def _builder(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)  # noqa: TID251 - the broker has the machine's clock
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return certificate and key of a name, made at the first time."""
        files = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        if not files[0].exists():
            key = ec.generate_private_key(ec.SECP256R1())
            local = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            made = self._builder(name, key).add_extension(local, False).sign(self._key, hashes.SHA256())
            self._written(files[0].name, made.public_bytes(Encoding.PEM))
            form = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            self._written(files[1].name, key.private_bytes(*form))
        return files

    def _written(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path


class Mosquitto:
    """One broker; as a `Broker` it links each name with that name's own certificate."""

    def __init__(
        self, folder: Path, plant: str, clients: tuple[str, ...], collectors: tuple[str, ...] = ()
    ) -> None:
        self.authority = Authority(folder)
        self._folder = folder
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        (folder / "acl").write_text(acl.text(plant, clients, collectors))

    @property
    def url(self) -> str:
        """Where it is."""
        return f"mqtts://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, or start it again on the same port; return when it listens."""
        for _ in range(20):
            port = self._port or _free_port()
            config = self._configured(port)
            process = subprocess.Popen(
                [str(PROGRAM), "-c", str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            assert process.stdout is not None
            if any(RUNNING in line for line in process.stdout):
                self._process, self._port = process, port
                return
            process.wait()
        raise AssertionError("mosquitto does not start")

    def stop(self) -> None:
        """Kill it: nothing is said to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def _configured(self, port: int) -> Path:
        certificate, key = self.authority.issue("broker")
        lines = [
            "user root",
            f"listener {port} 127.0.0.1",
            f"cafile {self.authority.file}",
            f"certfile {certificate}",
            f"keyfile {key}",
            "require_certificate true",
            "use_identity_as_username true",
            "allow_anonymous false",
            "set_tcp_nodelay true",
            f"acl_file {self._folder / 'acl'}",
            "log_dest stderr",
            "log_type notice",
            "log_type information",
            "log_type error",
            "connection_messages false",
        ]
        path = self._folder / "mosquitto.conf"
        path.write_text("\n".join(lines) + "\n")
        return path

    def address(self, name: str) -> Address:
        """What a client needs to connect under a name."""
        return Address(self.url, self.authority.file, *self.authority.issue(name))

    def link(self, name: str, will: Message | None = None) -> AbstractAsyncContextManager[Link]:
        """Connect with the certificate of the name."""
        return MqttBroker(self.address(name), simulated=True).link(name, will)

    def options(self, name: str) -> Mapping[str, str]:
        """The environment in which `hardbin mqtt` is this client."""
        certificate, key = self.authority.issue(name)
        return {
            "HARDBIN_MQTT": self.url,
            "HARDBIN_CA": str(self.authority.file),
            "HARDBIN_CERT": str(certificate),
            "HARDBIN_CERT_KEY": str(key),
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mosquitto(
    folder: Path, plant: str, *clients: str, collectors: tuple[str, ...] = ()
) -> Iterator[Mosquitto]:
    """Run a broker whose access list knows these clients and collectors."""
    broker = Mosquitto(folder, plant, clients, collectors)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
