"""Entries taken out of a ledger, each with the proof that it is in it, for somebody who gets no more."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from station.custody import durable_file, proof
from station.custody.audit import Finding, Report, Trust
from station.custody.checkpoint import Note
from station.custody.ledger import Entry, decoded
from station.custody.log_keys import signatures_by
from station.custody.proof import SUFFIX, proof_of
from station.custody.tiles import CHECKPOINT, TileReader
from station.errors import LedgerError

ENTRY_SUFFIX = ".json"


def exported(folder: Path, note: Note, out: Path, wanted: Callable[[Entry], bool]) -> int:
    """Write `<index>.json` and `<index>.tlog-proof` for each wanted entry, and the checkpoint; how many.

    The proofs are as good as the ledger's folder: audit it first.
    """
    reader = TileReader(folder, note.checkpoint.size)
    count = 0
    try:
        out.mkdir(parents=True)
        for index, entry in reader.entries_from(0):
            if wanted(decoded(entry)):
                name = f"{index:09}"
                durable_file.put(out / (name + ENTRY_SUFFIX), entry)
                made = proof_of(reader.node, index, note)
                if not made.shows(entry):
                    raise LedgerError(f"{folder}: entry {index} is not one that the root stands for")
                durable_file.put(out / (name + SUFFIX), made.encode())
                count += 1
        durable_file.replace(out / CHECKPOINT, note.encode())
    except OSError as error:
        raise LedgerError(f"{out}: {error.strerror}") from error
    return count


def is_export(folder: Path) -> bool:
    """Whether a folder holds proofs instead of a ledger."""
    return any(folder.glob(f"*{SUFFIX}"))


def checked(folder: Path, trust: Trust) -> Report:
    """Check every proof of a folder by itself; LedgerError if a file cannot be read."""
    findings: list[Finding] = []
    events: Counter[str] = Counter()
    notes: set[Note] = set()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found = proof.parsed(path.read_bytes())
            entry = path.with_suffix(ENTRY_SUFFIX).read_bytes()
            if found.note not in notes:
                proof.verify(found, entry, log=trust.log, witnesses=trust.witnesses)
                notes.add(found.note)
            elif not found.shows(entry):
                raise LedgerError("the entry is not where the proof says")
            events[_event(entry, found.index)] += 1
        except OSError as error:
            findings.append(Finding(path.name, f"{error.filename}: {error.strerror}"))
        except LedgerError as error:
            findings.append(Finding(path.name, str(error)))
    alone = (path for path in folder.glob(f"*{ENTRY_SUFFIX}") if not path.with_suffix(SUFFIX).exists())
    findings += [Finding(path.name, "has no proof") for path in sorted(alone)]
    return _report(notes, trust, events, findings)


def _event(entry: bytes, index: int) -> str:
    found = decoded(entry)
    if found.seq != index:
        raise LedgerError(f"`seq` is {found.seq}, but the leaf is {index}")
    return found.event


def _report(notes: set[Note], trust: Trust, events: Counter[str], findings: list[Finding]) -> Report:
    last = max(notes, key=lambda note: note.checkpoint.size, default=None)
    if last is None:
        return Report("", 0, "", (), {}, tuple(findings), ())
    head = last.checkpoint
    signed = signatures_by(last, [*trust.log, *trust.witnesses])
    names = tuple(f"{key.name} ({key.kind.name})" for key in signed)
    told = dict(sorted(events.items()))
    return Report(head.origin, head.size, head.root.hex(), names, told, tuple(findings), ())
