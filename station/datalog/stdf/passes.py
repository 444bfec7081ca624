"""Several files of one lot made into one: the first pass and its retests."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from station.datalog.stdf import averages
from station.datalog.stdf.fields import Value
from station.datalog.stdf.reader import read
from station.datalog.stdf.records import Record, encode, encode_record
from station.datalog.stdf.recovery import SUMMARIES, history, written
from station.datalog.stdf.seen import RANKS, Seen
from station.datalog.stdf.tally import Tally
from station.errors import StorageError

BODY = RANKS["PTR"]
SAME = ("LOT_ID", "SBLOT_ID", "PART_TYP", "JOB_NAM", "JOB_REV")
"""What must be equal in the MIRs of all files."""
DEFAULTS = ("RES_SCAL", "LO_LIMIT", "HI_LIMIT", "UNITS")
SPEC = ("RES_SCAL", "LO_SPEC", "HI_SPEC", "UNITS")
"""The limits of a test whose record was judged by part averages."""


NAMED = "rejects came again without names: each has the PART_ID of one of them, in order, its own in PART_TXT"
"""What the merged file says of a second pass."""


class Merged(Struct, frozen=True):
    """What came of a merge."""

    parts: int
    contacts: int
    superseded: int
    """Contacts of a later file that took the place of an earlier one's."""


class _Pass:
    """One file: what stands before its parts, its parts, its summaries."""

    def __init__(self, path: Path) -> None:
        self.path, self.head, self.body, self.tail = path, list[Record](), list[Record](), list[Record]()
        for record in read(path):
            if record.fault:
                raise StorageError(f"{path}: {record.name} at {record.offset}: {record.fault}")
            part = self.tail if record.name in SUMMARIES else self.body if self._begun(record) else self.head
            part.append(record)
        if not any(record.name == "MIR" for record in self.head):
            raise StorageError(f"{path}: it has no MIR: it is no STDF file of a lot")
        if not self.tail or self.tail[-1].name != "MRR":
            raise StorageError(f"{path}: it has no MRR, it was cut: recover it first")

    def _begun(self, record: Record) -> bool:
        return bool(self.body) or RANKS.get(record.name) == BODY

    @property
    def master(self) -> Record:
        return next(record for record in self.head if record.name == "MIR")

    def names(self, seen: Seen) -> dict[str, str]:
        """Return the PART_IDs of devices that were fed once more without a name: those of rejects before.

        Nobody can tell which of them is which; so many must have come as lie in the bins of the RDR.
        """
        if not (rdr := self.of("RDR")) or seen.wafer:
            return {}
        came = list(dict.fromkeys(r.text("PART_ID").strip() for r in self.body if r.name == "PRR"))
        bins = rdr[0].integers("RTST_BIN")
        new = [one for one in came if ("", one) not in seen.parts]
        lying = [known for (_, known), part in seen.parts.items() if not bins or part.hard in bins]
        left = [known for known in lying if known not in came]
        if new and len(new) != len(left):
            where = f"hard bin {', '.join(map(str, bins))}" if bins else "all bins"
            raise StorageError(
                f"{self.path}: {len(new)} devices without a name came again, {len(left)} lie in {where} "
                "of the passes before: nobody can tell which are missing"
            )
        return dict(zip(new, left, strict=True)) if new else {}

    def of(self, name: str) -> list[Record]:
        return [record for record in self.head if record.name == name]


def merge(paths: Sequence[Path], out: Path, at: float) -> Merged:
    """Write one file of the passes of a lot, first pass first; `at` (unix time) goes into its ATR.

    A contact of a later file supersedes that of the same part. Files of different lots, products, programs,
    pins or limits are refused, by the name of what differs.
    """
    passes = [_Pass(path) for path in paths]
    first, tally = passes[0], Tally()
    for later in passes[1:]:
        _same(first, later)
    chunks = [*history(first.head, f"hardbin stdf merge {' '.join(path.name for path in paths)}", at)]
    chunks += [encode_record(record) for record in _header(passes, tally)]
    superseded = 0
    for number, one in enumerate(passes):
        names = one.names(tally.seen) if number else {}
        if names:
            chunks.append(encode("DTR", {"TEXT_DAT": f"{one.path.name}: {NAMED}"[:255]}))
        for record in one.body:
            data, taken = _of_pass(_named(record, names), number, tally)
            chunks.append(data)
            superseded += taken
        for record in one.tail:
            tally.know(record)
    end = passes[-1].tail[-1]
    chunks += tally.trailer(end.integer("FINISH_T"), disposition=end.text("DISP_COD"))
    written(out, chunks)
    seen = tally.seen
    return Merged(len(seen.parts), seen.counts["PRR"], superseded)


def _named(record: Record, names: Mapping[str, str]) -> Record:
    """Return a PRR under the PART_ID of the reject whose place it takes; its own goes to PART_TXT."""
    mine = record.text("PART_ID").strip() if record.name == "PRR" else ""
    if mine not in names:
        return record
    text = record.text("PART_TXT") or mine
    values = {**record.values, "PART_ID": names[mine], "PART_TXT": text}
    return Record("PRR", values, record.offset, record.typ, record.sub)


def _header(passes: list[_Pass], tally: Tally) -> Iterator[Record]:
    """Yield what stands before the parts: the first file's, and the site groups that only later ones have."""
    first, added = passes[0], False
    for record in first.head:
        if record.name in {"FAR", "ATR", "RDR"}:
            continue
        if RANKS.get(record.name, BODY) > RANKS["SDR"] and not added:
            added = True
            yield from _more_sites(passes, tally)
        tally.note(record)
        yield record


def _more_sites(passes: list[_Pass], tally: Tally) -> Iterator[Record]:
    for one in passes[1:]:
        for record in one.of("SDR"):
            head, sites = record.integer("HEAD_NUM"), record.integers("SITE_NUM")
            new = tuple(site for site in sites if (head, site) not in tally.seen.sites)
            if new:
                group = 1 + max(group for _, group in tally.seen.groups)
                changed: dict[str, Value] = {"SITE_GRP": group, "SITE_CNT": len(new), "SITE_NUM": new}
                found = Record("SDR", {**record.values, **changed}, 0, record.typ, record.sub)
                tally.note(found)
                yield found


def _of_pass(record: Record, number: int, tally: Tally) -> tuple[bytes, bool]:
    """Return a record as it goes into the merged file, and whether it superseded one of an earlier file."""
    if record.name == "WRR" and number:
        counts = tally.seen.contacts[record.text("WAFER_ID")].fields()
        record = Record("WRR", {**record.values, **counts}, 0, record.typ, record.sub)
    taken = False
    if record.name == "PRR" and number and not record.integer("PART_FLG") & 0x03:
        by_place = 0x02 if tally.seen.wafer else 0x01
        flags = record.integer("PART_FLG") | by_place
        again = Record("PRR", {**record.values, "PART_FLG": flags}, 0, record.typ, record.sub)
        taken = tally.seen.identity(again) in tally.seen.parts
        record = again if taken else record
    tally.note(record)
    return encode_record(record), taken


def _same(first: _Pass, later: _Pass) -> None:
    for name in SAME:
        ours, theirs = first.master.text(name), later.master.text(name)
        if ours != theirs:
            raise StorageError(
                f"{later.path}: its {name} is {theirs!r}, that of {first.path.name} is {ours!r}"
            )
    for name in ("PMR", "PGR"):
        if [record.values for record in first.of(name)] != [record.values for record in later.of(name)]:
            raise StorageError(f"{later.path}: its {name}s are not those of {first.path.name}")
    known = _definitions(first)
    for number, definition in _definitions(later).items():
        if known.get(number, definition) != definition:
            raise StorageError(
                f"{later.path}: test {number} is {definition}, in {first.path.name} it is {known[number]}"
            )


def _definitions(one: _Pass) -> dict[int, tuple[object, ...]]:
    """Return kind, name, scale, limits and unit of each test, as its first record has them."""
    found = dict[int, tuple[object, ...]]()
    averaged = any(averages.is_one(record.text("TEXT_DAT")) for record in one.of("DTR"))
    for record in one.body:
        number = record.integer("TEST_NUM")
        if record.name in {"PTR", "MPR", "FTR"} and number not in found:
            spec = averaged and (record.valid("LO_SPEC") or record.valid("HI_SPEC"))
            names = SPEC if spec else DEFAULTS
            limits = [record.values[name] if record.valid(name) else None for name in names]
            limits = limits if record.name != "FTR" else []
            found[number] = (record.name, record.text("TEST_TXT"), *limits)
    return found
