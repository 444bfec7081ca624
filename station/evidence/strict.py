"""Decoding that knows one text for one content, so that no byte can differ and mean the same."""

from base64 import urlsafe_b64encode
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from station.errors import EvidenceError

T = TypeVar("T")
_URL = str.maketrans("-_", "+/")
_ENCODER = msgspec.json.Encoder(order="sorted")


def encoded(value: object) -> bytes:
    """Encode as JSON: names sorted, no spaces."""
    return _ENCODER.encode(value)


def decoded(data: bytes, kind: type[T]) -> T:
    """Decode JSON as `encoded` writes it; EvidenceError for anything else."""
    try:
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError(f"cannot be read: {error}") from error
    if encoded(value) != data:
        raise EvidenceError("is not canonical JSON: another order, spacing, escape, or name twice")
    return value


def lines_of(name: str, data: bytes, kind: type[T]) -> Iterator[T]:
    """Decode the lines of a file; EvidenceError names file and line."""
    lines = data.split(b"\n")
    if lines.pop():
        raise EvidenceError(f"{name}: its last line has no end")
    for number, line in enumerate(lines, 1):
        try:
            yield decoded(line, kind)
        except EvidenceError as error:
            raise EvidenceError(f"{name}: line {number}: {error}") from error


def base64(text: str) -> bytes:
    """Decode base64."""
    try:
        value = a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise EvidenceError(f"not base64: {text[:40]!r}") from error
    if b2a_base64(value, newline=False) != text.encode():
        raise EvidenceError(f"not base64 as it is written: {text[:40]!r}")
    return value


def base64url(text: str) -> bytes:
    """Decode base64url without padding, as JWS has it."""
    try:
        value = a2b_base64(text.translate(_URL) + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError as error:
        raise EvidenceError(f"not base64url: {text[:40]!r}") from error
    if unpadded(value) != text:
        raise EvidenceError(f"not base64url as it is written: {text[:40]!r}")
    return value


def unpadded(value: bytes) -> str:
    """Encode as base64url without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()
