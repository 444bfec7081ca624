"""The embedded authority: vectors, the second path, and a second implementation of ML-DSA as judge."""

import shutil
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
from station.vault.die.kinds import MLDSA65
from station.vault.faults import Code, FaultError
from station.vault.keyring import Keyring
from station.vault.names import ISSUING, ROOT
from station.vault.pki import der
from station.vault.pki.certificates import Subject
from station.vault.pki.chains import key_identifier, serial_of
from station.vault.pki.issuer import Issuer
from station.vault.pki.signing import Signing, VerifyingKey
from station.vault.profiles import SE1
from tests.station.vault.die.test_scp03 import VECTORS
from tests.station.vault.dies import NOW, Here
from tests.station.vault.store_here import keys_in

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
    store = await keys_in(tmp_path, 1, (ORDER,))
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
    issuer = await Issuer.open(tmp_path, await keys_in(tmp_path, 1, (ORDER,)), Here())
    der = (await issuer.issue([SUBJECT], SE1, ORDER))[0]
    cert = x509.load_der_x509_certificate(der)
    assert b"99991231235959Z" in der
    assert cert.signature_algorithm_oid.dotted_string == "2.16.840.1.101.3.4.3.18"
    assert cert.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert not cert.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    policies = cert.extensions.get_extension_for_class(x509.CertificatePolicies).value
    assert [p.policy_identifier.dotted_string for p in policies] == [SE1.policy_oid]


class Elsewhere(Signing):
    """A signer that signs, but not what or with what it was asked."""

    def __init__(self, store: Keyring, instead: Callable[[str, bytes], bytes]) -> None:
        self._store, self._instead = store, instead

    def public(self, key: str) -> VerifyingKey:
        return self._store.public(key)

    async def sign(self, key: str, message: bytes, order: str) -> bytes:
        del order
        return self._instead(key, message)


async def with_signer(folder: Path, instead: Callable[[str, bytes], bytes]) -> Issuer:
    store = await keys_in(folder, 1, (ORDER,))
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
    issuer = await Issuer.open(tmp_path, await keys_in(tmp_path, 1, (ORDER,)), Here())
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
    store, asked = await keys_in(tmp_path, 1, (ORDER,)), list[tuple[str, str]]()

    class Watched(Elsewhere):
        async def sign(self, key: str, message: bytes, order: str) -> bytes:
            asked.append((key, order))
            return await store.sign(key, message, order)

    await Issuer.open(tmp_path, store, Here())
    issuer = await Issuer.open(tmp_path, Watched(store, lambda *_: b""), Here())
    await issuer.issue([SUBJECT, SUBJECT], SE1, ORDER)
    assert asked == [(ISSUING, ORDER)] * 2


async def test_authorities_of_another_store_are_refused(tmp_path: Path) -> None:
    await Issuer.open(tmp_path, await keys_in(tmp_path, 1), Here())
    shutil.rmtree(tmp_path / "keys")
    (tmp_path / "seed").unlink()
    with pytest.raises(ConfigError, match="not the certificate of this key store"):
        await Issuer.open(tmp_path, await keys_in(tmp_path, 2), Here())
