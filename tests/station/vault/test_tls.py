"""A vault beyond its Unix sockets: TLS 1.3 only, both with certificates; a station is whom its own names."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from station import config as station_config
from station.clock import RealClock
from station.errors import ConfigError, CustodyError
from station.io_thread import IoThread
from station.lot_vault import reached
from station.model import Disposition
from station.surroundings import simulated_station_file
from station.vault import configuration, tls
from station.vault.client import VaultClient, VaultProcess, VaultRefusedError
from station.vault.desk.client import DeskClient, DeskGoneError
from station.vault.tls import ClientTls
from tests.station.vault.dies import NOW, ChipCard, die_of, sound_chip
from tests.station.vault.test_vault_process import At
from tests.station.vault.vaults import development_order_of


@dataclass
class Authority:
    """Who makes certificates for the floor."""

    folder: Path
    name: str

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.certificate = self._made(self.name, self.key, ca=True)
        (self.folder / f"{self.name}.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def give(self, name: str) -> ClientTls:
        """Write key and certificate of somebody, and return what he comes with."""
        key = ec.generate_private_key(ec.SECP256R1())
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        paths[0].write_bytes(self._made(name, key).public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return ClientTls.read(*paths, self.folder / "floor-ca.pem")

    def _made(self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool = False) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        now = datetime.fromtimestamp(RealClock().unix(), UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA384())
        )


@dataclass
class Plant:
    """A vault on TCP, and its authorities."""

    process: VaultProcess
    floor: str
    desk: str
    stations: Authority
    persons: Authority
    io: IoThread

    def client(self, files: ClientTls | None, station: str = "cell-1") -> VaultClient:
        return VaultClient(self.floor, clock=At(), io=self.io, station=station, tls=files)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("tls") / "vault"
    folder.mkdir()
    stations, persons = Authority(folder, "floor-ca"), Authority(folder, "desk-ca")
    stations.give("vault-1")
    (folder / "vault.toml").write_text(
        'stations = ["cell-7"]\nfloor = "127.0.0.1:0"\ndesk = "127.0.0.1:0"\n'
        '[tls]\ncertificate = "vault-1.pem"\nkey = "vault-1.key"\n'
        'stations = "floor-ca.pem"\npersons = "desk-ca.pem"\n'
    )
    io = IoThread()
    io.start()
    process = VaultProcess.start(folder, seed=1, epoch=NOW)
    lines = [msgspec.json.decode(line) for line in (folder / "vault.log").read_bytes().splitlines()]
    floor, desk = (f"127.0.0.1:{line['port']}" for line in lines if line.get("event") == "listening")
    yield Plant(process, floor, desk, stations, persons, io)
    process.stop()
    io.stop()


async def test_a_station_is_whom_its_certificate_names(plant: Plant) -> None:
    client = plant.client(plant.stations.give("cell-7"), station="cell-1")
    assert await client.connect() == "development"
    for lot, station in (("L1", "cell-1"), ("L2", "cell-7")):
        order = development_order_of(plant.process.desk, lot, 1, station=station)
        client.order = await asyncio.wrap_future(plant.io.submit(order))
        await client.open_lot(lot, product="se1", quantity=1)
    with pytest.raises(VaultRefusedError, match="107: .* for order DEV-L1 at cell-7"):
        await client.personalise(die_of("L1/1"), ChipCard(sound_chip()))
    outcome = await client.personalise(die_of("L2/1", lot="L2"), ChipCard(sound_chip(2)))
    assert outcome.disposition is Disposition.SEALED
    await client.aclose()


async def test_a_station_that_the_vault_does_not_name_opens_nothing(plant: Plant) -> None:
    client = plant.client(plant.stations.give("cell-9"), station="cell-7")
    await client.connect()
    with pytest.raises(CustodyError, match="113: station cell-9 is none of this vault's"):
        await client.open_lot("W1", product="se1", quantity=1, sorts=True)
    with pytest.raises(VaultRefusedError, match="113"):
        await client.load(die_of("W1/1/0/0", lot="W1"), ChipCard(sound_chip()))
    await client.aclose()


async def test_who_has_no_certificate_of_the_floor_is_not_served(plant: Plant) -> None:
    for files in (plant.persons.give("cell-8"), Authority(plant.stations.folder, "elsewhere").give("cell-9")):
        client = plant.client(files)
        with pytest.raises(CustodyError, match="does not serve"):
            await client.connect()
        await client.aclose()


async def test_a_vault_of_another_authority_is_not_believed(plant: Plant) -> None:
    files = plant.stations.give("cell-7")
    foreign = ClientTls(files.certificate, files.key, plant.persons.certificate.public_bytes(Encoding.PEM))
    client = plant.client(foreign)
    with pytest.raises(CustodyError, match="does not serve"):
        await client.connect()
    await client.aclose()


async def _greets(address: str, files: ClientTls) -> str:
    client = DeskClient(address, tls=files)
    try:
        return (await client.greet()).vault
    finally:
        await client.aclose()


async def test_persons_come_to_the_desk_with_certificates_of_their_own(plant: Plant) -> None:
    person, station = plant.persons.give("p-00000001"), plant.stations.give("cell-7")
    assert await asyncio.wrap_future(plant.io.submit(_greets(plant.desk, person))) == "vault-1"
    with pytest.raises(DeskGoneError):
        await asyncio.wrap_future(plant.io.submit(_greets(plant.desk, station)))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_only_tls_1_3_is_agreed_on(plant: Plant, version: ssl.TLSVersion) -> None:
    plant.stations.give("cell-7")
    folder = plant.stations.folder
    context = ssl.create_default_context(cafile=str(folder / "floor-ca.pem"))
    context.load_cert_chain(folder / "cell-7.pem", folder / "cell-7.key")
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    host, _, port = plant.floor.partition(":")
    with socket.create_connection((host, int(port))) as plain:
        if version is ssl.TLSVersion.TLSv1_2:
            with pytest.raises(OSError, match="(?i)alert|eof|reset|handshake"):
                context.wrap_socket(plain, server_hostname=host)
        else:
            with context.wrap_socket(plain, server_hostname=host) as line:
                assert line.version() == "TLSv1.3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('floor = "0.0.0.0:7443"', "speaks TLS only"),
        ('desk = "0.0.0.0:7444"', "speaks TLS only"),
        ('floor = "unix:x"', "no HOST:PORT"),
    ],
)
def test_nothing_listens_beyond_a_unix_socket_without_tls(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "vault.toml").write_text(text + "\n")
    with pytest.raises(ConfigError, match=message):
        configuration.load(tmp_path / "vault.toml")


def test_a_client_goes_nowhere_without_tls() -> None:
    with pytest.raises(ConfigError, match="only over TLS"):
        tls.channel("vault.example:7443", None, ())


def test_files_for_tls_are_looked_at(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "floor-ca")
    authority.give("a")
    authority.give("b")
    with pytest.raises(ConfigError, match="not the certificate of b.key"):
        ClientTls.read(tmp_path / "a.pem", tmp_path / "b.key", tmp_path / "floor-ca.pem")
    with pytest.raises(ConfigError, match="No such file"):
        ClientTls.read(tmp_path / "c.pem", tmp_path / "b.key", tmp_path / "floor-ca.pem")
    with pytest.raises(ConfigError, match="not a private key"):
        ClientTls.read(tmp_path / "a.pem", tmp_path / "a.pem", tmp_path / "floor-ca.pem")
    with pytest.raises(ConfigError, match="no certificates in PEM"):
        ClientTls.read(tmp_path / "a.pem", tmp_path / "a.key", tmp_path / "a.key")
    old = rsa.generate_private_key(65537, 2048)
    (tmp_path / "r.key").write_bytes(old.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ConfigError, match="P-256 or P-384"):
        ClientTls.read(tmp_path / "a.pem", tmp_path / "r.key", tmp_path / "floor-ca.pem")


def station_file(folder: Path, vault: str) -> Path:
    """The simulated station with another table of its vault."""
    path, text = folder / "station.toml", simulated_station_file().read_text()
    assert (table := '[vault]\nmode = "development"\n') in text
    path.write_text(text.replace(table, f"[vault]\n{vault}\n"))
    return path


@pytest.mark.parametrize("over", ["tls", "unix"])
async def test_a_station_file_names_a_vault_that_runs(plant: Plant, tmp_path: Path, over: str) -> None:
    plant.stations.give("cell-7")
    told = f'mode = "running"\norder = "WO-5"\naddress = "unix:{plant.process.socket}"\n'
    if over == "tls":
        files = {"certificate": "cell-7.pem", "key": "cell-7.key", "authority": "floor-ca.pem"}
        told = f'mode = "running"\norder = "WO-5"\naddress = "{plant.floor}"\n' + "".join(
            f'{name} = "{plant.stations.folder / file}"\n' for name, file in files.items()
        )
    path = station_file(tmp_path, told)
    async with reached(station_config.load(path), At()) as client:
        assert client.order == "WO-5"
        assert await client.connect() == "development"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ('mode = "running"', "an address belongs to mode"),
        ('address = "unix:/x"', "an address belongs to mode"),
        ('mode = "running"\naddress = "v.example:7443"', "reached over TLS"),
        ('mode = "running"\naddress = "v.example:7443"\nkey = "k"', "belong together"),
    ],
)
def test_a_station_file_says_all_that_is_needed(tmp_path: Path, told: str, message: str) -> None:
    path = station_file(tmp_path, told)
    with pytest.raises(ConfigError, match=message):
        station_config.load(path)
