"""How an STDF file was written: its profile, its sections and its groups of channels."""

from collections.abc import Iterable, Iterator

from station.datalog.stdf.records import Record
from station.datalog.stdf.seen import TESTS
from station.set_up import Datalog, PinGroup, Profile, Section

NO_SPECS = 0x0C
"""Bits of OPT_FLAG: there are no spec limits."""


class FormWatch:
    """Takes records in, in order, and tells of what form the file is."""

    def __init__(self) -> None:
        self._profile: Profile = "compact"
        self._pins = list[tuple[int, str]]()
        self._groups = list[PinGroup]()
        self._touching = list[str]()
        self._inside = list[str]()
        self._paths = dict[int, tuple[str, ...]]()

    def note(self, record: Record) -> None:
        """Take in what a record shows."""
        match record.name:
            case "PMR":
                self._pins.append((record.integer("SITE_NUM"), record.text("CHAN_NAM")))
            case "SDR" if not self._touching:
                self._touching = [record.text(name) for name in ("CARD_ID", "LOAD_ID", "CONT_ID")]
            case "PGR":
                self._groups.append(self._group(record))
            case "BPS":
                self._inside.append(record.text("SEQ_NAME"))
            case "EPS" if self._inside:
                self._inside.pop()
            case name if name in TESTS:
                self._paths.setdefault(record.integer("TEST_NUM"), tuple(self._inside))
                if name == "PTR" and "LO_SPEC" in record.values and record.integer("OPT_FLAG") & NO_SPECS:
                    self._profile = "compat"
            case _:
                pass

    def found(self) -> Datalog:
        """Return the form. Sections reach from the first to the last of their tests that any part has had."""
        sections, groups = tuple(_sections(sorted(self._paths.items()))), tuple(self._groups)
        return Datalog(self._profile, sections, groups, *self._touching)

    def _group(self, record: Record) -> PinGroup:
        members = [self._pins[index - 1] for index in record.integers("PMR_INDX")]
        return PinGroup(record.text("GRP_NAM"), tuple(dict.fromkeys(name for _, name in members)))


def _sections(paths: Iterable[tuple[int, tuple[str, ...]]]) -> Iterator[Section]:
    """Yield the sections of tests in order, a section before those inside it."""
    found, inside = list[list[int]](), list[int]()
    names = list[str]()
    for number, path in paths:
        same = 0
        while same < min(len(inside), len(path)) and names[inside[same]] == path[same]:
            same += 1
        del inside[same:]
        for name in path[same:]:
            inside.append(len(found))
            names.append(name)
            found.append([number, number])
        for at in inside:
            found[at][1] = number
    return (Section(name, first, last) for name, (first, last) in zip(names, found, strict=True))
