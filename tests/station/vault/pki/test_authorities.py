"""How authorities come to be: the request, the root's answer, and what the vault takes for its own."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ReasonFlags
from cryptography.x509.oid import NameOID
from dilithium_py.ml_dsa import ML_DSA_65, ML_DSA_87
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.se1_table import Algorithm
from station.errors import ConfigError
from station.vault.names import ROOT
from station.vault.pki import der, inspection
from station.vault.pki.authorities import (
    RANKS,
    House,
    Trust,
    certify,
    request,
    root_certificate,
    root_list,
    take,
)
from station.vault.pki.chains import Anchor, loaded
from station.vault.pki.crl import CrlDraft, Revoked
from station.vault.pki.signing import Signing, VerifyingKey, signature_algorithm
from tests.station.vault.lint import lint_crl
from tests.station.vault.store_here import keys_in

HOUSE = House("NL", "Example Semiconductors")
SINCE = datetime(2028, 2, 29, 12, tzinfo=UTC)
ORDER = "ceremony-7"


@pytest.fixture
async def store(tmp_path: Path) -> Signing:
    return await keys_in(tmp_path, 3, (ORDER,))


async def certified(store: Signing, algorithm: Algorithm) -> tuple[bytes, bytes]:
    """A root, and an issuing authority's certificate by it."""
    root = await root_certificate(store, HOUSE, SINCE, ORDER)
    asked = await request(store, RANKS[algorithm], HOUSE, ORDER)
    return root, await certify(asked, Trust(HOUSE, root), store, SINCE, ORDER)


@pytest.mark.parametrize("algorithm", RANKS)
async def test_a_request_is_pkcs10_and_proves_its_key(store: Signing, algorithm: Algorithm) -> None:
    rank = RANKS[algorithm]
    asked = x509.load_der_x509_csr(await request(store, rank, HOUSE, ORDER))
    assert asked.is_signature_valid
    assert asked.public_key() == store.public(rank.key)
    assert asked.subject.rfc4514_string() == (
        f"CN=Example Semiconductors {rank.role} 1,O=Example Semiconductors,C=NL"
    )


async def test_a_second_implementation_verifies_the_request(store: Signing) -> None:
    asked = x509.load_der_x509_csr(await request(store, RANKS[Algorithm.MLDSA65], HOUSE, ORDER))
    public = store.public(RANKS[Algorithm.MLDSA65].key).public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert ML_DSA_65.verify(public, asked.tbs_certrequest_bytes, asked.signature)


@pytest.mark.parametrize("algorithm", RANKS)
async def test_what_the_root_answers_is_taken(store: Signing, algorithm: Algorithm) -> None:
    root, answer = await certified(store, algorithm)
    authority = take(answer, RANKS[algorithm], store, Trust(HOUSE, root))
    cert = authority.certificate
    assert cert.issuer == loaded(root, "root").subject
    assert cert.not_valid_after_utc == datetime(2048, 2, 28, 12, tzinfo=UTC)
    assert cert.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


async def test_a_certificate_under_another_root_is_refused(store: Signing, tmp_path: Path) -> None:
    _, answer = await certified(store, Algorithm.P384)
    other = tmp_path / "other"
    other.mkdir()
    trusted = await root_certificate(await keys_in(other, 4), HOUSE, SINCE, ORDER)
    with pytest.raises(ConfigError, match=r"issuing-ec\.der cannot be used: serial; extensions"):
        take(answer, RANKS[Algorithm.P384], store, Trust(HOUSE, trusted))


async def test_a_certificate_for_another_key_is_refused(store: Signing) -> None:
    root, answer = await certified(store, Algorithm.P384)
    with pytest.raises(ConfigError, match="not the certificate of this key store's ICA-PQ-1"):
        take(answer, RANKS[Algorithm.MLDSA65], store, Trust(HOUSE, root))


async def test_a_root_that_did_not_sign_itself_is_refused(store: Signing) -> None:
    root, answer = await certified(store, Algorithm.P384)
    forged = root[:-1] + bytes([root[-1] ^ 1])
    with pytest.raises(ConfigError, match="root: signature"):
        take(answer, RANKS[Algorithm.P384], store, Trust(HOUSE, forged))


async def test_an_authority_with_other_rights_is_refused(store: Signing) -> None:
    """A root that was made to let its issuing authority make further ones."""
    root, _ = await certified(store, Algorithm.P384)
    above = loaded(root, "root")
    wide = (
        x509.CertificateBuilder()
        .issuer_name(above.subject)
        .subject_name(HOUSE.name(RANKS[Algorithm.P384]))
        .public_key(store.public(RANKS[Algorithm.P384].key))
        .serial_number(1 << 158)
        .not_valid_before(SINCE)
        .not_valid_after(SINCE.replace(year=2040))
        .add_extension(x509.BasicConstraints(ca=True, path_length=3), critical=True)
        .sign(mldsa.MLDSA87PrivateKey.generate(), None)
        .tbs_certificate_bytes
    )
    signed = der.signed(wide, signature_algorithm(above.public_key()), await store.sign(ROOT, wide, ORDER))
    with pytest.raises(ConfigError, match="serial; not_after; extensions"):
        take(signed, RANKS[Algorithm.P384], store, Trust(HOUSE, root))


async def test_a_request_that_its_key_did_not_sign_is_refused(store: Signing) -> None:
    root = await root_certificate(store, HOUSE, SINCE, ORDER)
    asked = await request(store, RANKS[Algorithm.MLDSA65], HOUSE, ORDER)
    with pytest.raises(ConfigError, match="its signature is not that of its key"):
        await certify(asked[:-1] + bytes([asked[-1] ^ 1]), Trust(HOUSE, root), store, SINCE, ORDER)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
async def test_only_keys_that_authorities_have_are_certified(store: Signing, curve: ec.EllipticCurve) -> None:
    root = await root_certificate(store, HOUSE, SINCE, ORDER)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateSigningRequestBuilder(name)
    signed = builder.sign(ec.generate_private_key(curve), SHA384()).public_bytes(Encoding.DER)
    if isinstance(curve, ec.SECP384R1):
        assert await certify(signed, Trust(HOUSE, root), store, SINCE, ORDER)
        return
    with pytest.raises(ConfigError, match="secp256r1, is none of ML-DSA-65 and P-384"):
        await certify(signed, Trust(HOUSE, root), store, SINCE, ORDER)


async def test_a_request_for_an_ml_dsa_44_key_is_refused(store: Signing) -> None:
    root = await root_certificate(store, HOUSE, SINCE, ORDER)
    builder = x509.CertificateSigningRequestBuilder(HOUSE.name(RANKS[Algorithm.MLDSA65]))
    asked = builder.sign(mldsa.MLDSA44PrivateKey.generate(), None).public_bytes(Encoding.DER)
    with pytest.raises(ConfigError, match="MLDSA44PublicKey, is none of"):
        await certify(asked, Trust(HOUSE, root), store, SINCE, ORDER)


@given(st.binary(max_size=600))
def test_what_is_no_certificate_gets_one_message(content: bytes) -> None:
    with pytest.raises(ConfigError, match="root: no certificate of an authority"):
        loaded(content, "root")


async def test_the_root_revokes_an_authority(store: Signing) -> None:
    root, answer = await certified(store, Algorithm.MLDSA65)
    trusted, issuing = Anchor(loaded(root, "root")), loaded(answer, "issuing")
    entry = Revoked(issuing.serial_number.to_bytes(20), ReasonFlags.ca_compromise, int(SINCE.timestamp()))
    begins = int(SINCE.timestamp())
    draft = CrlDraft(trusted, 1, begins, begins + 365 * 86_400, (entry,))
    made = await root_list(draft, store, ORDER)
    assert lint_crl(made) == []
    found = x509.load_der_x509_crl(made)
    key = trusted.certificate.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert ML_DSA_87.verify(key, found.tbs_certlist_bytes, found.signature)
    (one,) = inspection.wrong(issuing, inspection.Trusted(trusted, (issuing,), (found,)), SINCE)
    assert one == "revoked since 2028-02-29T12:00:00Z: cACompromise"


async def test_a_list_that_another_key_signed_is_not_the_roots(store: Signing) -> None:
    root, _ = await certified(store, Algorithm.MLDSA65)
    draft = CrlDraft(Anchor(loaded(root, "root")), 1, 0, 1, ())

    class Wrong(Signing):
        def public(self, key: str) -> VerifyingKey:
            return store.public(key)

        async def sign(self, key: str, message: bytes, order: str) -> bytes:
            del key
            return await store.sign(RANKS[Algorithm.MLDSA65].key, message, order)

    with pytest.raises(ConfigError, match=r"root\.crl failed its second check: signature"):
        await root_list(draft, Wrong(), ORDER)
