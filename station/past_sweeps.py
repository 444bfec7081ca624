"""The sweeps that a lot has had, as its journal has them."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from station import events
from station.custody.journal import read
from station.errors import StorageError


class PastSweep(Struct):
    """One sweep: what was asked, each point that was tried, and how it ended."""

    begun: events.ShmooBegun
    points: list[events.ShmooPoint]
    ended: events.ShmooEnded | None = None
    """None: it is under way, or the station stopped in the midst of it."""


def sweeps_in(journal: Path) -> list[PastSweep]:
    """Return the sweeps of a lot, the first one first; StorageError without a whole journal."""
    try:
        return sweeps_of(read(journal))
    except OSError as error:
        raise StorageError(f"{journal}: {error.strerror}") from error


def sweeps_of(happened: Iterable[events.Any]) -> list[PastSweep]:
    """Pick them out of a lot's events; sites may sweep at the same time."""
    found = list[PastSweep]()
    latest = dict[int, PastSweep]()
    for event in happened:
        match event:
            case events.ShmooBegun(site=site):
                latest[site] = PastSweep(event, [])
                found.append(latest[site])
            case events.ShmooPoint(site=site) if site in latest:
                latest[site].points.append(event)
            case events.ShmooEnded(site=site) if site in latest:
                latest.pop(site).ended = event
            case _:
                pass
    return found
