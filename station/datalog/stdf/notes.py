"""DTRs that are read again: notes on the tests of a device, between PIR and PRR, and offsets of tests."""

import re

from station.datalog.stdf.records import encode
from station.datalog.stdf.writer import plain
from station.model import DeviceResult, EarlierRun, Note, NoteKind, Offset

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
