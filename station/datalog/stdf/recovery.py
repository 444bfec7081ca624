"""A file that was cut: its whole parts, with summaries counted anew."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from station.datalog.new_file import new_file
from station.datalog.stdf.reader import Reader
from station.datalog.stdf.records import Record, encode_record, whole
from station.datalog.stdf.seen import RANKS
from station.datalog.stdf.tally import Tally
from station.datalog.stdf.writer import plain
from station.errors import StorageError

SUMMARIES = frozenset({"TSR", "HBR", "SBR", "PCR", "MRR"})
BODY = RANKS["PTR"]


class Recovered(Struct, frozen=True):
    """What came of a cut file."""

    records: int
    """Kept, of those that the file had whole."""
    dropped: int
    """Records behind the last whole part."""
    parts: int
    cut: str
    """What ended it: where it was cut, or that its end was missing."""


def recover(path: Path, out: Path, at: float) -> Recovered:
    """Write what is whole of a file, up to its last part that was ended; `at` (unix time) goes into its ATR.

    A file with an end is refused: there is nothing to recover.
    """
    records, cut = _whole_records(path)
    names = {record.name for record in records}
    if "MRR" in names and not cut:
        raise StorageError(f"{path}: it has its MRR and is not cut, there is nothing to recover")
    if "MIR" not in names:
        raise StorageError(f"{path}: it is cut before its MIR, there is nothing to recover")
    kept = _ended(records)
    tally, chunks = Tally(), [*history(kept, f"hardbin stdf recover {path.name}", at)]
    for record in kept:
        if record.name not in {"FAR", "ATR"}:
            tally.note(record)
            chunks.append(encode_record(record))
    for record in records:
        tally.know(record)
    chunks += [whole("EPS")] * max(0, tally.seen.sections)
    chunks += _open_wafers(tally)
    chunks += tally.trailer(tally.latest, why=plain(f"recovered: {cut or 'no end of lot'}"))
    written(out, chunks)
    parts = len(tally.seen.parts)
    return Recovered(len(kept), len(records) - len(kept), parts, cut or "the end of the lot is missing")


def history(head: Iterable[Record], command: str, at: float) -> Iterator[bytes]:
    """Yield FAR and ATRs, the newest first, with one for what is done now."""
    yield whole("FAR", CPU_TYPE=2, STDF_VER=4)
    yield whole("ATR", MOD_TIM=int(at), CMD_LINE=plain(command))
    yield from (encode_record(record) for record in head if record.name == "ATR")


def written(out: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that gets its name when it is whole and on disk; no file is overwritten."""
    with new_file(out) as part, part.open("wb") as file:
        file.writelines(chunks)


def _whole_records(path: Path) -> tuple[list[Record], str]:
    """Return the records up to the first that is damaged, and what ended them."""
    records = list[Record]()
    with path.open("rb") as file:
        reader = Reader(file)
        for record in reader:
            if record.fault:
                return records, f"{record.name} at {record.offset}: {record.fault}"
            records.append(record)
    return records, reader.fault


def _ended(records: list[Record]) -> list[Record]:
    """Leave out the summaries, and what stands behind the last moment at which no part was open."""
    open_parts, last = set[tuple[int, int]](), 0
    kept = [record for record in records if record.name not in SUMMARIES]
    for number, record in enumerate(kept, 1):
        where = (record.integer("HEAD_NUM"), record.integer("SITE_NUM"))
        if record.name == "PIR":
            open_parts.add(where)
        elif record.name == "PRR":
            open_parts.discard(where)
        if not open_parts:
            last = number
    return kept[:last]


def _open_wafers(tally: Tally) -> Iterator[bytes]:
    for head, group in tally.seen.wafers:
        counts = tally.seen.contacts[tally.seen.wafer].fields()
        where = {"HEAD_NUM": head, "SITE_GRP": group, "FINISH_T": tally.latest}
        yield whole("WRR", WAFER_ID=tally.seen.wafer, **where, **counts)
