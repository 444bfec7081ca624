"""Notes on the tests of a device, as DTRs between its PIR and its PRR; written and read."""

import re
from typing import Literal, TypeAlias

from station.datalog.stdf.records import encode
from station.datalog.stdf.writer import plain
from station.model import DeviceResult, Note

Kind: TypeAlias = Literal["attempt", "skipped"]
NOTE = re.compile(r"site (?P<site>\d+): (?P<kind>attempt|skipped) test (?P<test>\d+): (?P<text>.*)")


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
    kind: Kind = "attempt" if found["kind"] == "attempt" else "skipped"
    return int(found["site"]), Note(kind, int(found["test"]), found["text"])
