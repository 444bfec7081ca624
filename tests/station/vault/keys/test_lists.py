"""Issuing keys sign revocation lists and OCSP answers without an order, and nothing else."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from station.vault.keys.lists import about_revocation

AT = datetime(2027, 1, 1, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP384R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
NAME = x509.Name([])


def a_list() -> bytes:
    built = x509.CertificateRevocationListBuilder(NAME, AT, AT).add_extension(
        x509.CRLNumber(1), critical=False
    )
    return built.sign(KEY, SHA384()).tbs_certlist_bytes


def a_certificate() -> bytes:
    built = x509.CertificateBuilder(NAME, NAME, KEY.public_key(), 1, AT, AT)
    return built.sign(KEY, SHA384()).tbs_certificate_bytes


def test_a_list_is_one_and_a_certificate_is_none() -> None:
    assert about_revocation(a_list(), SPKI)
    assert not about_revocation(a_certificate(), SPKI)


def an_answer() -> bytes:
    certificate = x509.CertificateBuilder(NAME, NAME, KEY.public_key(), 1, AT, AT).sign(KEY, SHA384())
    builder = ocsp.OCSPResponseBuilder().add_response(
        certificate, certificate, SHA256(), ocsp.OCSPCertStatus.GOOD, AT, AT, None, None
    )
    answered = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, certificate)
    return answered.sign(KEY, SHA384()).tbs_response_bytes


def test_an_answer_is_one() -> None:
    body = an_answer()
    assert about_revocation(body, SPKI)
    assert not any(about_revocation(other, SPKI) for other in (body + b"\0", body[:-1], b"\0" + body))


@given(st.binary(max_size=200))
def test_nonsense_is_neither(body: bytes) -> None:
    assert not about_revocation(body, SPKI)


@pytest.mark.parametrize("position", range(8))
def test_a_list_of_another_version_is_none(position: int) -> None:
    body = bytearray(a_list())
    body[position] ^= 2
    assert not about_revocation(bytes(body), SPKI)


def test_a_certificate_of_version_1_is_none() -> None:
    """Without its version, a certificate begins as a list does: a number and an algorithm."""
    body = a_certificate()
    start = body.index(bytes.fromhex("a003020102"))
    inner = body[start + 5 :]
    assert not about_revocation(b"\x30\x82" + len(inner).to_bytes(2) + inner, SPKI)


def test_what_is_more_or_less_than_a_list_is_none() -> None:
    body = a_list()
    assert not any(about_revocation(other, SPKI) for other in (b"", body + b"\0", body[:-1], b"\0" + body))
