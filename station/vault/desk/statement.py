"""Signed statements: orders, approvals, releases. Signatures are over the exact bytes of the payload.

The envelope is `{"payload": base64url, "signatures": [{"kid", "alg", "sig"}]}`; the payload is a JSON object
whose `typ` says what it is, so that a signature for one thing is never one for another.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

ED25519, ML_DSA_65 = "Ed25519", "ML-DSA-65"
PERSON = frozenset({ED25519})
"""The algorithms with which a person signs."""
RELEASE = frozenset({ED25519, ML_DSA_65})
"""Those of a release: both must be there, and verify."""
ENVELOPE_MAX = 256 * 1024
SIGNATURES_MAX = 8

T = TypeVar("T", bound="Statement")


class StatementError(Exception):
    """A statement that is not believed: `malformed` `unsigned` `unknown_key` `bad_signature`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a payload holds; each kind adds its fields, and its `typ` as a literal."""

    typ: str


class Signer(Protocol):
    """Who signs, with one algorithm."""

    kid: str
    algorithm: str

    def sign(self, payload: bytes) -> bytes:
        """Sign the exact bytes."""


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature as it stands in the envelope."""

    kid: str
    alg: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent: the payload as base64url, and who signed its bytes."""

    payload: str
    signatures: tuple[Signature, ...]


class _Typed(msgspec.Struct, frozen=True):
    typ: str


Keys = Callable[[str], Mapping[str, bytes] | None]
"""The public keys of a name, by algorithm, raw; None if the name is not known."""


@dataclass(frozen=True)
class Opened:
    """An envelope that could be read; nothing of it is believed yet."""

    payload: bytes
    signatures: tuple[tuple[str, str, bytes], ...]
    """Name, algorithm, signature."""

    def read(self, kind: type[T]) -> T:
        """Return what it states; StatementError if it states something else."""
        try:
            typ = msgspec.json.decode(self.payload, type=_Typed).typ
            wanted = _typ(kind)
            if typ != wanted:
                raise StatementError("malformed", f"this is a {typ[:64]!r}, not a {wanted!r}")
            return msgspec.json.decode(self.payload, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StatementError("malformed", f"not a {_typ(kind)}: {error}") from None

    def signed_by(self, keys: Keys, policy: frozenset[str] = PERSON) -> tuple[str, ...]:
        """Return who signed, in order; StatementError unless every signature is of a known key and verifies,
        and each name has signed with all algorithms of the policy.
        """  # noqa: D205
        if not self.signatures:
            raise StatementError("unsigned", "nobody has signed it")
        used: dict[str, set[str]] = {}
        for kid, alg, signature in self.signatures:
            public = (keys(kid) or {}).get(alg)
            if public is None or alg in used.get(kid, ()):
                raise StatementError(
                    "unknown_key", f"{kid[:64]!r} has no such key, or signed twice: {alg[:32]!r}"
                )
            if not verifies(alg, public, signature, self.payload):
                raise StatementError("bad_signature", f"the {alg} signature of {kid} does not verify")
            used.setdefault(kid, set()).add(alg)
        for kid, algorithms in used.items():
            if missing := policy - algorithms:
                raise StatementError("unsigned", f"{kid} has not signed with {', '.join(sorted(missing))}")
        return tuple(used)


def signed(statement: Statement, signers: Iterable[Signer]) -> bytes:
    """Return the envelope of a statement with its signatures."""
    payload = msgspec.json.encode(statement)
    return _enveloped(payload, (), signers)


def countersigned(envelope: bytes, signers: Iterable[Signer]) -> bytes:
    """Add signatures to an envelope; its payload stays as it is, byte for byte."""
    found = _envelope(envelope)
    return _enveloped(opened(envelope).payload, found.signatures, signers)


def opened(envelope: bytes) -> Opened:
    """Read an envelope; StatementError if it is none. Nothing is verified."""
    found = _envelope(envelope)
    payload = _decoded(found.payload)
    return Opened(payload, tuple((one.kid, one.alg, _decoded(one.sig)) for one in found.signatures))


def verifies(algorithm: str, public: bytes, signature: bytes, payload: bytes) -> bool:
    """Whether a signature is that of a raw public key."""
    try:
        match algorithm:
            case "Ed25519":
                ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, payload)
            case "ML-DSA-65":
                mldsa.MLDSA65PublicKey.from_public_bytes(public).verify(signature, payload)
            case _:
                return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _typ(kind: type[Statement]) -> str:
    return str(next(one.default for one in msgspec.structs.fields(kind) if one.name == "typ"))


def _enveloped(payload: bytes, there: tuple[Signature, ...], signers: Iterable[Signer]) -> bytes:
    added = tuple(Signature(one.kid, one.algorithm, _encoded(one.sign(payload))) for one in signers)
    return msgspec.json.encode(Envelope(_encoded(payload), there + added))


def _envelope(envelope: bytes) -> Envelope:
    if len(envelope) > ENVELOPE_MAX:
        raise StatementError("malformed", f"{len(envelope)} bytes, at most {ENVELOPE_MAX} are allowed")
    try:
        found = msgspec.json.decode(envelope, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StatementError("malformed", f"not a signed statement: {error}") from None
    if len(found.signatures) > SIGNATURES_MAX:
        count = len(found.signatures)
        raise StatementError("malformed", f"{count} signatures, at most {SIGNATURES_MAX} are allowed")
    return found


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        raw = text.encode("ascii")
        content = urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise StatementError("malformed", "payload and signatures are base64url without padding") from None
    if _encoded(content) != text:
        raise StatementError("malformed", "payload and signatures are base64url without padding")
    return content
