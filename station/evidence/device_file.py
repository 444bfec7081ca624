"""One device taken out of a bundle, in a file that proves it alone and offline."""

from base64 import b64encode
from pathlib import Path

import msgspec

from station.custody import checkpoint
from station.errors import EvidenceError, LedgerError
from station.evidence import device, device_pool, head, ledgers
from station.evidence.archive import Archive, opened
from station.evidence.bundle import CERTIFICATES, PROFILE
from station.evidence.device_pool import Ground
from station.evidence.finding import Finding
from station.evidence.manifest import DeviceFile, DeviceLine, Record
from station.evidence.strict import base64, base64url, decoded, encoded
from station.evidence.trust import Trust
from station.evidence.verdict import Verdict

FILE_MAX = 4 << 20


# -- taking one out
def extracted(path: Path, wanted: str) -> bytes:
    """Return the file of the device of this unit, serial number or UID; EvidenceError if there is none.

    Nothing is verified here: whoever gets the file does that.
    """
    with opened(path) as bundle:
        for span in device_pool.spans_of(bundle):
            for line in device_pool.lines_of(bundle, span):
                found = decoded(line, DeviceLine)
                if wanted in _names(found):
                    return encoded(_file(bundle, found)) + b"\n"
    raise EvidenceError(f"{path}: no sealed device has {wanted!r} as unit, serial number or UID")


def _names(found: DeviceLine) -> set[str]:
    try:
        record = msgspec.json.decode(base64url(found.jws.payload), type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvidenceError(f"a record cannot be read: {error}") from error
    return {record.unit, record.serial, record.uid}


def _file(bundle: Archive, found: DeviceLine) -> DeviceFile:
    authorities = [bundle.part(member.start, member.size) for member in bundle.below(CERTIFICATES).values()]
    return DeviceFile(
        v=1,
        device=found,
        authorities=tuple(b64encode(der).decode() for der in authorities),
        profile=bundle.read(PROFILE).decode(errors="replace"),
        checkpoint=_head(bundle, found.log.origin).decode(errors="replace"),
    )


def _head(bundle: Archive, origin: str) -> bytes:
    """The checkpoint of the log that has the device's leaf."""
    heads = ledgers.heads(bundle)
    return next((data for data in heads if origin and data.startswith(f"{origin}\n".encode())), heads[-1])


# -- checking it
def verified(path: Path, trust: Trust) -> Verdict:
    """Check a device's file; EvidenceError if it is none."""
    found = _read(path)
    name = path.name
    try:
        note = checkpoint.parsed(found.checkpoint.encode())
        authorities = {f"authority {n}": base64(text) for n, text in enumerate(found.authorities, 1)}
        means = Ground(trust, found.profile.encode(), found.checkpoint.encode(), authorities).means()
    except (EvidenceError, LedgerError) as error:
        return Verdict(findings=(Finding(name, str(error)),))
    findings = [Finding(name, f"the checkpoint {what}") for what in head.faults(note, trust)]
    findings += [Finding(name, f"{file} {what}") for file, what in means.authorities.faults]
    checked = device.checked_device(found.device, means)
    findings += [Finding(name, what, checked.name) for what in checked.faults]
    facts = checked.facts
    if facts is not None and facts.mode != trust.mode:
        findings.append(Finding(name, f"is of mode {facts.mode}, the trust file of {trust.mode}", facts.unit))
    return Verdict(
        lot="" if facts is None else facts.lot,
        mode="" if facts is None else facts.mode,
        devices=0 if facts is None else 1,
        leaves=note.checkpoint.size,
        signed_by=() if findings else head.signers(note, trust),
        findings=tuple(findings),
    )


def _read(path: Path) -> DeviceFile:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    if len(data) > FILE_MAX or not data.endswith(b"\n"):
        raise EvidenceError(f"{path}: not the file of a device: too long, or without its last line feed")
    try:
        return decoded(data[:-1], DeviceFile)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: not the file of a device: {error}") from error
