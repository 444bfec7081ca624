"""The STDF file of a lot with the bins that a disposition gave: what was measured stays as it is."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from station.datalog.stdf.fields import Value
from station.datalog.stdf.reader import read
from station.datalog.stdf.records import Record, encode_record
from station.datalog.stdf.recovery import SUMMARIES, history, written
from station.datalog.stdf.seen import Identity
from station.datalog.stdf.tally import Tally
from station.datalog.stdf.writer import plain
from station.disposition.course import Disposition, Moved
from station.errors import StorageError

FAILED = 0x08


class Rebinned(Struct, frozen=True):
    """What a new file holds."""

    parts: int
    moved: int


def rebinned(path: Path, out: Path, found: Disposition, lot: str, at: float) -> Rebinned:
    """Write a file with other bins for the devices that moved; `at` (unix time) goes into its ATR.

    The PRR of the last contact has the new bins and the fail bit, a DTR behind it says why. Results and
    flags of tests are untouched; summaries are counted anew. A file whose LOT_ID is not `lot`, or whose
    devices are not in the bins that they are moved from, is refused.
    """
    records = list(read(path))
    moved = {(plain(one.wafer), one.name or str(one.part)): one for one in found.moved}
    ends = _last_contacts(records)
    finished = _finished(path, records, lot)
    _must_be_there(path, ends, moved)
    last = {end.offset: part for part, end in ends.items()}
    tally = Tally()
    chunks = [*history(records, f"hardbin disposition {found.rules} sha256 {found.rules_sha256}", at)]
    for record in records:
        if record.name not in {"FAR", "ATR"} | SUMMARIES:
            for made in _made(record, moved, last, tally):
                tally.note(made)
                chunks.append(encode_record(made))
    for record in (*records, *_names(found)):
        tally.know(record)
    chunks += tally.trailer(finished.integer("FINISH_T"), disposition=finished.text("DISP_COD"))
    written(out, chunks)
    return Rebinned(len(tally.seen.parts), len(moved))


def _finished(path: Path, records: list[Record], lot: str) -> Record:
    """Return the MRR of a file of this lot."""
    named = {record.name: record for record in records if record.name in {"MIR", "MRR"}}
    if len(named) < 2:  # noqa: PLR2004 - the first record of a lot and its last
        raise StorageError(f"{path}: it has no MIR or no MRR, it is no file of a lot that was ended")
    if (its := named["MIR"].text("LOT_ID")) != lot:
        raise StorageError(f"{path}: it is of lot {its}, the disposition is of lot {lot}")
    return named["MRR"]


def _last_contacts(records: list[Record]) -> dict[Identity, Record]:
    """Return the last PRR of each part."""
    found, wafer = dict[Identity, Record](), ""
    for record in records:
        if record.name == "WIR":
            wafer = record.text("WAFER_ID")
        elif record.name == "PRR":
            found[wafer, record.text("PART_ID")] = record
    return found


def _must_be_there(path: Path, ends: Mapping[Identity, Record], moved: Mapping[Identity, Moved]) -> None:
    for part, one in moved.items():
        if part not in ends or ends[part].integer("SOFT_BIN") != one.was:
            raise StorageError(
                f"{path}: part {part[1]} is not in bin {one.was}: the disposition is not of this file"
            )


def _made(
    record: Record, moved: Mapping[Identity, Moved], last: Mapping[int, Identity], tally: Tally
) -> Iterator[Record]:
    """Yield a record as it goes into the new file, and what is said behind it."""
    if record.name == "WRR":
        counts = tally.seen.contacts[record.text("WAFER_ID")].fields()
        yield _changed(record, dict(counts))
    elif (part := last.get(record.offset)) is not None and (one := moved.get(part)) is not None:
        flags = record.integer("PART_FLG") | FAILED
        yield _changed(record, {"PART_FLG": flags, "HARD_BIN": one.hard, "SOFT_BIN": one.becomes})
        text = f"disposition {one.policy}: part {one.part} bin {one.was} to {one.becomes}: {one.seen}"
        yield Record("DTR", {"TEXT_DAT": plain(text)}, 0, 50, 30)
    else:
        yield record


def _changed(record: Record, values: Mapping[str, Value]) -> Record:
    return Record(record.name, {**record.values, **values}, 0, record.typ, record.sub)


def _names(found: Disposition) -> Iterator[Record]:
    """Yield what the summaries are to say of the new bins."""
    for one in {moved.becomes: moved for moved in found.moved}.values():
        name = plain(one.policy)
        yield Record("SBR", {"SBIN_NUM": one.becomes, "SBIN_PF": "F", "SBIN_NAM": name})
        yield Record("HBR", {"HBIN_NUM": one.hard, "HBIN_PF": "F", "HBIN_NAM": name})
