"""Events that name a person: what somebody asked for, did, saw or answers for."""

from station.event import Event
from station.model import Axis, Limit, Whereabouts


class CommandAccepted(Event, frozen=True, tag="command.accepted", kw_only=True):
    """A command has come in by the one door and takes effect; the durable receipt of its id."""

    id: str
    command: str
    actor: str
    source: str
    reason: str = ""
    roles: tuple[str, ...] = ()
    second: str = ""
    """Of what took two persons: the other one."""


class CommandRefused(Event, frozen=True, tag="command.refused", kw_only=True):
    """A command had no effect, and why."""

    id: str
    command: str
    actor: str
    code: str
    reason: str
    source: str = ""
    roles: tuple[str, ...] = ()


class ReasonGiven(Event, frozen=True, tag="e10.reason", kw_only=True):
    """A person says why the cell is in its class of E10, or that standby is scheduled down or engineering."""

    reason: str
    actor: str
    source: str = ""
    state: str = ""
    """`SDT`, `ENG`, or empty: the class stays as it is."""


class SiteSet(Event, frozen=True, tag="site.set", kw_only=True):
    """A person lets a site test from the next touchdown on, or no more."""

    site: int
    on: bool
    actor: str
    reason: str


class Cleaned(Event, frozen=True, tag="probe.cleaned", kw_only=True):
    """The tips of the card were cleaned because somebody asked; `failed` says why they were not."""

    actor: str
    failed: str = ""


class RetestBegun(Event, frozen=True, tag="retest.begun", kw_only=True):
    """A second pass over dies of the wafer on the chuck begins; none if that wafer is gone."""

    dies: tuple[tuple[int, int], ...]
    actor: str


class ShmooBegun(Event, frozen=True, tag="shmoo.begun", kw_only=True):
    """A row is run over a grid of its parameters; a `shmoo.point` for each point follows, x first."""

    seq: int
    site: int
    part: int
    row: int
    name: str
    x: Axis
    y: Axis | None = None
    limit: Limit | None = None
    actor: str


class Staged(Event, frozen=True, tag="recipe.staged", kw_only=True):
    """Lots may be run by a recipe from here on; of a station, between lots."""

    recipe: str
    title: str
    actor: str


class ConfigApplied(Event, frozen=True, tag="config.applied", kw_only=True):
    """The station has another file from here on: which values are others, and who wanted it."""

    config: str
    changed: tuple[str, ...]
    actor: str
    second: str = ""


class SelfTested(Event, frozen=True, tag="selftest.done", kw_only=True):
    """The machines were asked between lots: which, and what is wrong."""

    machines: tuple[str, ...]
    time_to_safe_s: float
    failed: dict[str, str]
    actor: str


class KeysReleased(Event, frozen=True, tag="key.released", kw_only=True):
    """The vault has taken a key release that the station carried there."""

    release: str
    actor: str


class CheckWaived(Event, frozen=True, tag="check.waived", kw_only=True):
    """A person answers for a check that the lot would not begin with."""

    check: str
    actor: str
    reason: str


class AssetReplaced(Event, frozen=True, tag="asset.replaced", kw_only=True):
    """In the record of a cell: an asset is new, and counted from 0."""

    asset: str
    actor: str
    reason: str


class Acknowledged(Event, frozen=True, tag="alarm.acknowledged", kw_only=True):
    """Somebody has seen an alarm."""

    alarm: str
    actor: str


class Shelved(Event, frozen=True, tag="alarm.shelved", kw_only=True):
    """An alarm is to be quiet until a time."""

    alarm: str
    until: float
    actor: str
    reason: str


class Found(Event, frozen=True, tag="inventory.found", kw_only=True):
    """Where a person has found the devices of which the station did not know: running number to place."""

    actor: str
    reason: str
    places: dict[int, Whereabouts]


class Cleared(Event, frozen=True, tag="resource.cleared", kw_only=True):
    """A person vouches that a resource that was out of use can be used again."""

    resource: str
    actor: str
    reason: str


class BalanceSigned(Event, frozen=True, tag="balance.signed", kw_only=True):
    """Persons answer for the difference with which a lot could not be closed: it is closed with it."""

    difference: str
    actor: str
    reason: str
    second: str = ""
