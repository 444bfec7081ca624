"""Lots that were left open: which there are, and whether this station is the one that can go on with them."""

from collections.abc import Iterator
from pathlib import Path

from msgspec import DecodeError, Struct, json

from station.custody.journal import read
from station.engine.history import History, history_of
from station.engine.states import State
from station.errors import ConfigError, StorageError
from station.model import LotInfo

JOURNAL = "journal"
LATER_S = 600
REPORT = "report.json"
PREVIOUS = "previous lot"
"""The name of the check that there is no other, of whoever answers for it."""


class _Reported(Struct):
    state: str


SAME = (
    "product",
    "sequence",
    "sequence_version",
    "fingerprint",
    "limit_set",
    "station",
    "sites",
    "tests",
    "bins",
    "handler",
    "handler_id",
    "flow",
)
"""What of a lot must be as it was: the limits under which it began, the machine that holds its devices."""


def history_in(folder: Path) -> History:
    """Read what became of the lot in a folder; ConfigError unless it is there and open."""
    journal = folder / JOURNAL
    if not journal.exists():
        raise ConfigError(f"{folder}: there is no lot to resume")
    if _reported(folder) == State.CLOSED.value:
        raise ConfigError(f"{folder}: the lot is closed, nothing of it is left to resume")
    history = history_of(read(journal))
    if history.state is State.EMPTY:
        raise ConfigError(f"{folder}: the lot was unloaded before anything of it was tested")
    if history.info.lot != folder.resolve().name:
        raise ConfigError(
            f"{folder}: this is the journal of lot {history.info.lot}, which goes on in its folder"
        )
    return history


def unloaded(folder: Path) -> bool:
    """Whether the lot in a folder was put back before anything of it was tested; StorageError."""
    return history_of(read(folder / JOURNAL)).state is State.EMPTY


def _reported(folder: Path) -> str:
    """How the lot ended by its report, the last thing that a station writes of it."""
    try:
        return json.decode((folder / REPORT).read_bytes(), type=_Reported).state
    except (OSError, DecodeError):
        return ""


def must_agree(began: LotInfo, now: LotInfo) -> None:
    """ConfigError names what is different from when the lot began."""
    for name in SAME:
        was, is_ = getattr(began, name), getattr(now, name)
        if was != is_:
            told = f": {was!r} then, {is_!r} now" if isinstance(was, str) else ""
            raise ConfigError(f"lot {began.lot} was begun with another {name.replace('_', ' ')}{told}")


def open_lots(out: Path, station: str) -> Iterator[tuple[Path, History]]:
    """Yield the folders of a station's open lots; what is no lot, or cannot be read, is passed over."""
    for folder in sorted(out.iterdir()) if out.is_dir() else ():
        try:
            history = history_in(folder)
        except (ConfigError, StorageError):
            continue
        if history.info.station == station:
            yield folder, history


def besides(folder: Path, station: str) -> str:
    """Say which other lots of a station are open: nobody knows whose devices are in its cell."""
    there = open_lots(folder.parent, station)
    left = [f"{one.info.lot} ({one.state.value})" for path, one in there if path != folder]
    return f"lots are open besides this one: {', '.join(left)}" if left else ""


def epoch_after(history: History) -> float:
    """When simulated time goes on: as if somebody had come to the cell ten minutes after it stopped."""
    return float(int(history.at) + LATER_S)
