"""Beyond this machine a page is seen over TLS and by people with accounts, or not at all."""

import http.client
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from station.cli import code_of
from station.cli.codes import Exit
from station.clock import RealClock
from station.console.listening import Listen, Tls
from station.errors import ConfigError
from station.people.people import people
from station.people.pins import Cost

HERE = "127.0.0.2"
"""Of this machine, and another address than the one by which everything is found."""
BADGE, PIN = "B-7", "280164"
OWN = {"content-type": "application/json", "sec-fetch-site": "same-origin"}


def certificate(folder: Path, *names: x509.GeneralName) -> Tls:
    """A page's certificate, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ws-07")])
    now = datetime.now(UTC)  # noqa: TID251 - TLS has the machine's clock
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(7).not_valid_before(now - timedelta(hours=1))
    built = built.not_valid_after(now + timedelta(days=1))
    if names:
        built = built.add_extension(x509.SubjectAlternativeName(names), False)
    files = Tls(folder / "page.crt", folder / "page.key")
    files.certificate.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    form = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    files.key.write_bytes(key.private_bytes(*form))
    return files


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return certificate(tmp_path, x509.DNSName("WS-07.floor"), x509.IPAddress(ip_address(HERE)))


def enrolled(folder: Path) -> Path:
    """A station's people, of whom one has enrolled."""
    with people(folder, "ws-07", RealClock().unix, Cost.LOW) as inside:
        inside.enrol(inside.found()["first engineer"], BADGE, PIN)
    return folder


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "ws-07.floor"])  # noqa: S104
def test_beyond_loopback_there_is_no_page_without_tls(host: str, tls: Tls) -> None:
    with pytest.raises(ConfigError, match="--tls-cert"):
        Listen(host, 0)
    Listen(host, 0, tls).admit(SimpleNamespace(accounts=True))
    with pytest.raises(ConfigError, match="people init"):
        Listen(host, 0, tls).admit(SimpleNamespace(accounts=False))
    Listen(HERE, 0).admit(SimpleNamespace(accounts=False))


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--tls-cert", "page.crt", "--tls-key", "page.key"),
        ("--tls-cert", "page.crt", "--tls-key", "page.key", "--person", "asha"),
    ],
)
def test_the_console_says_what_it_lacks(
    tmp_path: Path,
    tls: Tls,
    options: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with people(tmp_path / "nobody", "ws-07", RealClock().unix, Cost.LOW) as inside:
        inside.found()
    assert code_of(["console", "--host", "192.0.2.7", "--people", "nobody", *options]) == Exit.CONFIG
    said = capsys.readouterr().err
    assert said.startswith("hardbin: --host 192.0.2.7: ")
    assert said.count("\n") == 1
    assert code_of(["console", "--tls-cert", "page.crt"]) == Exit.USAGE


def test_a_certificate_that_no_browser_could_believe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="subjectAltName"):
        certificate(tmp_path).names()
    with pytest.raises(ConfigError, match="neither"):
        certificate(tmp_path, x509.DNSName("*.floor")).names()
    files = certificate(tmp_path, x509.DNSName("ws-07"))
    other = Tls(files.certificate, tmp_path / "other.key")
    with pytest.raises(ConfigError, match=r"other\.key"):
        other.context()
    files.certificate.write_text("no PEM")
    for refused in (files.context, files.names):
        with pytest.raises(ConfigError, match=r"page\.crt"):
            refused()


def test_browsers_may_call_a_page_by_the_names_in_its_certificate(tls: Tls) -> None:
    far = Listen("192.0.2.7", 0, tls)
    assert far.hosts(8700) == {"ws-07.floor:8700", f"{HERE}:8700"}
    assert far.hosts(443) == {"ws-07.floor", HERE}
    assert far.url(8700) == f"https://{HERE}:8700/"
    assert Listen("::1", 0).url(8700) == "http://[::1]:8700/"
    assert Listen("::1", 0).hosts(8700) == {f"{name}:8700" for name in ("[::1]", "localhost", "127.0.0.1")}


@contextmanager
def console(folder: Path, *options: str) -> Iterator[int]:
    """A console, by the port that it has found."""
    process = subprocess.Popen(
        [sys.executable, "-m", "station.cli", "console", "--host", HERE, "--port", "0", *options],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline().strip()
        assert said.startswith(f"hardbin: https://{HERE}:")
        yield int(said.rstrip("/").rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_over_tls_a_person_logs_in_and_the_session_is_for_tls_alone(tmp_path: Path, tls: Tls) -> None:
    folder = enrolled(tmp_path / "people")
    options = ("--people", str(folder), "--tls-cert", str(tls.certificate), "--tls-key", str(tls.key))
    trusting = ssl.create_default_context(cafile=tls.certificate)
    with console(tmp_path, *options) as port:

        def asked(method: str, path: str, body: object = None, **headers: str) -> http.client.HTTPResponse:
            link = http.client.HTTPSConnection(HERE, port, context=trusting, timeout=60)
            link.request(method, path, msgspec.json.encode(body), OWN | headers)
            answer = link.getresponse()
            answer.read()
            link.close()
            return answer

        page = asked("GET", "/")
        assert page.status == 200
        assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert asked("GET", "/", Host=f"elsewhere:{port}").status == 421
        assert asked("GET", "/", Host=f"ws-07.floor:{port}").status == 200
        assert asked("GET", "/api/v1/people").status == 403
        entered = asked("POST", "/api/v1/session", {"badge": BADGE, "pin": PIN})
        assert entered.status == 200
        cookie = entered.headers["Set-Cookie"].lower()
        assert {"secure", "httponly", "samesite=strict"} <= {one.strip() for one in cookie.split(";")}
        left = asked("POST", "/api/v1/session/end", {}, Cookie=cookie.partition(";")[0])
        assert "secure" in left.headers["Set-Cookie"].lower()
        _old_ways_are_closed(port, tls)


def _old_ways_are_closed(port: int, tls: Tls) -> None:
    plain = http.client.HTTPConnection(HERE, port, timeout=60)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        plain.request("GET", "/")
        plain.getresponse()
    plain.close()
    old = ssl.create_default_context(cafile=tls.certificate)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    link = http.client.HTTPSConnection(HERE, port, context=old, timeout=60)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        link.request("GET", "/")
    link.close()
