"""Checking a bundle offline: nothing is believed but what the trust file names."""

from dataclasses import dataclass, field
from pathlib import Path

from station.custody import audit, checkpoint
from station.custody.audit_files import Files
from station.custody.checkpoint import Note
from station.custody.tiles import TILES, tile_of
from station.errors import CustodyError, EvidenceError, LedgerError
from station.evidence import archive, comparison, device_pool, head, index
from station.evidence.archive import INDEX, Archive
from station.evidence.bundle import CERTIFICATES, CHECKPOINT, LEDGER, NEEDED, PROFILE
from station.evidence.device import DeviceFacts
from station.evidence.device_pool import Ground
from station.evidence.finding import Finding
from station.evidence.history import LotHistory, history_of
from station.evidence.index import Index
from station.evidence.manifest import MANIFEST
from station.evidence.trust import Trust
from station.evidence.verdict import Verdict

DETAILED = frozenset({MANIFEST})


def verified(path: Path, trust: Trust, *, workers: int | None = None) -> Verdict:
    """Check a bundle; EvidenceError if it cannot be read as one, TrustError if unknown keys signed it."""
    with archive.opened(path) as bundle:
        return _Verification(path, bundle, trust, workers).run()


@dataclass
class _Verification:
    path: Path
    bundle: Archive
    trust: Trust
    workers: int | None
    findings: list[Finding] = field(default_factory=list)
    later: list[Finding] = field(default_factory=list)
    """That a file is not the one that was signed, if a closer look may tell what is wrong with it."""
    notices: list[str] = field(default_factory=list)
    devices: list[DeviceFacts] = field(default_factory=list)

    def run(self) -> Verdict:
        try:
            signed = index.read(self.bundle, self.trust.record_keys())
        except EvidenceError as error:
            self._find(INDEX, str(error))
            return Verdict(findings=tuple(self.findings))
        if not self._complete(signed):
            return Verdict(signed.lot, signed.mode, findings=tuple(self.findings))
        note = self._ledger()
        if note is None:
            return Verdict(signed.lot, signed.mode, findings=tuple(self.findings))
        history = history_of(self._files(), note.checkpoint.size, signed.lot)
        self._devices()
        self.findings += self.later
        self._compare(signed, history)
        return self._verdict(signed, note, history)

    def _verdict(self, signed: Index, note: Note, history: LotHistory) -> Verdict:
        return Verdict(
            lot=signed.lot,
            mode=signed.mode,
            devices=len(self.devices),
            leaves=note.checkpoint.size,
            signed_by=() if any(head.faults(note, self.trust)) else head.signers(note, self.trust),
            accounts=dict(history.counts()),
            findings=tuple(self.findings),
            notices=tuple(self.notices),
        )

    def _find(self, file: str, what: str, device: str = "") -> None:
        self.findings.append(Finding(file, what, device))

    def _complete(self, signed: Index) -> bool:
        """Whether all that is needed is there; what is there must be what was signed."""
        for one in index.differences(self.bundle, signed):
            (self.later if one.file in DETAILED else self.findings).append(one)
        if signed.mode != self.trust.mode:
            self._find(INDEX, f"is of mode {signed.mode}, the trust file of mode {self.trust.mode}")
        missing = [name for name in (*NEEDED, MANIFEST) if name not in self.bundle.members]
        self.findings += [Finding(name, "is missing") for name in missing]
        return not missing

    # -- the ledger
    def _ledger(self) -> Note | None:
        raw = self.bundle.read(CHECKPOINT)
        if raw != self.bundle.read(f"{LEDGER}/checkpoint"):
            self._find(CHECKPOINT, "is not the checkpoint of the ledger")
        try:
            note = checkpoint.parsed(raw)
        except LedgerError as error:
            self._find(CHECKPOINT, str(error))
            return None
        self.findings += [Finding(CHECKPOINT, what) for what in head.faults(note, self.trust)]
        report = audit.audited_files(raw, self._files(), audit.Trust(()))
        self.findings += [Finding(f"{LEDGER}/{one.file}", one.what) for one in report.findings]
        return note

    def _files(self) -> Files:
        tiles, strange = {}, []
        for name, member in self.bundle.below(f"{LEDGER}/{TILES}").items():
            tile = tile_of(name)
            if tile is None:
                strange.append(f"{TILES}/{name}")
            else:
                tiles[tile] = self.bundle.part(member.start, member.size)
        return Files(dict(sorted(tiles.items())), tuple(strange))

    # -- devices
    def _devices(self) -> None:
        bundle = self.bundle
        authorities = {
            f"{CERTIFICATES}/{name}": bundle.part(member.start, member.size)
            for name, member in bundle.below(CERTIFICATES).items()
        }
        ground = Ground(self.trust, bundle.read(PROFILE), bundle.read(CHECKPOINT), authorities)
        try:
            for file, what in ground.means().authorities.faults:
                self._find(file, what)
            for number, found in enumerate(device_pool.checked(self.path, bundle, ground, self.workers), 1):
                name = found.name or f"line {number}"
                self.findings += [Finding(MANIFEST, what, name) for what in found.faults]
                self.devices += [found.facts] if found.facts is not None else []
        except CustodyError as error:
            self._find(MANIFEST, str(error))

    def _compare(self, signed: Index, history: LotHistory) -> None:
        """Compare what the parts say of each other."""
        try:
            told = comparison.Told.read(self.bundle)
            self.findings += comparison.differences(signed, history, self.devices, told)
        except EvidenceError as error:
            self._find("", str(error))
