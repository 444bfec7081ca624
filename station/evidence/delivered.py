"""What the customer gets of a lot: its manifest, one line a device, and what proves each line; in a folder.

All of it is taken out of a bundle, with the bundle's signed index, so that nothing of it can be changed. It
has no ledger: a line carries the proof that the ledger tells of its device.
"""

import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from station.custody import checkpoint, durable_file
from station.custody.checkpoint import Note
from station.errors import EvidenceError, LedgerError
from station.evidence import archive, comparison, device, head, index
from station.evidence.archive import INDEX, Archive
from station.evidence.bundle import CERTIFICATES, CHECKPOINT, ENDED, LOT, PROFILE, LotSummary
from station.evidence.device import DeviceFacts
from station.evidence.device_pool import LINE_MAX, Ground
from station.evidence.finding import Finding
from station.evidence.index import Index
from station.evidence.manifest import MANIFEST
from station.evidence.strict import decoded
from station.evidence.trust import Trust
from station.evidence.verdict import Verdict

NEEDED = (INDEX, MANIFEST, CHECKPOINT, LOT, PROFILE)
_PART = re.compile(rf"({CERTIFICATES}/[^/]+|{ENDED}/[1-9][0-9]*/checkpoint)\Z")


# -- taking it out
def taken(path: Path, out: Path) -> LotSummary:
    """Take the customer's part of a bundle into a new folder; EvidenceError. Nothing is verified."""
    with archive.opened(path) as bundle:
        names = [name for name in bundle.members if name in NEEDED or _PART.match(name)]
        summary = decoded(bundle.read(LOT), LotSummary)
        try:
            above = durable_file.make_folder(out, new=True)
            for name in names:
                _write(bundle, name, out / name)
            made = (one for one in out.rglob("*") if one.is_dir())
            durable_file.sync_all((*above, out, *made))
        except OSError as error:
            raise EvidenceError(f"{error.filename or out}: {error.strerror}") from error
    return summary


def _write(bundle: Archive, name: str, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("xb") as file:
        for chunk in bundle.chunks(name):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


# -- checking it
def verified(folder: Path, trust: Trust) -> Verdict:
    """Check a folder offline; EvidenceError if it is none, TrustError if unknown keys signed it."""
    try:
        return _judged(folder, _read(folder, INDEX), trust)
    except OSError as error:
        raise EvidenceError(f"{error.filename or folder}: {error.strerror}") from error


def _judged(folder: Path, told: bytes, trust: Trust) -> Verdict:
    try:
        signed = index.believed(told, trust.record_keys())
    except EvidenceError as error:
        return Verdict(findings=(Finding(INDEX, str(error)),))
    findings = [*_files(folder, signed, trust)]
    if findings:
        return Verdict(signed.lot, signed.mode, findings=tuple(findings))
    try:
        return _checked(folder, signed, trust)
    except (LedgerError, EvidenceError) as error:
        return Verdict(signed.lot, signed.mode, findings=(Finding(folder.name, str(error)),))


def _files(folder: Path, signed: Index, trust: Trust) -> Iterator[Finding]:
    """Say which files are not those that were signed."""
    if signed.mode != trust.mode:
        yield Finding(INDEX, f"is of mode {signed.mode}, the trust file of mode {trust.mode}")
    known = {one.name: one.sha256 for one in signed.files}
    there = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if not one.is_dir()}
    wanted = {name for name in known if name in NEEDED or _PART.match(name)} | {INDEX}
    for name in sorted(wanted - there):
        yield Finding(name, "is missing")
    for name in sorted(there - {INDEX}):
        if name not in wanted:
            yield Finding(name, "is not of a manifest")
        elif _digest(folder / name) != known[name]:
            yield Finding(name, "is not the file that was signed: its SHA-256 is another")


def _checked(folder: Path, signed: Index, trust: Trust) -> Verdict:
    note, ended = _notes(folder, signed)
    means = _ground(folder, signed, trust).means()
    summary = decoded(_read(folder, LOT), LotSummary)
    findings = [Finding(CHECKPOINT, what) for what in head.faults(note, trust)]
    for name, one in ended.items():
        findings += [Finding(name, what) for what in head.faults(one, trust)]
    findings += [Finding(file, what) for file, what in means.authorities.faults]
    devices: list[DeviceFacts] = []
    for number, line in enumerate(_lines(folder / MANIFEST), 1):
        found = device.checked(line, means)
        name = found.name or f"line {number}"
        findings += [Finding(MANIFEST, what, name) for what in found.faults]
        devices += [found.facts] if found.facts is not None else []
    findings += [*comparison.unique(devices), *_others(signed, summary, devices)]
    findings += _summary(signed, summary, devices, means.profile.product)
    return Verdict(
        lot=signed.lot,
        mode=signed.mode,
        devices=len(devices),
        leaves=note.checkpoint.size,
        signed_by=() if findings else head.signers(note, trust),
        accounts=summary.accounts,
        findings=tuple(findings),
    )


def _others(signed: Index, summary: LotSummary, devices: list[DeviceFacts]) -> Iterator[Finding]:
    for one in devices:
        if (one.lot, one.mode) != (signed.lot, signed.mode):
            yield Finding(MANIFEST, f"is of lot {one.lot} in mode {one.mode}", one.unit)
    if len(devices) != summary.sealed:
        yield Finding(MANIFEST, f"has {len(devices)} devices, the lot {summary.sealed} that were sealed")


def _summary(
    signed: Index, summary: LotSummary, devices: list[DeviceFacts], product: str
) -> Iterator[Finding]:
    """Say in what the summary is of another lot than the devices and the profile are."""
    there = {
        "lot": {signed.lot},
        "mode": {signed.mode},
        "product": {product},
        "order": {one.order for one in devices},
    }
    for name, found in there.items():
        told = getattr(summary, name)
        if others := sorted(found - {told}):
            yield Finding(LOT, f"`{name}` is {told}, and of what else is here {', '.join(others)}")


def _notes(folder: Path, signed: Index) -> tuple[Note, dict[str, Note]]:
    names = _heads(signed)
    return checkpoint.parsed(_read(folder, CHECKPOINT)), {
        name: checkpoint.parsed(_read(folder, name)) for name in names
    }


def _ground(folder: Path, signed: Index, trust: Trust) -> Ground:
    authorities = {
        one.name: _read(folder, one.name)
        for one in signed.files
        if one.name.startswith(f"{CERTIFICATES}/") and _PART.match(one.name)
    }
    ended = tuple(_read(folder, name) for name in _heads(signed))
    return Ground(trust, _read(folder, PROFILE), _read(folder, CHECKPOINT), authorities, ended)


def _heads(signed: Index) -> list[str]:
    """The checkpoints of logs that have ended."""
    return [one.name for one in signed.files if one.name.startswith(f"{ENDED}/") and _PART.match(one.name)]


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(LINE_MAX + 2):
            if len(line) > LINE_MAX + 1 or not line.endswith(b"\n"):
                raise EvidenceError(f"{MANIFEST}: a line has no end, or more than {LINE_MAX} bytes")
            yield line[:-1]


def _read(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


def _digest(path: Path) -> str:
    found = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()
