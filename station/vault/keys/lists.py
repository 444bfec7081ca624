"""Telling what is said of certificates from certificates: all that an issuing key signs for no order."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import ocsp
from cryptography.x509.oid import ObjectIdentifier

from station.vault.pki import der
from station.vault.pki.chains import UNREADABLE
from station.vault.pki.ocsp import assembled
from station.vault.pki.signing import signature_algorithm

NO_SIGNATURE = bytes(1)
LONG = 0x80
"""The bit of a length's first byte that says that the length follows (X.690, 8.1.3.5)."""
V3 = bytes.fromhex("a003020102")
"""How the body of a certificate goes on after its length; neither list nor answer does (RFC 5280, 4.1)."""


def about_revocation(body: bytes, public: bytes) -> bool:
    """Whether what a key is to sign is a revocation list (RFC 5280, 5.1.2) or an OCSP answer (RFC 6960)."""
    if _of_certificate(body):
        return False
    try:
        algorithm = signature_algorithm(load_der_public_key(public))
    except UNREADABLE:
        return False
    return _is_list(body, algorithm) or _is_answer(body, algorithm)


def _of_certificate(body: bytes) -> bool:
    """Whether it begins as the body of a certificate, which it is then taken for: it needs an order."""
    length = body[1:2]
    begins = 2 + (length[0] & ~LONG if length and length[0] & LONG else 0)
    return body[begins : begins + len(V3)] == V3


def _is_list(body: bytes, algorithm: ObjectIdentifier) -> bool:
    try:
        found = x509.load_der_x509_crl(der.signed(body, algorithm, NO_SIGNATURE))
    except UNREADABLE:
        return False
    return found.tbs_certlist_bytes == body


def _is_answer(body: bytes, algorithm: ObjectIdentifier) -> bool:
    try:
        found = ocsp.load_der_ocsp_response(assembled(body, algorithm, NO_SIGNATURE))
        return found.tbs_response_bytes == body
    except UNREADABLE:
        return False
