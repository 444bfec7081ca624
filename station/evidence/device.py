"""Checking one device by itself: record, certificates, and its leaf in the ledger."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec
from msgspec import Struct

from station.custody.checkpoint import Checkpoint
from station.custody.ledger import Entry
from station.custody.ledger import decoded as entry_decoded
from station.custody.merkle import included, leaf_hash
from station.errors import EvidenceError, LedgerError, TrustError
from station.evidence.certificates import UNREADABLE, Authorities
from station.evidence.jws import RecordKeys
from station.evidence.manifest import (
    RECORD_TYPE,
    DeviceLine,
    Record,
    RecordedCertificate,
    RecordedKey,
    SealedData,
    record_hash,
)
from station.evidence.strict import base64
from station.vault.profiles import Profile

_LINES = msgspec.json.Decoder(DeviceLine)


class DeviceFacts(Struct, frozen=True):
    """What must be compared with other devices, and with the ledger."""

    unit: str
    uid: str
    serial: str
    lot: str
    order: str
    mode: str
    station: str
    fingerprint: str
    profile: str
    secured_at: str
    leaf: int
    record: str
    """SHA-384 of the record's bytes."""
    keys: tuple[str, ...]
    """SHA-256 of each SubjectPublicKeyInfo."""
    certificates: tuple[tuple[str, str, str], ...]
    """Issuer, serial number, and SHA-256 of each."""
    log: str = ""
    """The log that has the leaf; the empty text for the last one."""


@dataclass(frozen=True)
class Means:
    """What a device is checked by."""

    records: RecordKeys
    authorities: Authorities
    profile: Profile
    profile_hash: str
    """Of the profile as it lies in the bundle; a later version may write the same one otherwise."""
    checkpoint: Checkpoint
    ended: Mapping[str, Checkpoint] = field(default_factory=dict)
    """Final checkpoints of logs that have ended, by their origins."""

    def head(self, origin: str) -> Checkpoint | None:
        """The checkpoint over a device's leaf; None if its log is not known."""
        return self.checkpoint if origin in ("", self.checkpoint.origin) else self.ended.get(origin)


@dataclass
class CheckedDevice:
    """What was found of one line; `facts` is None if its record could not be believed."""

    name: str
    facts: DeviceFacts | None
    faults: list[str]


def checked(line: bytes, means: Means) -> CheckedDevice:
    """Check a line of the manifest; its spelling is the index's matter."""
    try:
        device = _LINES.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return CheckedDevice("", None, [f"cannot be read: {error}"])
    return checked_device(device, means)


def checked_device(device: DeviceLine, means: Means) -> CheckedDevice:
    """Check a device."""
    try:
        payload = means.records.payload(device.jws, RECORD_TYPE)
        record = msgspec.json.decode(payload, type=Record)
    except (EvidenceError, TrustError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return CheckedDevice(_claimed(device), None, [f"its record {error}"])
    digest = record_hash(payload)
    facts = DeviceFacts(
        record.unit,
        record.uid,
        record.serial,
        record.lot,
        record.order,
        record.mode,
        record.station,
        record.fingerprint,
        record.profile,
        record.secured_at,
        device.log.index,
        digest,
        tuple(key.spki_sha256 for key in record.keys),
        tuple((cert.issuer, cert.serial, cert.sha256) for cert in record.certs),
        device.log.origin,
    )
    faults = [*_record(record, means), *_certificates(device, record, means), *_leaf(device, facts, means)]
    return CheckedDevice(record.unit, facts, faults)


def _claimed(device: DeviceLine) -> str:
    """The unit that the leaf names, for want of a better."""
    try:
        return entry_decoded(device.log.entry.encode()).unit or ""
    except (LedgerError, UnicodeEncodeError):
        return ""


def _record(record: Record, means: Means) -> Iterator[str]:
    if record.life_cycle != "SECURED":
        yield f"its record says {record.life_cycle}, not SECURED"
    if record.profile != means.profile_hash:
        yield "its record names another profile"
    if record.product != means.profile.product:
        yield f"its record is of product {record.product}, not {means.profile.product}"
    slots = [*means.profile.kinds()]
    if [key.slot for key in record.keys] != slots or [cert.slot for cert in record.certs] != slots:
        yield f"its record has other slots than the profile's {', '.join(map(str, slots))}"


def _certificates(device: DeviceLine, record: Record, means: Means) -> Iterator[str]:
    if len(device.certs) != len(record.certs) or len(record.keys) != len(record.certs):
        yield f"{len(device.certs)} certificates for {len(record.certs)} in its record"
        return
    for text, told, key in zip(device.certs, record.certs, record.keys, strict=True):
        try:
            yield from _certificate(base64(text), (told, key), record.uid, means)
        except UNREADABLE as error:
            yield f"slot {told.slot}: the certificate cannot be read: {error}"


def _certificate(
    der: bytes, told: tuple[RecordedCertificate, RecordedKey], uid: str, means: Means
) -> Iterator[str]:
    cert, key = told
    if sha256(der).hexdigest() != cert.sha256:
        yield f"slot {cert.slot}: the certificate is not the one of its record"
        return
    found = means.authorities.judged(cert.slot, bytes.fromhex(uid), der, means.profile)
    if found.spki_sha256 != key.spki_sha256:
        yield f"slot {cert.slot}: the certificate is for another key than its record has"
    if (found.issuer, found.serial) != (cert.issuer, cert.serial):
        yield f"slot {cert.slot}: the certificate has another issuer or number than its record says"
    yield from found.faults


def _leaf(device: DeviceLine, facts: DeviceFacts, means: Means) -> Iterator[str]:
    log, head = device.log, means.head(device.log.origin)
    if head is None:
        yield f"its leaf is in log {log.origin}, whose checkpoint is not here"
        return
    try:
        encoded = log.entry.encode()
        entry = entry_decoded(encoded)
        proof = [base64(text) for text in log.proof]
    except (LedgerError, EvidenceError, UnicodeEncodeError) as error:
        yield f"its leaf cannot be read: {error}"
        return
    if not included(leaf_hash(encoded), log.index, head.size, proof, head.root):
        yield f"its leaf {log.index} is not in the ledger that the checkpoint stands for"
    yield from _told(entry, facts)


def _told(entry: Entry, facts: DeviceFacts) -> Iterator[str]:
    try:
        data = msgspec.convert(entry.data, SealedData)
        uid_h = sha256(bytes.fromhex(facts.uid)).hexdigest()
    except (msgspec.ValidationError, ValueError) as error:
        yield f"its leaf {entry.seq} does not tell of a sealed device: {error}"
        return
    wanted = {
        "event": (entry.event, "die.sealed"),
        "source": (entry.src, "vault"),
        "unit": (entry.unit, facts.unit),
        "lot": (entry.lot, facts.lot),
        "order": (entry.order or "", facts.order),
        "UID": (entry.uid_h, uid_h),
        "serial": (data.serial, facts.serial),
        "record": (data.record, facts.record),
        "place": (entry.seq, facts.leaf),
    }
    for name, (found, expected) in wanted.items():
        if found != expected:
            yield f"its leaf {facts.leaf} tells of another {name} than its record"
