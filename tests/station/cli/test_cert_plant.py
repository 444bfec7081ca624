"""The plant's own authority for TLS, as somebody makes it at the command line, and what comes of it."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID
from msgspec import json

from station.cli.codes import Exit
from station.vault.tls import ClientTls
from tests.cell.lots import here


class Plant:
    """A folder with an authority."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ca, self.words = folder, folder / "ca", folder / "words"
        self.words.write_text("a long passphrase\n")
        self.says("init-ca", str(self.ca), "--name", "ahm1-floor")

    def says(self, verb: str, *arguments: str, code: Exit = Exit.OK) -> str:
        said = here("cert", verb, *arguments, "--passphrase-file", str(self.words))
        assert said.returncode == code, said.stderr
        return said.stdout + said.stderr

    def issue(self, name: str, *arguments: str, code: Exit = Exit.OK) -> str:
        where = ("--ca", str(self.ca), "--out", str(self.folder))
        return self.says("issue", name, *where, *arguments, code=code)

    def of(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / f"{name}.crt").read_bytes())

    def issued(self) -> list[Any]:
        return [json.decode(line) for line in (self.ca / "issued").read_bytes().splitlines()]

    def files(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def shaken(plant: Plant, server: str, client: str, host: str) -> None:
    """Let two sides come to terms over TLS 1.3, in memory; ssl.SSLError if they do not."""
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    at_server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(plant.ca / "ca.crt"))
    at_client = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(plant.ca / "ca.crt"))
    at_server.verify_mode = ssl.CERT_REQUIRED
    at_server.minimum_version = at_client.minimum_version = ssl.TLSVersion.TLSv1_3
    at_server.load_cert_chain(*plant.files(server))
    at_client.load_cert_chain(*plant.files(client))
    serving = at_server.wrap_bio(ours, theirs, server_side=True)
    coming = at_client.wrap_bio(theirs, ours, server_hostname=host)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (coming, serving):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
    assert done == {coming, serving}


def test_a_station_comes_to_a_server_over_tls(plant: Plant) -> None:
    plant.issue("ws-07", "--use", "station")
    plant.issue("broker", "--use", "server", "--host", "broker.ahm1.example", "--host", "10.0.0.7")
    shaken(plant, "broker", "ws-07", "broker.ahm1.example")
    shaken(plant, "broker", "ws-07", "10.0.0.7")
    with pytest.raises(ssl.SSLError):
        shaken(plant, "broker", "ws-07", "other.example")
    with pytest.raises(ssl.SSLError):
        shaken(plant, "ws-07", "broker", "ws-07")
    assert ClientTls.read(*plant.files("ws-07"), plant.ca / "ca.crt")
    assert (plant.folder / "ws-07.key").stat().st_mode & 0o077 == 0
    assert [(one["name"], one["hosts"], one["use"]) for one in plant.issued()] == [
        ("ws-07", [], "client"),
        ("broker", ["broker.ahm1.example", "10.0.0.7"], "server"),
    ]


def test_the_authority_s_key_is_under_its_passphrase(plant: Plant, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        load_pem_private_key((plant.ca / "ca.key").read_bytes(), None)
    plant.words.write_text("another\n")
    assert "not opened by this passphrase" in plant.issue("ws-07", "--use", "station", code=Exit.TRUST)
    assert not (tmp_path / "ws-07.key").exists()
    assert not (plant.ca / "issued").exists()


def test_a_certificate_is_made_anew_in_its_place(plant: Plant) -> None:
    plant.issue("broker", "--use", "server", "--host", "b.example", "--days", "5")
    before = plant.of("broker")
    told = json.decode(plant.says("renew", str(plant.folder / "broker.crt"), "--ca", str(plant.ca), "--json"))
    now = plant.of("broker")
    assert (now.public_key(), now.subject) == (before.public_key(), before.subject)
    assert now.serial_number != before.serial_number
    assert now.not_valid_after_utc > before.not_valid_after_utc
    assert (told["hosts"], told["sha256"]) == (["b.example"], now.fingerprint(SHA256()).hex())
    plant.issue("ws-07", "--use", "station")
    shaken(plant, "broker", "ws-07", "b.example")


def test_of_another_authority_nothing_is_made_anew(plant: Plant, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = Plant(other)
    elsewhere.issue("ws-07", "--use", "station")
    before = (other / "ws-07.crt").read_bytes()
    said = plant.says("renew", str(other / "ws-07.crt"), "--ca", str(plant.ca), code=Exit.TRUST)
    assert "not of this authority" in said
    assert (other / "ws-07.crt").read_bytes() == before


def asked(folder: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whoever")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    path = folder / "request.csr"
    path.write_bytes(request.public_bytes(Encoding.PEM))
    return str(path)


def test_a_key_may_stay_where_it_is(plant: Plant, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    plant.issue("ws-09", "--use", "station", "--request", asked(tmp_path, key))
    assert plant.of("ws-09").public_key() == key.public_key()
    assert not (tmp_path / "ws-09.key").exists()
    (name,) = plant.of("ws-09").subject
    assert name.value == "ws-09", "who it is the authority says, not the request"


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("ws 07", "--use", "station"), "names have letters", Exit.CONFIG),
        (("broker", "--use", "server"), "a server is told by its hosts", Exit.CONFIG),
        (("b", "--use", "server", "--host", "no/host"), "neither the name of a host", Exit.CONFIG),
        (("ws-07", "--use", "station", "--days", "826"), "--days", Exit.USAGE),
        (("ws-07", "--use", "robot"), "--use", Exit.USAGE),
        (("ws-07", "--use", "station", "--request", "none.csr"), "none.csr", Exit.CONFIG),
    ],
)
def test_what_is_refused_leaves_nothing(
    plant: Plant, tmp_path: Path, arguments: tuple[str, ...], said: str, code: Exit
) -> None:
    there = set(tmp_path.iterdir())
    assert said in plant.issue(*arguments, code=code)
    assert set(tmp_path.iterdir()) == there
    assert not (plant.ca / "issued").exists()


def test_a_request_for_another_kind_of_key_is_refused(plant: Plant, tmp_path: Path) -> None:
    request = asked(tmp_path, rsa.generate_private_key(65537, 2048))
    assert "P-256 or P-384" in plant.issue("x", "--use", "station", "--request", request, code=Exit.CONFIG)


def test_nothing_is_overwritten(plant: Plant) -> None:
    plant.issue("ws-07", "--use", "station")
    assert "there already" in plant.issue("ws-07", "--use", "station", code=Exit.CONFIG)
    assert "there already" in plant.says("init-ca", str(plant.ca), "--name", "x", code=Exit.CONFIG)


def test_a_folder_without_an_authority(plant: Plant, tmp_path: Path) -> None:
    said = plant.says("issue", "x", "--use", "station", "--ca", str(tmp_path / "none"), code=Exit.CONFIG)
    assert "hardbin cert init-ca" in said
