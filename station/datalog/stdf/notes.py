"""DTRs that are read again: notes on the tests of a device, between PIR and PRR, and offsets of tests."""

import re
from collections.abc import Iterable, Iterator

from station.datalog.stdf import averages
from station.datalog.stdf.flags import ALARM
from station.datalog.stdf.records import Record, encode
from station.datalog.stdf.writer import plain
from station.model import SECOND_LOOK, DeviceResult, EarlierRun, Note, NoteKind, Offset
from station.set_up import Study

KINDS: dict[str, NoteKind] = {
    "attempt": "attempt",
    "skipped": "skipped",
    "marginal": "marginal",
    "alarm": "alarm",
    "withheld": "withheld",
}
NOTE = re.compile(rf"site (?P<site>\d+): (?P<kind>{'|'.join(KINDS)}) test (?P<test>\d+): (?P<text>.*)")

OFFSET = re.compile(r"offset test (?P<test>\d+) site (?P<site>\d+): (?P<value>\S+)")

EARLIER = re.compile(r"earlier results: run (?P<run>\S+), (?P<flow>\S+) of lot (?P<lot>.*)")


STUDY = re.compile(r"study (?P<name>\S*): (?P<trials>\d+) trials of test (?P<test>\d+) by (?P<operator>.*)")


def records(device: DeviceResult) -> list[bytes]:
    """Return a DTR for each note."""
    return [encode("DTR", {"TEXT_DAT": plain(_text(device.site, note))}) for note in device.notes]


def _text(site: int, note: Note) -> str:
    return f"site {site}: {note.kind} test {note.test}: {note.text}"


def note(text: str) -> tuple[int, Note] | None:
    """Return site and note of a DTR's text; None if it is about something else."""
    found = NOTE.fullmatch(text)
    if found is None:
        return None
    return int(found["site"]), Note(KINDS[found["kind"]], int(found["test"]), found["text"])


def alarms(device: DeviceResult) -> dict[int, str]:
    """Return what instruments said while a test gave the result that stands, by its number."""
    found = dict[int, str]()
    for said in device.notes:
        if said.kind == "attempt":
            found.pop(said.test, None)
        elif said.kind == "alarm" and not said.text.startswith(SECOND_LOOK):
            found[said.test] = said.text
    return found


def with_alarms(notes: Iterable[Note], tests: Iterable[Record]) -> Iterator[Note]:
    """Yield notes, and one for each alarm that only the record of its test tells."""
    told = set[int]()
    for one in notes:
        told |= {one.test} if one.kind == "alarm" else set()
        yield one
    for record in tests:
        if record.integer("TEST_FLG") & ALARM and record.integer("TEST_NUM") not in told:
            yield Note("alarm", record.integer("TEST_NUM"), record.text("ALARM_ID") or "alarm")


def offset_text(offset: Offset) -> str:
    """Return what the header says of an offset, in the unit of its test."""
    return f"offset test {offset.test} site {offset.site}: {offset.value!r}"


def offset(text: str) -> Offset | None:
    """Return the offset of a DTR's text; None if it is about something else."""
    found = OFFSET.fullmatch(text)
    if found is None:
        return None
    try:
        return Offset(int(found["test"]), int(found["site"]), float(found["value"]))
    except ValueError:
        return None


def earlier_text(run: EarlierRun) -> str:
    """Return what the header says of a run for whose results the rules of the lot may ask."""
    return f"earlier results: run {run.run}, {run.flow} of lot {run.lot}"


def earlier(text: str) -> EarlierRun | None:
    """Return the run of a DTR's text, without its store; None if it is about something else."""
    found = EARLIER.fullmatch(text)
    return None if found is None else EarlierRun(found["run"], found["flow"], found["lot"], "")


def study_text(study: Study) -> str:
    """Return what the header says of a study; test 0 stands for all."""
    return f"study {study.name}: {study.trials} trials of test {study.test} by {study.operator}"


def study(text: str) -> Study | None:
    """Return the study of a DTR's text; None if it is about something else."""
    found = STUDY.fullmatch(text)
    if found is None:
        return None
    return Study(int(found["trials"]), found["name"], int(found["test"]), found["operator"])


class Told:
    """What the DTRs of a header say, text by text."""

    def __init__(self) -> None:
        self.averages, self.offsets = list[str](), list[Offset]()
        self.earlier = list[EarlierRun]()
        self.study: Study | None = None

    def note(self, text: str) -> bool:
        """Take one in; False if it is about something else."""
        if averages.is_one(text):
            self.averages.append(text)
        elif (known := offset(text)) is not None:
            self.offsets.append(known)
        elif (run := earlier(text)) is not None:
            self.earlier.append(run)
        elif (found := study(text)) is not None:
            self.study = found
        else:
            return False
        return True
