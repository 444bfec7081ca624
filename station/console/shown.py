"""What the page is told: the answers of the console's API and the frames of its stream."""

from typing import Literal, TypeAlias

from msgspec import Struct

from station.alarms import Alarm
from station.model import Axis, Limit, Measurement
from station.model import Swept as Range
from station.set_up import Study
from station.vault_answers import Quota

MapKind: TypeAlias = Literal["", "wafer", "tray"]
Use: TypeAlias = Literal["on", "contact", "off"]


class Bin(Struct, frozen=True):
    """A soft bin of the lot."""

    number: int
    name: str
    hard: int
    kind: str


class Tile(Struct, frozen=True):
    """One site: devices with a result, good ones, its last soft bin, fails in a row."""

    site: int
    use: Use
    tested: int
    good: int
    bin: int
    failing: int
    why: str = ""
    waits: bool = False
    """Whether a device of it has no bin yet."""
    part: int = 0
    """The device that was contacted last, and which contact of it that was."""
    trial: int = 0
    with_vault: bool = False
    """Whether a device of it is being personalised."""


class Point(Struct, frozen=True, array_like=True):
    """Yield of the first contacts of some devices, up to the one of this number."""

    tested: int
    good: float


class Lot(Struct, frozen=True):
    """What does not change while a lot runs."""

    lot: str
    sublot: str
    product: str
    sequence: str
    version: str
    fingerprint: str
    recipe: str
    quantity: int
    flow: str
    temperature: str
    handler: str
    bins: tuple[Bin, ...]
    mode: str = ""
    study: Study | None = None


class Row(Struct, frozen=True):
    """A row of the station's sequence: P, M or F, and between which values its parameters may be swept."""

    number: int
    name: str
    kind: str
    swept: tuple[Range, ...] = ()


class Reading(Struct, frozen=True):
    """A row behind which a device has stood, and what it measured; None: it was not run."""

    row: int
    name: str
    measurement: Measurement | None
    limit: Limit | None


class Halt(Struct, frozen=True):
    """A site that stands still behind a row, 0 before the first one; until when, in the cell's time."""

    site: int
    part: int
    row: int
    until: float
    readings: tuple[Reading, ...]
    """The latest, oldest first."""


class Sweep(Struct, frozen=True):
    """The latest sweep of a site; its points come one by one."""

    number: int
    site: int
    row: int
    name: str
    x: Axis
    y: Axis | None
    limit: Limit | None
    over: bool = False
    failed: str = ""


class Swept(Struct, frozen=True, array_like=True):
    """A point of a sweep: it passed (1), failed (0) or could not be judged (2), and what was measured."""

    site: int
    number: int
    x: float
    y: float | None
    code: int
    value: float | None


class Asset(Struct, frozen=True):
    """What wears out: its touchdowns up to now, warning and limit."""

    name: str
    kind: str
    touchdowns: int
    warning: int
    limit: int


class Sum(Struct, frozen=True):
    """Everything that is counted."""

    state: str
    reason: str
    e10: str
    e10_reason: str
    at: float
    """What time it is in the cell."""
    tested: int
    good: int
    first_good: int
    retested: int
    touchdowns: int
    units_per_hour: float
    wafer: str
    sites: tuple[Tile, ...]
    bins: dict[int, int]
    """Devices by the soft bin of their last contact."""
    hard: dict[int, int]
    """Devices that the machine has taken, by hard bin."""
    contact: tuple[tuple[int, int], ...]
    """Places of the map that are in contact."""
    balance: dict[str, int]
    legal: tuple[str, ...]
    """What the cell would take now."""
    assets: tuple[Asset, ...] = ()
    quota: Quota | None = None
    """Of the lot's work order, when the lot began."""
    cause: str = ""
    """Of a lot that was held and has not gone on since."""
    takes: tuple[tuple[str, ...], ...] = ()
    """Of that: whom it takes to let it go on, a person each, of one of these roles."""
    signs: tuple[tuple[str, ...], ...] = ()
    """Of one that its balance keeps from closing: whom it takes to sign for the difference."""
    halts: tuple[Halt, ...] = ()
    sweeps: tuple[Sweep, ...] = ()


class Map(Struct, frozen=True):
    """The extent of the map: first column and row, and how many."""

    kind: MapKind
    x: int
    y: int
    width: int
    height: int
    notch: str = ""
    """Of a wafer: where it is seen, D, L, U or R; empty if nobody has said it."""
    mirrored: tuple[bool, bool] = (False, False)
    """Whether X grows to the left, and Y upwards."""


class Engine(Struct, frozen=True):
    """Which cell this console is of."""

    plant: str
    station: str
    product: str
    sequence: str
    fingerprint: str
    sites: tuple[int, ...]
    more_lots: bool
    station_file: str = ""
    data: str = ""
    lots: str = ""
    rows: tuple[Row, ...] = ()
    """Of its sequence."""
    real: bool = False
    """Whether its machines are, and not simulated."""
    cleans: bool = False
    """Whether what feeds the sites may have something that cleans the tips: it is a prober."""


class State(Struct, frozen=True):
    """All that a page needs to begin."""

    epoch: int
    seq: int
    there: bool
    """Whether the engine is reached."""
    engine: Engine | None
    lot: Lot | None
    map: Map
    sum: Sum
    trend: tuple[Point, ...]
    alarms: tuple[Alarm, ...]
    swept: tuple[Swept, ...] = ()
    """All points of the latest sweeps."""


class Die(Struct, frozen=True, array_like=True):
    """One result on the map, and when it was there, in milliseconds since 1970."""

    x: int
    y: int
    bin: int
    """1 and the place of its soft bin in the lot's table."""
    site: int
    first: int
    """As `bin`, of the device's first contact."""
    at_ms: int


class Frame(Struct, frozen=True, omit_defaults=True):
    """What has happened since the last one. Of another epoch: begin anew with the state."""

    epoch: int
    seq: int
    """The number of the last die in `dies`."""
    there: bool = True
    dies: tuple[Die, ...] = ()
    sum: Sum | None = None
    trend: tuple[Point, ...] = ()
    alarms: tuple[Alarm, ...] | None = None
    swept: tuple[Swept, ...] = ()
