"""What the floor's page is told: the answers of its API and the frames of its stream."""

from msgspec import Struct


class Cell(Struct, frozen=True):
    """One station, as it last told."""

    plant: str
    station: str
    online: bool
    state: str
    reason: str
    control: str
    product: str
    sequence: str
    version: str
    lot: str
    quantity: int
    tested: int
    good: int
    sites: int
    off: int
    """Sites that are switched off."""
    since: str
    """When it told that, UTC."""


class Ended(Struct, frozen=True):
    """A lot that is over."""

    plant: str
    station: str
    lot: str
    product: str
    outcome: str
    tested: int
    good: int
    ended: str


class Alarm(Struct, frozen=True):
    """An alarm that was raised."""

    id: int
    plant: str
    station: str
    lot: str
    at: str
    alarm: str
    reason: str


class State(Struct, frozen=True):
    """All that a page needs to begin."""

    epoch: int
    """Of this server's start: with another one a page begins anew."""
    seq: int
    there: bool
    """Whether the database is reached, and a collector with its broker writes it."""
    cells: tuple[Cell, ...]
    ended: tuple[Ended, ...]
    """The newest first."""
    alarms: tuple[Alarm, ...]
    """The newest first."""


class Frame(Struct, frozen=True, omit_defaults=True):
    """What has changed since frame `since`; nothing of it is a difference."""

    epoch: int
    since: int
    seq: int
    there: bool
    cells: tuple[Cell, ...] = ()
    ended: tuple[Ended, ...] | None = None
    alarms: tuple[Alarm, ...] | None = None
