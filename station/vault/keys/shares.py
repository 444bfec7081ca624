"""Shamir's secret sharing over GF(2^8), and shares sealed under custodians' passphrases.

The field has the polynomial 11B, as AES has; a share is x, one byte, then one byte for each of the secret.
"""

import os
from collections.abc import Sequence

import msgspec

from station.vault.keys import sealing
from station.vault.keys.errors import PassphraseError
from station.vault.secret import Secret

LABEL = b"HBKS-share"


def _tables() -> tuple[bytes, bytes]:
    """Powers of the generator 03, twice over, and their logarithms."""
    powers, logs, value = bytearray(510), bytearray(256), 1
    for exponent in range(255):
        powers[exponent] = powers[exponent + 255] = value
        logs[value] = exponent
        value ^= (value << 1) ^ (0x11B if value & 0x80 else 0)
    return bytes(powers), bytes(logs)


POWERS, LOGS = _tables()


def product(a: int, b: int) -> int:
    """Multiply in the field."""
    return POWERS[LOGS[a] + LOGS[b]] if a and b else 0


def quotient(a: int, b: int) -> int:
    """Divide in the field; b is not 0."""
    return POWERS[LOGS[a] + 255 - LOGS[b]] if a else 0


def split(secret: Secret, shares: int, threshold: int) -> list[Secret]:
    """Split so that any `threshold` of the shares give the secret, and fewer tell nothing."""
    if not 1 <= threshold <= shares <= 255:
        raise ValueError(f"{threshold} of {shares} shares cannot be")
    with Secret(os.urandom(len(secret) * (threshold - 1))) as coefficients:
        drawn = memoryview(coefficients.reveal())
        rows = [memoryview(secret.reveal())]
        rows += (drawn[at : at + len(secret)] for at in range(0, len(drawn), len(secret)))
        return [_share(rows, x) for x in range(1, shares + 1)]


def _share(rows: Sequence[memoryview], x: int) -> Secret:
    """The polynomials' values at x, by Horner's rule."""
    values = bytearray([x])
    for column in range(len(rows[0])):
        value = 0
        for row in reversed(rows):
            value = product(value, x) ^ row[column]
        values.append(value)
    share = Secret(values)
    values[:] = bytes(len(values))
    return share


def combine(shares: Sequence[Secret]) -> Secret:
    """Interpolate at 0. Too few or wrong shares give another secret: the caller checks it."""
    contents = [share.reveal() for share in shares]
    xs = [content[0] for content in contents]
    if len(set(xs)) != len(xs) or 0 in xs or len({len(content) for content in contents}) != 1:
        raise ValueError("shares must differ, and be of one secret")
    weights = [_weight(xs, x) for x in xs]
    joined = Secret(bytes(len(contents[0]) - 1))
    out = joined.reveal()
    for content, weight in zip(contents, weights, strict=True):
        for column, value in enumerate(content[1:]):
            out[column] ^= product(weight, value)
    return joined


def _weight(xs: Sequence[int], x: int) -> int:
    """Lagrange's coefficient of a share at 0; in this field minus is plus."""
    weight = 1
    for other in xs:
        if other != x:
            weight = product(weight, quotient(other, other ^ x))
    return weight


class SealedShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share that a custodian's passphrase opens."""

    custodian: str
    salt: bytes
    nonce: bytes
    box: bytes


def seal(share: Secret, custodian: str, passphrase: bytearray, store: bytes) -> SealedShare:
    """Seal a share for a custodian of a store."""
    box = sealing.seal(share, passphrase, _bound(store, custodian))
    return SealedShare(custodian, box.salt, box.nonce, box.box)


def unseal(sealed: SealedShare, passphrase: bytearray, store: bytes) -> Secret:
    """Open a share; PassphraseError if that is not its passphrase, or the share was changed."""
    box = sealing.Box(sealed.salt, sealed.nonce, sealed.box)
    try:
        return sealing.unseal(box, passphrase, _bound(store, sealed.custodian))
    except PassphraseError:
        raise PassphraseError(f"this passphrase does not open the share of {sealed.custodian}") from None


def _bound(store: bytes, custodian: str) -> bytes:
    return LABEL + store + custodian.encode()
