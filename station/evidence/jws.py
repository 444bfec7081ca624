"""Signed content: JWS in its general form, by two keys of two kinds (RFC 7515, RFC 7518, RFC 9964).

Whoever breaks one kind of signature has broken neither the bundle nor a record: both must verify.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Struct

from station.errors import EvidenceError, TrustError
from station.evidence.strict import base64, base64url, decoded, encoded, unpadded

Algorithm: TypeAlias = Literal["ES384", "ML-DSA-65"]
ALGORITHMS: tuple[Algorithm, ...] = ("ES384", "ML-DSA-65")
"""Both must have signed."""
HALF = 48
"""Bytes of r, and of s."""
Public: TypeAlias = ec.EllipticCurvePublicKey | MLDSA65PublicKey


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """What a signature says of itself, and covers."""

    alg: Algorithm
    kid: str
    typ: str


class Signature(Struct, frozen=True, forbid_unknown_fields=True):
    """One signature and its header, in base64url."""

    protected: str
    signature: str


class Jws(Struct, frozen=True, forbid_unknown_fields=True):
    """A payload, in base64url, and who signed it."""

    payload: str
    signatures: tuple[Signature, ...]


class RecordKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A public key of those that sign records and bundles; `public` is its SubjectPublicKeyInfo in base64."""

    kid: str
    alg: Algorithm
    public: str


@dataclass(frozen=True)
class Unsigned:
    """A signature that is still to be made."""

    alg: Algorithm
    kid: str
    protected: str
    message: bytes
    """What is to be signed: ES384 as r ‖ s, or pure ML-DSA-65."""

    def signed(self, signature: bytes) -> Signature:
        """Return the finished signature."""
        return Signature(self.protected, unpadded(signature))


def unsigned(payload: bytes, typ: str, alg: Algorithm, kid: str) -> Unsigned:
    """Say what a key must sign of a payload."""
    protected = unpadded(encoded(Header(alg, kid, typ)))
    return Unsigned(alg, kid, protected, f"{protected}.{unpadded(payload)}".encode())


class RecordKeys:
    """The keys that are believed, by name."""

    def __init__(self, keys: Sequence[RecordKey]) -> None:
        """TrustError if one of them is not a key of its algorithm."""
        self._keys: Mapping[tuple[str, str], Public] = {(key.alg, key.kid): _public(key) for key in keys}

    def payload(self, jws: Jws, typ: str) -> bytes:
        """Return what was signed, if one key of each kind signed it; EvidenceError, TrustError."""
        headers = [_header(one.protected) for one in jws.signatures]
        kinds = sorted(header.alg for header in headers)
        if kinds != sorted(ALGORITHMS):
            raise EvidenceError(
                f"is signed by {', '.join(kinds) or 'nobody'}, not by {', '.join(ALGORITHMS)}"
            )
        for header, one in zip(headers, jws.signatures, strict=True):
            if header.typ != typ:
                raise EvidenceError(f"is signed as {header.typ[:40]!r}, not as {typ!r}")
            self._verify(header, one, jws.payload)
        return base64url(jws.payload)

    def _verify(self, header: Header, one: Signature, payload: str) -> None:
        signature = base64url(one.signature)
        self.check(header.alg, header.kid, signature, f"{one.protected}.{payload}".encode())

    def check(self, algorithm: str, name: str, signature: bytes, message: bytes) -> None:
        """Return if a key of this name signed these bytes; EvidenceError, TrustError."""
        key = self._keys.get((algorithm, name))
        if key is None:
            raise TrustError(f"is signed by {algorithm} key {name[:40]!r}, which is not trusted")
        if not _verifies(key, signature, message):
            raise EvidenceError(f"the {algorithm} signature of {name} does not verify")


@lru_cache(maxsize=64)
def _header(protected: str) -> Header:
    return decoded(base64url(protected), Header)


def _verifies(key: Public, signature: bytes, message: bytes) -> bool:
    try:
        if isinstance(key, MLDSA65PublicKey):
            key.verify(signature, message)
        elif len(signature) == 2 * HALF:
            r, s = int.from_bytes(signature[:HALF]), int.from_bytes(signature[HALF:])
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _public(key: RecordKey) -> Public:
    try:
        found = load_der_public_key(base64(key.public))
    except (EvidenceError, ValueError) as error:
        raise TrustError(f"record key {key.kid}: not a public key: {error}") from error
    match key.alg, found:
        case "ML-DSA-65", MLDSA65PublicKey():
            return found
        case "ES384", ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            return found
        case _:
            raise TrustError(f"record key {key.kid}: is no key for {key.alg}")
