"""Telling revocation lists from certificates: the one thing that an issuing key signs for no order."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from station.vault import der
from station.vault.signing import signature_algorithm


def is_list(body: bytes, public: bytes) -> bool:
    """Whether what a key is to sign is the body of a revocation list (RFC 5280, 5.1.2)."""
    try:
        algorithm = signature_algorithm(load_der_public_key(public))
        found = x509.load_der_x509_crl(der.signed(body, algorithm, bytes(1)))
        return found.tbs_certlist_bytes == body
    except ValueError:
        return False
