"""Checking a bundle offline: nothing is believed but what the trust file names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from station.custody import checkpoint
from station.custody.checkpoint import Note
from station.custody.tiles import TILES
from station.errors import CustodyError, EvidenceError, LedgerError, TrustError
from station.evidence import archive, comparison, device_pool, head, index, ledgers, register, revocations
from station.evidence.archive import INDEX, Archive
from station.evidence.bundle import CERTIFICATES, CHECKPOINT, CRLS, ENDED, LEDGER, NEEDED, PROFILE
from station.evidence.device import CheckedDevice, DeviceFacts, Means
from station.evidence.device_pool import Ground
from station.evidence.dual_control import DualControl
from station.evidence.finding import Finding
from station.evidence.history import LotHistory, histories_of
from station.evidence.index import Index
from station.evidence.ledgers import BundledLog
from station.evidence.manifest import MANIFEST
from station.evidence.order_history import OrderHistory
from station.evidence.trust import Trust
from station.evidence.verdict import Verdict

DETAILED = (MANIFEST, f"{LEDGER}/{TILES}/", f"{ENDED}/")
"""Files of which a closer look tells what is wrong; that they are not what was signed comes after it."""


def verified(path: Path, trust: Trust, *, older: Sequence[Note] = (), workers: int | None = None) -> Verdict:
    """Check a bundle; EvidenceError if it cannot be read as one, TrustError if unknown keys signed it.

    `older` are checkpoints from before: the ledger must begin with what they covered.
    """
    with archive.opened(path) as bundle:
        return _Verification(path, bundle, trust, workers, older).run()


@dataclass
class _Verification:
    path: Path
    bundle: Archive
    trust: Trust
    workers: int | None
    older: Sequence[Note] = ()
    signed: Index = Index(1, "", "", "", 0, ())
    history: LotHistory = field(default_factory=lambda: LotHistory(""))
    orders: OrderHistory = field(default_factory=OrderHistory)
    findings: list[Finding] = field(default_factory=list)
    later: list[Finding] = field(default_factory=list)
    """That a file is not the one that was signed, if a closer look may tell what is wrong with it."""
    notices: list[str] = field(default_factory=list)
    devices: list[DeviceFacts] = field(default_factory=list)

    def run(self) -> Verdict:
        try:
            signed = index.read(self.bundle, self.trust.record_keys())
        except EvidenceError as error:
            if stranger := register.stranger(self.bundle, self.trust):
                raise TrustError(f"{INDEX}: {error}: {stranger}") from error
            self._find(INDEX, str(error))
            return Verdict(findings=tuple(self.findings))
        self.signed = signed
        if not self._complete(signed):
            return Verdict(signed.lot, signed.mode, findings=tuple(self.findings))
        note = self._note()
        if note is None:
            return Verdict(signed.lot, signed.mode, findings=tuple(self.findings))
        try:
            self._parts(note)
        except CustodyError as error:
            file, _, what = str(error).partition(": ")
            self._find(*((file, what) if file in self.bundle.members else (self.path.name, str(error))))
        return self._verdict(signed, note)

    def _verdict(self, signed: Index, note: Note) -> Verdict:
        return Verdict(
            lot=signed.lot,
            mode=signed.mode,
            devices=len(self.devices),
            leaves=note.checkpoint.size,
            signed_by=() if any(head.faults(note, self.trust)) else head.signers(note, self.trust),
            accounts=dict(self.history.counts()),
            findings=tuple(self.findings),
            notices=tuple(self.notices),
        )

    def _find(self, file: str, what: str, device: str = "") -> None:
        self.findings.append(Finding(file, what, device))

    def _complete(self, signed: Index) -> bool:
        """Whether all that is needed is there."""
        if signed.mode != self.trust.mode:
            self._find(INDEX, f"is of mode {signed.mode}, the trust file of mode {self.trust.mode}")
        missing = [name for name in (*NEEDED, MANIFEST) if name not in self.bundle.members]
        self.findings += [Finding(name, "is missing") for name in missing]
        return not missing

    def _parts(self, note: Note) -> None:
        """Check ledger, devices and papers; other processes check devices while this one reads the ledger."""
        bundle = self.bundle
        authorities = {f"{CERTIFICATES}/{name}": der for name, der in bundle.contents(CERTIFICATES).items()}
        *ended, _ = ledgers.heads(bundle)
        read = bundle.read(PROFILE), bundle.read(CHECKPOINT)
        ground = Ground(self.trust, *read, authorities, tuple(ended))
        means = ground.means()
        with device_pool.checking(self.path, bundle, ground, self.workers) as checked:
            self._hashes()
            logs = ledgers.read(bundle, note)
            self._ledger(logs)
            self.findings += [Finding(file, what) for file, what in means.authorities.faults]
            self._manifest(checked, ledgers.bases(logs))
        told = comparison.Told.read(bundle)
        self.findings += comparison.differences(self.signed, self.history, self.devices, told)
        self._certificates(means, told)
        control = DualControl(bundle, self.trust, self.signed.vault, self.history, self.orders)
        self.findings += control.differences(self.devices)

    def _hashes(self) -> None:
        for one in index.differences(self.bundle, self.signed):
            (self.later if one.file.startswith(DETAILED) else self.findings).append(one)

    # -- the ledger
    def _note(self) -> Note | None:
        raw = self.bundle.read(CHECKPOINT)
        if raw != self.bundle.read(f"{LEDGER}/checkpoint"):
            self._find(CHECKPOINT, "is not the checkpoint of the ledger")
        try:
            note = checkpoint.parsed(raw)
        except LedgerError as error:
            self._find(CHECKPOINT, str(error))
            return None
        self.findings += [Finding(CHECKPOINT, what) for what in head.faults(note, self.trust)]
        for before in self.older:
            name = f"checkpoint of {before.checkpoint.size} leaves"
            self.findings += [Finding(name, what) for what in head.unsigned(before, self.trust)]
        return note

    def _ledger(self, logs: Sequence[BundledLog]) -> None:
        self.findings += ledgers.findings(logs, self.trust, self.older)
        self.notices += ledgers.notices(logs)
        found = [(log.files, log.size) for log in logs]
        self.history, self.orders = histories_of(found, self.signed.lot)

    # -- devices
    def _manifest(self, checked: Iterator[CheckedDevice], bases: Mapping[str, int]) -> None:
        """Take what was found of each device; its leaf is counted over all logs, as in the histories."""
        for number, found in enumerate(checked, 1):
            name = found.name or f"line {number}"
            self.findings += [Finding(MANIFEST, what, name) for what in found.faults]
            if (facts := found.facts) is not None:
                leaf = bases.get(facts.log, 0) + facts.leaf
                self.devices.append(facts if leaf == facts.leaf else replace(facts, leaf=leaf))
        self.findings += self.later

    def _certificates(self, means: Means, told: comparison.Told) -> None:
        others, wrong = revocations.unsealed(told.unsealed, means)
        issued = [*revocations.of_devices(self.devices), *others]
        self.findings += wrong
        self.findings += revocations.differences(issued, self.history)
        self.notices += revocations.notices(issued, self.history)
        lists = self.bundle.contents(CRLS)
        self.findings += revocations.listed(lists, means.authorities, issued, self.history)
        self.findings += register.differences(self.bundle, self.trust, means.authorities, issued)
