"""The logs of a bundle: the one that `checkpoint.txt` covers, and those before it that the lot began in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from station.custody import audit, checkpoint, rotation
from station.custody.audit_files import Files, readable
from station.custody.checkpoint import Note
from station.custody.tiles import CHECKPOINT as HEAD
from station.custody.tiles import ENTRIES, TILES, WIDTH, Tile, tile_of
from station.errors import EvidenceError, LedgerError
from station.evidence import head
from station.evidence.archive import Archive
from station.evidence.bundle import ENDED, LEDGER
from station.evidence.finding import Finding
from station.evidence.trust import Trust


@dataclass(frozen=True)
class BundledLog:
    """A log as a bundle has it; `place` is its folder there."""

    place: str
    note: Note
    files: Files

    @property
    def size(self) -> int:
        """How many leaves its checkpoint covers."""
        return self.note.checkpoint.size

    def entry(self, index: int) -> bytes:
        """Return an entry; EvidenceError if the bundle does not have it."""
        n = index // WIDTH
        best = self.files.best(Tile(ENTRIES, n, min(WIDTH, self.size - n * WIDTH)))
        entries = [] if best is None else readable(best[1], best[0].width)[0]
        if index % WIDTH >= len(entries):
            raise EvidenceError(f"{self.place}: entry {index} is not there")
        return entries[index % WIDTH]


def places(bundle: Archive) -> list[str]:
    """The folders of a bundle's logs, in the order of the logs."""
    names = (name.split("/") for name in bundle.members if name.startswith(f"{ENDED}/"))
    numbers = {int(parts[1]) for parts in names if len(parts) > 2 and parts[1].isdecimal()}
    return [*(f"{ENDED}/{number}" for number in sorted(numbers)), LEDGER]


def heads(bundle: Archive) -> list[bytes]:
    """The checkpoints of a bundle's logs, in the order of the logs; EvidenceError if one is missing."""
    return [bundle.read(f"{place}/{HEAD}") for place in places(bundle)]


def read(bundle: Archive, note: Note) -> list[BundledLog]:
    """Read the logs; `note` is that of the last. EvidenceError, LedgerError if one has no checkpoint."""
    *ended, _ = heads(bundle)
    notes = [*map(checkpoint.parsed, ended), note]
    return [
        BundledLog(place, one, _files(bundle, place))
        for place, one in zip(places(bundle), notes, strict=True)
    ]


def bases(logs: Sequence[BundledLog]) -> dict[str, int]:
    """How many leaves come before each log of the bundle, by its origin; by the empty text for the last."""
    starts = accumulate((log.size for log in logs[:-1]), initial=0)
    found = {log.note.checkpoint.origin: start for log, start in zip(logs, starts, strict=True)}
    return found | {"": found[logs[-1].note.checkpoint.origin]}


def findings(logs: Sequence[BundledLog], trust: Trust, older: Sequence[Note]) -> Iterator[Finding]:
    """Check each log, that one follows the other, and that they begin with what `older` ones covered."""
    origins = {log.note.checkpoint.origin for log in logs}
    for log in logs:
        last = log is logs[-1]
        own = [
            one
            for one in older
            if one.checkpoint.origin == log.note.checkpoint.origin
            or (last and one.checkpoint.origin not in origins)
        ]
        if not last:
            yield from (Finding(f"{log.place}/{HEAD}", what) for what in head.faults(log.note, trust))
        report = audit.audited_files(log.note.encode(), log.files, audit.Trust((), older=own))
        yield from (Finding(f"{log.place}/{one.file}", one.what) for one in report.findings)
    for old, new in pairwise(logs):
        yield from (Finding(new.place, what) for what in _linked(old, new))


def notices(logs: Sequence[BundledLog]) -> Iterator[str]:
    """Say under which log the first of them began, and in which the last has ended: those are not here."""
    first, last = logs[0], logs[-1]
    try:
        before = rotation.before_of(first.entry(0)) if first.size else None
        following = rotation.next_of(last.entry(last.size - 1)) if last.size else ""
    except (EvidenceError, LedgerError):
        return  # a finding tells of it
    if before is not None:
        ended = f"log {before.origin} ended, with {before.size} leaves"
        yield f"{first.place}: begins where {ended}; that is not here"
    if following:
        yield f"{last.place}: has ended, and goes on in {following}; that is not here"


def _linked(old: BundledLog, new: BundledLog) -> Iterator[str]:
    if not old.size or not new.size:
        yield "a log without entries follows on no other, and no other on it"
        return
    try:
        last, first = old.entry(old.size - 1), new.entry(0)
    except EvidenceError as error:
        yield str(error)
        return
    yield from rotation.linked(old.note.checkpoint, new.note.checkpoint.origin, last, first)


def _files(bundle: Archive, place: str) -> Files:
    tiles, strange = {}, []
    for name, member in bundle.below(f"{place}/{TILES}").items():
        tile = tile_of(name)
        if tile is None:
            strange.append(f"{TILES}/{name}")
        else:
            tiles[tile] = bundle.part(member.start, member.size)
    return Files(dict(sorted(tiles.items())), tuple(strange))
