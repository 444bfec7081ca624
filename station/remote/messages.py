"""Everything that crosses the network, as types: the AsyncAPI document is made from them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from station.vault.desk.statement import Statement

Epoch = Annotated[int, Meta(ge=1)]
Utc = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
LIFE_MAX_S = 60.0
"""A command lives no longer."""


class Online(Struct, frozen=True):
    """Whether the station is there, and since which start."""

    online: bool
    epoch: Epoch


class Birth(Struct, frozen=True, kw_only=True):
    """What a station is, told at each connection."""

    v: Literal[1] = 1
    epoch: Epoch
    t: Utc
    plant: str
    station: str
    version: str
    product: str
    sequence: str
    fingerprint: str
    sites: tuple[int, ...]
    commands: tuple[str, ...]
    keys: dict[str, tuple[str, ...]]
    """Whom it believes: key ids, and the algorithms that each must sign with."""
    schema: str
    """SHA-256 of the AsyncAPI document."""


class LotState(Struct, frozen=True):
    """The lot that is in the cell."""

    id: str
    product: str
    sequence: str
    fingerprint: str
    quantity: int
    recipe: str = ""
    """SHA-256 of the recipe that it runs by."""
    wafer: str = ""
    """The wafer that is in the cell, or was last."""


class CountState(Struct, frozen=True):
    """How many devices have a result, and how many are good."""

    tested: int = 0
    good: int = 0


class SiteState(Struct, frozen=True, array_like=True):
    """One site: its number, whether it tests, the yield of its devices so far."""

    site: int
    use: Literal["ON", "OFF"]
    good: float | None


class AlarmState(Struct, frozen=True):
    """How many alarms are active, by priority."""

    high: int = 0
    medium: int = 0
    low: int = 0


class E10State(Struct, frozen=True):
    """The state of the equipment by SEMI E10, since when, and why."""

    state: Literal["UDT", "SDT", "ENG", "PRD", "NST", "SBY"] = "SBY"
    since: Utc | None = None
    reason: str = ""


class State(Struct, frozen=True, kw_only=True):
    """How the station stands; `seq` rises within an epoch."""

    v: Literal[1] = 1
    epoch: Epoch
    seq: int
    t: Utc
    control: Literal["ONLINE-LOCAL", "ONLINE-REMOTE"]
    lease: str | None
    """Which client is in command."""
    cell: str
    """State of the lot's life cycle."""
    run: str
    """The same in words of PackML."""
    reason: str
    lot: LotState | None
    count: CountState
    sites: tuple[SiteState, ...]
    e10: E10State = E10State()
    alarms: AlarmState = AlarmState()


class CloudEvent(Struct, frozen=True, kw_only=True):
    """The envelope of every event, CloudEvents 1.0; the same id is the same event."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    time: Utc
    subject: str = ""
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any]


class Kept(Struct, frozen=True, array_like=True):
    """An event that a collector has on disk: its number in the outbox, the SHA-256 of what is there."""

    number: int
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Landed(Struct, frozen=True, array_like=True):
    """One device of a touchdown; where it lay on wafer or tray, if that is known."""

    x: int | None
    y: int | None
    site: int
    hbin: int
    sbin: int
    flags: int
    """1 failed, 2 not judged, 4 not the first contact."""
    ms: int


class Touchdown(Struct, frozen=True, array_like=True):
    """The devices of one landing; `t0` in seconds since 1970."""

    seq: int
    t0: float
    devices: tuple[Landed, ...]


class MapDie(Struct, frozen=True, array_like=True):
    """The last result of one die; flags as of a touchdown."""

    x: int
    y: int
    site: int
    hbin: int
    sbin: int
    flags: int


class WaferMap(Struct, frozen=True, kw_only=True):
    """Every die of a wafer that has a result, when the wafer ends."""

    v: Literal[1] = 1
    t: Utc
    lot: str
    product: str
    wafer: str
    tested: int
    good: int
    dies: tuple[MapDie, ...]


class Logged(Struct, frozen=True, kw_only=True):
    """What the station's log says."""

    v: Literal[1] = 1
    t: Utc
    level: Literal["debug", "info", "warning", "error", "critical"]
    logger: str
    text: str
    lost: int = 0
    """So many before this one were not told: there were too many."""


class Body(Statement, frozen=True, kw_only=True):
    """What a client asks for: the bytes that are signed."""

    typ: Literal["hardbin.cmd.v1"] = "hardbin.cmd.v1"
    id: Annotated[str, Meta(min_length=1, max_length=64)]
    aud: str
    cmd: str
    args: dict[str, Any] = {}
    epoch: int
    seq: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    iat: float
    exp: float
    lease: str = ""
    reason: Annotated[str, Meta(max_length=500)] = ""


class Reply(Struct, frozen=True, kw_only=True):
    """What became of a command."""

    id: str
    ok: bool
    code: str
    reason: str = ""
    detail: dict[str, Any] = {}
    state: str


def utc(unix: float) -> str:
    """Write a time as all messages have it: UTC, milliseconds."""
    return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
