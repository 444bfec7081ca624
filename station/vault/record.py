"""The signed record of a sealed device: canonical JSON as JWS by two record keys (RFC 7515, RFC 9964)."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256, sha384

import msgspec

from drivers.protocols.se1_objects import Identity
from station.vault.dossier import Certificate, Record
from station.vault.job import Job
from station.vault.keystore import MASTER, RECORD, RECORD_EC, TRANSPORT_MASTER, KeyStore
from station.vault.profiles import Profile

TYPE = "hardbin-device+jws"


@dataclass(frozen=True)
class Facts:
    """What the record tells beside the job."""

    identity: Identity
    certificates: tuple[Certificate, ...]
    proofs: Mapping[str, str]


def compose(job: Job, facts: Facts, profile: Profile, store: KeyStore) -> Record:
    """Write and sign the record of a device."""
    body = msgspec.json.encode(_content(job, facts, profile, store), order="sorted")
    payload = _base64(body)
    signatures = [
        _signature("ES384", RECORD_EC, payload, store.sign_record_ec),
        _signature("ML-DSA-65", RECORD, payload, store.sign_record),
    ]
    jws = msgspec.json.encode({"payload": payload.decode(), "signatures": signatures})
    return Record(facts.identity.serial, body, sha384(body).digest(), jws)


def _content(job: Job, facts: Facts, profile: Profile, store: KeyStore) -> dict[str, object]:
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
        "issuer_key": MASTER,
        "proofs": dict(facts.proofs),
        "checked": "local",
        "flags": ["development keys"],
    }


def _signature(
    algorithm: str, key: str, payload: bytes, sign: Callable[[bytes, bytes], bytes]
) -> dict[str, str]:
    header = _base64(msgspec.json.encode({"alg": algorithm, "kid": key, "typ": TYPE}))
    return {"protected": header.decode(), "signature": _base64(sign(header, payload)).decode()}


def _base64(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")
