"""The embedded authority: vectors, the second path, and a second implementation of ML-DSA as judge."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dilithium_py.ml_dsa import ML_DSA_65, ML_DSA_87

from drivers.protocols.se1_table import Algorithm
from station.errors import ConfigError
from station.vault import der
from station.vault.authorities import RANKS
from station.vault.certificates import Subject
from station.vault.chains import key_identifier, serial_of
from station.vault.faults import Code, FaultError
from station.vault.issuer import Issuer
from station.vault.keystore import ISSUING, ISSUING_EC, ROOT, KeyStore
from station.vault.kinds import MLDSA65
from station.vault.profiles import SE1
from tests.station.vault.dies import NOW, Here
from tests.station.vault.test_scp03 import VECTORS

PUBLIC = MLDSA65PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw()
ORDER = "WO-1"
SPKI = MLDSA65.spki(PUBLIC)
SUBJECT = Subject(bytes(16), PUBLIC, SPKI, MLDSA65, int(NOW))


def test_identifiers_and_serial_are_those_of_the_vectors() -> None:
    wanted = VECTORS["certificate"]
    assert sha256(SPKI).hexdigest() == wanted["spki_sha256"]
    assert key_identifier(PUBLIC).hex() == wanted["subject_key_identifier"]
    assert serial_of(bytes.fromhex(wanted["issuer_ski"]), SPKI).hex() == wanted["serial"]


async def test_a_second_implementation_verifies_the_chain(tmp_path: Path) -> None:
    store = KeyStore.open(tmp_path, 1)
    issuer = await Issuer.open(tmp_path, store, Here())
    issuing = issuer.authority(Algorithm.MLDSA65).certificate
    root = x509.load_der_x509_certificate(issuer.root)
    leaf = x509.load_der_x509_certificate((await issuer.issue([SUBJECT], SE1, ORDER))[0])
    root_key, issuing_key = (
        store.public(name).public_bytes(Encoding.Raw, PublicFormat.Raw) for name in (ROOT, ISSUING)
    )
    assert ML_DSA_87.verify(root_key, root.tbs_certificate_bytes, root.signature)
    assert ML_DSA_87.verify(root_key, issuing.tbs_certificate_bytes, issuing.signature)
    assert ML_DSA_65.verify(issuing_key, leaf.tbs_certificate_bytes, leaf.signature)
    assert not ML_DSA_65.verify(issuing_key, leaf.tbs_certificate_bytes + b"\0", leaf.signature)


async def test_a_device_certificate_is_as_its_profile_says(tmp_path: Path) -> None:
    issuer = await Issuer.open(tmp_path, KeyStore.open(tmp_path, 1), Here())
    der = (await issuer.issue([SUBJECT], SE1, ORDER))[0]
    cert = x509.load_der_x509_certificate(der)
    assert b"99991231235959Z" in der
    assert cert.signature_algorithm_oid.dotted_string == "2.16.840.1.101.3.4.3.18"
    assert cert.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert not cert.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    policies = cert.extensions.get_extension_for_class(x509.CertificatePolicies).value
    assert [p.policy_identifier.dotted_string for p in policies] == [SE1.policy_oid]


class Elsewhere:
    """A signer that signs, but not what or with what it was asked."""

    def __init__(self, store: KeyStore, instead: Callable[[str, bytes], bytes]) -> None:
        self.public, self._instead = store.public, instead

    async def sign(self, key: str, message: bytes, order: str) -> bytes:
        del order
        return self._instead(key, message)


async def with_signer(folder: Path, instead: Callable[[str, bytes], bytes]) -> Issuer:
    store = KeyStore.open(folder, 1)
    await Issuer.open(folder, store, Here())
    return await Issuer.open(folder, Elsewhere(store, instead), Here())


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (Subject(b"\x01" * 16, PUBLIC, SPKI, MLDSA65, int(NOW)), "subject"),
        (Subject(bytes(16), PUBLIC, SPKI, MLDSA65, int(NOW) + 1), "not_before"),
    ],
)
async def test_the_second_path_catches_a_certificate_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: Subject, named: str
) -> None:
    issuer = await Issuer.open(tmp_path, KeyStore.open(tmp_path, 1), Here())
    (other,) = await issuer.issue([changed], SE1, ORDER)
    monkeypatch.setattr(der, "signed", lambda *_: other)
    with pytest.raises(FaultError, match=named) as caught:
        await issuer.issue([SUBJECT], SE1, ORDER)
    assert caught.value.code is Code.ISSUER_CHECK


async def test_the_second_path_catches_a_signature_by_another_key(tmp_path: Path) -> None:
    stranger = MLDSA65PrivateKey.generate()
    issuer = await with_signer(tmp_path, lambda _, message: stranger.sign(message))
    with pytest.raises(FaultError, match="chain"):
        await issuer.issue([SUBJECT], SE1, ORDER)


@pytest.mark.parametrize("signature", [b"", b"\x30", bytes(3309)])
async def test_the_second_path_catches_a_signature_that_is_none(tmp_path: Path, signature: bytes) -> None:
    issuer = await with_signer(tmp_path, lambda *_: signature)
    with pytest.raises(FaultError, match="chain") as caught:
        await issuer.issue([SUBJECT], SE1, ORDER)
    assert caught.value.code is Code.ISSUER_CHECK


async def test_the_key_store_is_asked_once_for_each_certificate_and_told_the_order(tmp_path: Path) -> None:
    store, asked = KeyStore.open(tmp_path, 1), list[tuple[str, str]]()

    class Watched(Elsewhere):
        async def sign(self, key: str, message: bytes, order: str) -> bytes:
            asked.append((key, order))
            return await store.sign(key, message, order)

    await Issuer.open(tmp_path, store, Here())
    issuer = await Issuer.open(tmp_path, Watched(store, lambda *_: b""), Here())
    await issuer.issue([SUBJECT, SUBJECT], SE1, ORDER)
    assert asked == [(ISSUING, ORDER)] * 2


async def test_the_same_seed_gives_the_same_authority_and_serials(tmp_path: Path) -> None:
    serials = set()
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        issuer = await Issuer.open(folder, KeyStore.open(folder, 5), Here())
        serials.add(tuple(issuer.authority(algorithm).identifier for algorithm in RANKS))
    assert len(serials) == 1


async def test_authorities_of_another_store_are_refused(tmp_path: Path) -> None:
    await Issuer.open(tmp_path, KeyStore.open(tmp_path, 1), Here())
    (tmp_path / "development.keys").unlink()
    with pytest.raises(ConfigError, match="not the certificate of this key store"):
        await Issuer.open(tmp_path, KeyStore.open(tmp_path, 2), Here())


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
