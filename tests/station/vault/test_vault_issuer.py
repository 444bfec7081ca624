"""The embedded authority: vectors, the second path, and a second implementation of ML-DSA as judge."""

from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dilithium_py.ml_dsa import ML_DSA_65, ML_DSA_87

from drivers.protocols.se1_table import Algorithm
from station.errors import ConfigError
from station.vault.faults import Code, FaultError
from station.vault.issuer import RANKS, Issuer, Subject, key_identifier, serial_of
from station.vault.keystore import ISSUING, ISSUING_EC, ROOT, KeyStore
from station.vault.kinds import MLDSA65
from station.vault.profiles import SE1
from tests.station.vault.dies import NOW
from tests.station.vault.test_scp03 import VECTORS

PUBLIC = MLDSA65PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw()
SPKI = MLDSA65.spki(PUBLIC)
SUBJECT = Subject(bytes(16), PUBLIC, SPKI, MLDSA65, int(NOW))


def test_identifiers_and_serial_are_those_of_the_vectors() -> None:
    wanted = VECTORS["certificate"]
    assert sha256(SPKI).hexdigest() == wanted["spki_sha256"]
    assert key_identifier(PUBLIC).hex() == wanted["subject_key_identifier"]
    assert serial_of(bytes.fromhex(wanted["issuer_ski"]), SPKI).hex() == wanted["serial"]


def test_a_second_implementation_verifies_the_chain(tmp_path: Path) -> None:
    store = KeyStore.open(tmp_path, 1)
    issuer = Issuer.open(tmp_path, store)
    issuing = issuer.authority(Algorithm.MLDSA65).certificate
    root = x509.load_der_x509_certificate(issuer.root)
    leaf = x509.load_der_x509_certificate(issuer.issue(SUBJECT, SE1))
    root_key, issuing_key = (
        store.signer(name).public_bytes(Encoding.Raw, PublicFormat.Raw) for name in (ROOT, ISSUING)
    )
    assert ML_DSA_87.verify(root_key, root.tbs_certificate_bytes, root.signature)
    assert ML_DSA_87.verify(root_key, issuing.tbs_certificate_bytes, issuing.signature)
    assert ML_DSA_65.verify(issuing_key, leaf.tbs_certificate_bytes, leaf.signature)
    assert not ML_DSA_65.verify(issuing_key, leaf.tbs_certificate_bytes + b"\0", leaf.signature)


def test_a_device_certificate_is_as_its_profile_says(tmp_path: Path) -> None:
    issuer = Issuer.open(tmp_path, KeyStore.open(tmp_path, 1))
    der = issuer.issue(SUBJECT, SE1)
    cert = x509.load_der_x509_certificate(der)
    assert b"99991231235959Z" in der
    assert cert.signature_algorithm_oid.dotted_string == "2.16.840.1.101.3.4.3.18"
    assert cert.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert not cert.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    policies = cert.extensions.get_extension_for_class(x509.CertificatePolicies).value
    assert [p.policy_identifier.dotted_string for p in policies] == [SE1.policy_oid]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (Subject(b"\x01" * 16, PUBLIC, SPKI, MLDSA65, int(NOW)), "subject"),
        (Subject(bytes(16), PUBLIC, SPKI, MLDSA65, int(NOW) + 1), "notBefore"),
    ],
)
def test_the_second_path_catches_a_certificate_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: Subject, named: str
) -> None:
    issuer = Issuer.open(tmp_path, KeyStore.open(tmp_path, 1))
    other = issuer.issue(changed, SE1)
    monkeypatch.setattr(KeyStore, "certify", lambda *_: other)
    with pytest.raises(FaultError, match=named) as caught:
        issuer.issue(SUBJECT, SE1)
    assert caught.value.code is Code.ISSUER_CHECK


def test_the_second_path_catches_a_signature_by_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = Issuer.open(tmp_path, KeyStore.open(tmp_path, 1))
    stranger = MLDSA65PrivateKey.generate()
    monkeypatch.setattr(
        KeyStore, "certify", lambda _s, _n, b: b.sign(stranger, None).public_bytes(Encoding.DER)
    )
    with pytest.raises(FaultError, match="chain"):
        issuer.issue(SUBJECT, SE1)


def test_the_same_seed_gives_the_same_authority_and_serials(tmp_path: Path) -> None:
    serials = set()
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        issuer = Issuer.open(folder, KeyStore.open(folder, 5))
        serials.add(tuple(issuer.authority(algorithm).identifier for algorithm in RANKS))
    assert len(serials) == 1


def test_authorities_of_another_store_are_refused(tmp_path: Path) -> None:
    Issuer.open(tmp_path, KeyStore.open(tmp_path, 1))
    (tmp_path / "development.keys").unlink()
    with pytest.raises(ConfigError, match="not the certificate of this key store"):
        Issuer.open(tmp_path, KeyStore.open(tmp_path, 2))


def test_the_store_is_private_marked_and_not_shown(tmp_path: Path) -> None:
    store = KeyStore.open(tmp_path, None)
    path = tmp_path / "development.keys"
    assert path.stat().st_mode & 0o777 == 0o600
    assert b'"mode":"development"' in path.read_bytes()
    assert store.mode == "development"
    with pytest.raises(ConfigError, match="made with seed None, not 3"):
        KeyStore.open(tmp_path, 3)


def test_a_damaged_store_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "development.keys").write_text('{"format": 1, "keys": {"ROOT-PQ-1": "00"}}')
    with pytest.raises(ConfigError, match="not a development key store"):
        KeyStore.open(tmp_path, None)


def test_a_store_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    KeyStore.open(tmp_path, 1)
    path = tmp_path / "development.keys"
    path.write_text(path.read_text().replace(ISSUING_EC, "ICA-EC-0"))
    with pytest.raises(ConfigError, match="lacks ICA-EC-1, as of an earlier version; use another folder"):
        KeyStore.open(tmp_path, 1)
