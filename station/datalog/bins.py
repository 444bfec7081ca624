"""The bins of a lot, as an STDF file has them."""

from station.datalog.stdf.records import Record
from station.datalog.stdf.seen import FAILED, NO_VERDICT, TOTAL
from station.model import Bin, BinKind

KINDS = {"P": BinKind.PASS, "F": BinKind.FAIL}
"""SBIN_PF, where it is not blank."""


class Bins:
    """Soft bins with the hard bin of each: as PRRs have it, else as hard bins are named.

    A bin of which the file does not say P or F is as its parts are; OTHER if none of them was judged.
    """

    def __init__(self) -> None:
        self._soft = dict[int, tuple[str, str]]()
        self._hard = dict[int, str]()
        self._ends = dict[int, int]()
        self._judged = dict[int, BinKind]()
        self.parts = 0

    def note(self, record: Record) -> None:
        """Take in a record of any kind."""
        match record.name:
            case "SBR":
                self._soft[record.integer("SBIN_NUM")] = record.text("SBIN_NAM"), record.text("SBIN_PF")
            case "HBR":
                self._hard[record.integer("HBIN_NUM")] = record.text("HBIN_NAM")
            case "PRR":
                self._part(record)
            case "PCR" if record.integer("HEAD_NUM") == TOTAL:
                self.parts = record.integer("PART_CNT")
            case _:
                pass

    def _part(self, record: Record) -> None:
        number, flags = record.integer("SOFT_BIN"), record.integer("PART_FLG")
        self._ends[number] = record.integer("HARD_BIN")
        if not flags & (FAILED | NO_VERDICT):
            self._judged[number] = BinKind.PASS
        elif not flags & NO_VERDICT:
            self._judged.setdefault(number, BinKind.FAIL)

    def all(self) -> tuple[Bin, ...]:
        """Return the soft bins by number."""
        return tuple(
            Bin(number, name, self._end(number, name), KINDS.get(pf) or self._by_parts(number))
            for number, (name, pf) in sorted(self._soft.items())
        )

    def _by_parts(self, number: int) -> BinKind:
        return self._judged.get(number, BinKind.OTHER)

    def _end(self, number: int, name: str) -> int:
        named = (hard for hard, names in self._hard.items() if name in names.split("/"))
        return self._ends.get(number, next(named, number))
