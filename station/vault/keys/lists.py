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


def about_revocation(body: bytes, public: bytes) -> bool:
    """Whether what a key is to sign is a revocation list (RFC 5280, 5.1.2) or an OCSP answer (RFC 6960)."""
    try:
        algorithm = signature_algorithm(load_der_public_key(public))
    except UNREADABLE:
        return False
    return _is_list(body, algorithm) or _is_answer(body, algorithm)


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
