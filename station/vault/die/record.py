"""The signed record of a sealed device: canonical JSON as JWS by two record keys (RFC 7515, RFC 9964)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256, sha384

import msgspec

from drivers.protocols.se1_objects import Identity
from station.evidence.manifest import RECORD_TYPE
from station.vault.die import jws
from station.vault.die.contents import customer_container
from station.vault.die.dossier import Certificate, Record
from station.vault.die.job import Job
from station.vault.keyring import Keyring
from station.vault.keys.words import Mode
from station.vault.profiles import Profile


@dataclass(frozen=True)
class Facts:
    """What the record tells beside the job."""

    identity: Identity
    certificates: tuple[Certificate, ...]
    proofs: Mapping[str, str]
    checked: str
    """Who has checked that its UID, keys and numbers are unique: `local` or `site`."""


async def compose(job: Job, facts: Facts, profile: Profile, store: Keyring) -> Record:
    """Write the record of a device, and have it signed by both record keys."""
    body = msgspec.json.encode(_content(job, facts, profile, store), order="sorted")
    signed = msgspec.json.encode(await jws.signed(body, RECORD_TYPE, store))
    return Record(facts.identity.serial, body, sha384(body).digest(), signed)


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
            "origin": "imported" if cert.slot in job.imported else "on-chip",
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
        "transport_key": store.master("TM", profile.product),
        "issuer_key": store.master("IM", profile.product),
        "proofs": dict(facts.proofs),
        "checked": facts.checked,
        "flags": [] if store.mode == Mode.PRODUCTION else ["development keys"],
    } | _customer(job)


def _customer(job: Job) -> dict[str, object]:
    """The hash of the customer's container, if his order names data."""
    container = customer_container(job.customer_data)
    return {"customer_sha384": sha384(container).hexdigest()} if container else {}
