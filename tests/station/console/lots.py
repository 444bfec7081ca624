"""Histories of lots as a cell would tell them."""

from pathlib import Path
from typing import Any

from station import events
from station.console.wire import VERSION, Hello
from station.custody.journal import Journal
from station.model import Bin, BinKind, LotInfo, Outcome, Verdict

NOW = 1_800_000_000.0
GOOD, LEAKY = Bin(1, "good", 1, BinKind.PASS), Bin(3, "leakage", 5)
HELLO = Hello(
    version=VERSION,
    plant="sim",
    station="ws-07",
    product="se1",
    sequence="bench",
    fingerprint="00",
    sites=(1, 2),
    more_lots=True,
)


def loaded(quantity: int = 8, name: str = "L1") -> events.LotLoaded:
    """A lot of two sites and two bins."""
    info = LotInfo(
        lot=name,
        product="se1",
        sequence="bench",
        sequence_version="1",
        fingerprint="00",
        station="ws-07",
        sites=(1, 2),
        quantity=quantity,
        tests=(),
        bins=(GOOD, LEAKY),
        pins=(),
        set_up=NOW,
    )
    return events.LotLoaded(at=NOW, info=info)


def shift(old: str, new: str, reason: str = "") -> events.StateChanged:
    """The cell goes on."""
    return events.StateChanged(at=NOW, old=old, new=new, reason=reason)


def landing(
    seq: int, bins: dict[int, Bin], *, contact: int = 1, wafer: str = "", at: tuple[int, int] = (0, 0)
) -> list[events.Any]:
    """Return one landing of the devices 2*seq-1 and 2*seq, side by side."""
    when, parts = NOW + 10 * seq, {site: 2 * seq - 2 + site for site in bins}
    positions = {site: (at[0] + site - 1, at[1]) for site in bins} if wafer else {}
    opened = events.TouchdownOpened(
        at=when, seq=seq, parts=parts, contacts=dict.fromkeys(bins, contact), wafer=wafer, positions=positions
    )
    outcomes = tuple(
        Outcome(
            site,
            parts[site],
            contact,
            bin_.number,
            bin_.hard,
            bin_.kind,
            Verdict.PASSED if bin_.good else Verdict.FAILED,
            0.25,
        )
        for site, bin_ in bins.items()
    )
    return [opened, events.ContactsClosed(at=when + 1, seq=seq, outcomes=outcomes)]


def sorted_(seq: int, bins: dict[int, Bin]) -> events.Sorted:
    """The machine has them."""
    return events.Sorted(at=NOW + 10 * seq + 2, seq=seq, bins={site: one.hard for site, one in bins.items()})


BEGIN: list[Any] = [
    loaded(),
    shift("LOADING", "LOADED"),
    shift("LOADED", "CHECKING"),
    shift("CHECKING", "RUNNING"),
]
BOTH_GOOD, ONE_LEAKY = {1: GOOD, 2: GOOD}, {1: GOOD, 2: LEAKY}
SOME: list[Any] = [
    *BEGIN,
    *landing(1, BOTH_GOOD),
    sorted_(1, BOTH_GOOD),
    *landing(2, ONE_LEAKY),
    *landing(2, {2: GOOD}, contact=2),
    sorted_(2, BOTH_GOOD),
    *landing(3, ONE_LEAKY),
    sorted_(3, ONE_LEAKY),
]
"""Six devices: five good, one of them at its second contact."""


async def journalled(folder: Path, happened: list[Any]) -> Path:
    """Write the journal of a lot."""
    journal = Journal(folder / "journal", reserve_bytes=0)
    journal.open()
    await journal.commit(*happened)
    journal.close()
    return folder / "journal"
