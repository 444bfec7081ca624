"""What the record keys sign: records of devices, and the index of a bundle of evidence."""

from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from station.evidence.jws import HALF, Algorithm, Jws, RecordKey, unsigned
from station.evidence.strict import unpadded
from station.vault.keyring import Keyring
from station.vault.names import RECORD, RECORD_EC
from station.vault.pki.signing import spki

KEYS: tuple[tuple[Algorithm, str], ...] = (("ES384", RECORD_EC), ("ML-DSA-65", RECORD))


async def signed(payload: bytes, typ: str, keys: Keyring) -> Jws:
    """Have a payload signed by both record keys."""
    asked = [(unsigned(payload, typ, alg, kid), alg, kid) for alg, kid in KEYS]
    signatures = await keys.sign_all([(kid, one.message) for one, _, kid in asked])
    made = (
        one.signed(_joined(signature) if alg == "ES384" else signature)
        for (one, alg, _), signature in zip(asked, signatures, strict=True)
    )
    return Jws(unpadded(payload), tuple(made))


def record_keys(keys: Keyring) -> tuple[RecordKey, ...]:
    """The public halves, as a trust file has them."""
    return tuple(RecordKey(kid, alg, b64encode(spki(keys.public(kid))).decode()) for alg, kid in KEYS)


def _joined(der: bytes) -> bytes:
    """R then s, as JWS has it (RFC 7518, 3.4)."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(HALF) + s.to_bytes(HALF)
