"""The signed record of a sealed device: canonical JSON as JWS by two record keys (RFC 7515, RFC 9964)."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256, sha384

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from drivers.protocols.se1_objects import Identity
from station.vault.dossier import Certificate, Record
from station.vault.job import Job
from station.vault.keyring import Keyring
from station.vault.names import ISSUER_MASTER, RECORD, RECORD_EC, TRANSPORT_MASTER
from station.vault.profiles import Profile

TYPE = "hardbin-device+jws"
P384_BYTES = 48


@dataclass(frozen=True)
class Facts:
    """What the record tells beside the job."""

    identity: Identity
    certificates: tuple[Certificate, ...]
    proofs: Mapping[str, str]


async def compose(job: Job, facts: Facts, profile: Profile, store: Keyring) -> Record:
    """Write the record of a device, and have it signed by both record keys."""
    body = msgspec.json.encode(_content(job, facts, profile, store), order="sorted")
    payload = _base64(body)
    signatures = [
        await _signature("ES384", RECORD_EC, payload, store),
        await _signature("ML-DSA-65", RECORD, payload, store),
    ]
    jws = msgspec.json.encode({"payload": payload.decode(), "signatures": signatures})
    return Record(facts.identity.serial, body, sha384(body).digest(), jws)


def _content(job: Job, facts: Facts, profile: Profile, store: Keyring) -> dict[str, object]:
    kinds = profile.kinds()
    certificates = [
        {
            "issuer": cert.issuer.hex(),
            "serial": cert.serial.hex(),
            "sha256": sha256(cert.der).hexdigest(),
            "slot": cert.slot,
        }
        for cert in facts.certificates
    ]
    keys = [
        {
            "alg": kinds[cert.slot].algorithm.name,
            "origin": "on-chip",
            "slot": cert.slot,
            "spki_sha256": cert.spki_hash.hex(),
        }
        for cert in facts.certificates
    ]
    return {
        "v": 1,
        "unit": job.unit,
        "uid": facts.identity.uid.hex(),
        "serial": facts.identity.serial,
        "product": profile.product,
        "order": job.order,
        "lot": job.lot,
        "secured_at": datetime.fromtimestamp(int(job.now), UTC).isoformat(),
        "station": job.station,
        "site": job.site,
        "mode": store.mode,
        "life_cycle": "SECURED",
        "fingerprint": facts.identity.fingerprint.hex(),
        "profile": facts.identity.profile_hash.hex(),
        "keys": keys,
        "certs": certificates,
        "transport_key": TRANSPORT_MASTER,
        "issuer_key": ISSUER_MASTER,
        "proofs": dict(facts.proofs),
        "checked": "local",
        "flags": ["development keys"],
    }


async def _signature(algorithm: str, key: str, payload: bytes, store: Keyring) -> dict[str, str]:
    header = _base64(msgspec.json.encode({"alg": algorithm, "kid": key, "typ": TYPE}))
    signature = await store.sign(key, header + b"." + payload)
    if algorithm == "ES384":
        signature = _joined(signature)
    return {"protected": header.decode(), "signature": _base64(signature).decode()}


def _joined(der: bytes) -> bytes:
    """R then s, as JWS has it (RFC 7518, 3.4)."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(P384_BYTES) + s.to_bytes(P384_BYTES)


def _base64(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")
