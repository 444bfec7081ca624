"""What a store says of itself, signed by its own keys; its `sign` signs nothing that begins so."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from station.vault.keys.header import Header
from station.vault.keys.words import REGISTER, Algorithm, Entry

NAMES = {Algorithm.P384: "ES384"}
"""JOSE's, where it is not ours."""
HALF = 48
REQUEST_VERSION, NO_ATTRIBUTES = b"\x02\x01\x00", b"\xa0\x00"
SEQUENCE = 0x30
LONG = 0x80

Sign = Callable[[str, bytes], bytes]


def register(
    header: Header, entries: Iterable[Entry], signers: Iterable[Entry], sign: Sign, now: float
) -> bytes:
    """The register as an envelope `{payload, signatures}`; signatures are over the payload's exact bytes."""
    said = {
        "typ": REGISTER,
        "store": header.store.hex(),
        "before": header.before.hex(),
        "mode": header.mode.value,
        "back end": header.backend,
        "generation": header.generation,
        "at": int(now),
        "custodians": [share.custodian for share in header.shares],
        "threshold": header.threshold,
        "keys": msgspec.to_builtins([*entries]),
    }
    payload = msgspec.json.encode(said)
    signatures = [
        {
            "kid": entry.id,
            "alg": NAMES.get(entry.profile.algorithm, entry.profile.algorithm.value),
            "sig": _text(_joined(entry, sign(entry.id, payload))),
        }
        for entry in signers
    ]
    return msgspec.json.encode({"payload": _text(payload), "signatures": signatures})


def _joined(entry: Entry, signature: bytes) -> bytes:
    """ECDSA as JOSE has it: both numbers, 48 bytes each."""
    if entry.profile.algorithm is not Algorithm.P384:
        return signature
    return b"".join(number.to_bytes(HALF) for number in decode_dss_signature(signature))


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def requests(info: bytes, public: bytes) -> bool:
    """Whether these bytes are the body of a PKCS #10 request (RFC 2986) for just this key, and nothing else.

    SEQUENCE of version 0, a name, the key's SubjectPublicKeyInfo, and no attributes: no certificate can be
    read from such bytes.
    """
    body = _content(info)
    tail = public + NO_ATTRIBUTES
    if not body.startswith(REQUEST_VERSION) or not body.endswith(tail):
        return False
    name = body[len(REQUEST_VERSION) : -len(tail)]
    return bool(name) and len(_content(name)) > 0


def _content(der: bytes) -> bytes:
    """The content of one SEQUENCE that is all there is, in DER; empty if it is not that."""
    if len(der) < 2 or der[0] != SEQUENCE:  # noqa: PLR2004 - tag and length
        return b""
    size = der[1] - LONG if der[1] >= LONG else 0
    content = der[2 + size :]
    return content if der[1 : 2 + size] == _length(len(content)) else b""


def _length(length: int) -> bytes:
    if length < LONG:
        return bytes([length])
    size = (length.bit_length() + 7) // 8
    return bytes([LONG + size]) + length.to_bytes(size)
