"""What is measured, judged and told. Values only: no I/O, no clock, no task."""

from collections.abc import Mapping
from enum import Enum
from math import isfinite, isnan
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Unit: TypeAlias = Literal["", "V", "A", "Ohm", "W", "s", "Hz", "degC", "bit", "%"]


class Verdict(Enum):
    """How a device or one of its tests fared."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not judged"
    """The station could not tell; the device may be tested again."""


class Ending(Enum):
    """How the execution of a row ended; decides the flags of its datalog record."""

    VALUE = "value"
    OVER_RANGE = "over range"
    """±inf, or beyond float32: executed and failed, no value."""
    DUT_ERROR = "device error"
    DUT_SILENT = "device silent"
    NO_VALUE = "no value"
    """NaN, None, not all keys, or custody refused: executed, not judged."""
    EQUIPMENT = "equipment"
    TIMEOUT = "timeout"
    ABORTED = "aborted"


class Limit(Struct, frozen=True, gc=False):
    """A closed interval with its unit; None leaves a side open."""

    low: float | None
    high: float | None
    unit: Unit

    def holds(self, value: float) -> bool:
        """Tell whether `value` is inside. NaN never is."""
        above = self.low is None or value >= self.low
        below = self.high is None or value <= self.high
        return above and below and not isnan(value)


class BinKind(Enum):
    """What a bin says of the devices in it."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    OTHER = "other"
    """Not judged, or not tested."""


class Bin(Struct, frozen=True):
    """A soft bin, and the hard bin in which its devices physically end."""

    number: int
    name: str
    hard: int
    kind: BinKind = BinKind.FAIL

    @property
    def good(self) -> bool:
        """Whether its devices passed."""
        return self.kind is BinKind.PASS


RecordKind: TypeAlias = Literal["P", "M", "F"]
"""PTR, MPR or FTR."""

Reading: TypeAlias = float | bool | Mapping[str, float] | None
"""What a row's function returns."""


class Measurement(Struct, frozen=True, gc=False):
    """One judged execution of a row: becomes one PTR, MPR or FTR."""

    test: int
    name: str
    kind: RecordKind
    verdict: Verdict
    ending: Ending = Ending.VALUE
    value: float | None = None
    """The reading of a PTR; None where there is none. ±inf keeps the sign of an over-range."""
    values: tuple[float, ...] = ()
    """The readings of an MPR, in the order of the row's pins."""
    text: str = ""
    """What a person should read beside a failure, never a secret."""


class Disposition(Enum):
    """The vault's verdict on one die."""

    SEALED = "sealed"
    UNTOUCHED = "untouched"
    RETRY = "retry"
    REJECT_HELD = "reject held"
    QUARANTINE = "quarantine"


class Personalisation(Struct, frozen=True):
    """What became of a device at its Personalise row. Nothing in it is secret."""

    disposition: Disposition
    error: int = 0
    detail: str = ""
    uid: bytes = b""
    serial: str = ""
    record: bytes = b""
    """SHA-384 of the vault's device record."""
    certificates: tuple[bytes, ...] = ()
    """SHA-256 of each certificate that was written, DER."""


class Place(Struct, frozen=True):
    """Which die of which wafer a device is."""

    wafer: str
    """Its id, as the prober read it."""
    x: int
    y: int


NoteKind: TypeAlias = Literal["attempt", "skipped", "marginal", "alarm"]
"""An attempt that failed and was followed by another one; a row that a rule left out; a pass near a limit;
an instrument that was at its own limit."""


class Note(Struct, frozen=True):
    """What is to be said of a test of a device beside its result."""

    kind: NoteKind
    test: int
    text: str
    """What the attempt came to, the rule's name, or how near to which limit; at most 180 characters."""


class DeviceResult(Struct, frozen=True):
    """All that is known of one device after one contact."""

    site: int
    part: int
    """Running number of the device in the lot, from 1; kept over its contacts."""
    contact: int
    """1 at the first contact of the device, 2 when it was touched again, and so on."""
    bin: Bin
    verdict: Verdict
    measurements: tuple[Measurement, ...]
    started: float
    """Seconds since 1970."""
    test_s: float
    cut_short: bool = False
    """An abort ended it early; its failing bin stands if a row had failed before."""
    personalisation: Personalisation | None = None
    reason: str = ""
    """Why it could not be judged."""
    place: Place | None = None
    """Only of a die on a wafer."""
    notes: tuple[Note, ...] = ()
    """In the order in which it happened."""
    code: str = ""
    """What was read on it, in a lot whose devices have codes; `#` and its number if none was."""

    @property
    def name(self) -> str:
        """Who it is in the lot: its code, or its running number. PART_ID in the datalog."""
        return self.code or str(self.part)


class TouchdownResult(Struct, frozen=True):
    """One contact of up to 64 devices: what journal, store and datalog record as one."""

    seq: int
    started: float
    ended: float
    devices: tuple[DeviceResult, ...]
    """By site, ascending."""


class TestDefinition(Struct, frozen=True):
    """What is fixed of one row: what stands once in the datalog for all its results."""

    __test__ = False  # not a test class of pytest's

    number: int
    name: str
    kind: RecordKind
    limit: Limit | None
    pins: tuple[str, ...] = ()
    """The keys of an MPR, in datalog order."""


class Offset(Struct, frozen=True):
    """What is added to each reading of a test at a site before it is judged, in the unit of the test."""

    test: int
    site: int
    value: float


class WaferGeometry(Struct, frozen=True, forbid_unknown_fields=True):
    """How the wafers of a lot lie on the chuck, and how large they and their dies are."""

    diameter_mm: float
    die_mm: tuple[float, float]
    """Width and height of a die, along X and Y, its street included."""
    notch: Literal["D", "L", "U", "R"] = "D"
    """Where notch or flat is seen."""
    x_grows: Literal["L", "R"] = "R"
    """Where X grows: to the left or to the right."""
    y_grows: Literal["U", "D"] = "D"
    """Where Y grows: up or down."""
    center: tuple[int, int] | None = None
    """X and Y of the die in the middle."""


class Temperature(Struct, frozen=True, forbid_unknown_fields=True):
    """At which temperature a lot is tested."""

    celsius: Annotated[float, Meta(ge=-100, le=300)]
    window_k: Annotated[float, Meta(gt=0, le=20)] = 2.0
    """How far it may be away from that."""
    soak_s: Annotated[float, Meta(ge=0, le=36_000)] = 0.0
    """How long it must have been near enough before the first contact, and after it was not."""
    reach_s: Annotated[float, Meta(gt=0, le=36_000)] = 3600.0
    """How long it may take to get there."""
    back_s: Annotated[float, Meta(gt=0, le=36_000)] = 600.0
    """How long the lot waits for it to come back into its window before it is held."""


class Instrument(Struct, frozen=True, omit_defaults=True):
    """One machine as it was when a lot began; an empty field is one that nobody tells."""

    name: str
    """As the station file has it."""
    driver: str
    maker: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    calibration_due: str = ""
    """The day after which its calibration is over, YYYY-MM-DD, as the station file has it."""
    stated: bool = False
    """The machine does not tell its serial number: it is that of the station file."""
    since: int = 1
    """The touchdown from which on it was there; of another machine of this name it takes the place."""


class Binding(Struct, frozen=True, array_like=True):
    """Which machine plays a role at a site; the channel is empty where a machine has but one."""

    site: int
    role: str
    machine: str
    channel: str = ""


class Software(Struct, frozen=True, omit_defaults=True):
    """What ran the lot."""

    hardbin: str
    python: str
    lock_sha256: str
    """Of the file that names every package with its hash."""
    since: int = 1
    """The touchdown from which on it did."""


class AverageLimit(Struct, frozen=True):
    """Limits of one test at one site, and how many good devices they rest on."""

    site: int
    test: int
    low: float
    high: float
    parts: int


class Averaging(Struct, frozen=True):
    """How a lot makes limits of its own good devices, site by site, while it runs."""

    bins: tuple[int, ...]
    """Soft bins: the first of outliers, then those of devices that were held against these limits before."""
    tests: tuple[int, ...] = ()
    """All single numbers if none is named."""
    sigmas: float = 6.0
    least: int = 30
    window: int = 200
    fixed: tuple[AverageLimit, ...] = ()
    """Of a second pass: the limits with which the passes before have ended; no others are made."""


class SecondPass(Struct, frozen=True):
    """Of which lot the devices of a lot are those that were rejected."""

    lot: str
    """LOT_ID of all passes."""
    number: int
    """How often the lot was tested before, from 1."""
    bins: tuple[int, ...]
    """The hard bins in which its devices lay."""

    @property
    def name(self) -> str:
        """Which pass it is: the end of the lot's name, and the begin of the names of its devices."""
        return f"R{self.number}"


class EarlierRun(Struct, frozen=True):
    """An ended run of other insertions, for whose results the rules of a lot may ask."""

    run: str
    """Its uuid, the same in every database."""
    flow: str
    lot: str
    source: str
    """The store in which it was read."""


class TraceList(Struct, frozen=True):
    """The list that said which die is in the package of each code."""

    source: str
    sha256: str


Profile: TypeAlias = Literal["compact", "compat"]
"""Whether later records of a test leave out what its first one has, or every record has every field."""


class Section(Struct, frozen=True, array_like=True):
    """Rows under one condition: its name, and the numbers of the first and the last test."""

    name: str
    first: int
    last: int


class PinGroup(Struct, frozen=True, array_like=True):
    """Channels of a site that go by one name: `io` of `io.IO`, `io.CLK` and `io.RST`."""

    name: str
    pins: tuple[str, ...]


class Datalog(Struct, frozen=True, omit_defaults=True):
    """What of a lot its STDF file says beside the results."""

    profile: Profile = "compact"
    sections: tuple[Section, ...] = ()
    """In table order, a section before those inside it; empty if the file has none."""
    groups: tuple[PinGroup, ...] = ()


class LotInfo(Struct, frozen=True):
    """What is known of a lot and its set-up before the first touchdown: the header of every record."""

    lot: str
    product: str
    sequence: str
    sequence_version: str
    fingerprint: str
    """SHA-256 of the sequence, hex."""
    station: str
    sites: tuple[int, ...]
    quantity: int
    """Devices received."""
    tests: tuple[TestDefinition, ...]
    bins: tuple[Bin, ...]
    """Every soft bin that a device of this lot can get."""
    pins: tuple[str, ...]
    """Channel names, the same at every site."""
    set_up: float
    """Seconds since 1970."""
    sublot: str = ""
    flow: str = "FT1"
    mode: str = "P"
    operator: str = ""
    temperature: str = ""
    """Set point in degrees Celsius; empty if nothing is heated or cooled."""
    station_number: int = 1
    plant: str = ""
    floor: str = ""
    version: str = ""
    handler: str = ""
    handler_id: str = ""
    limit_set: str = ""
    wafers: WaferGeometry | None = None
    """Of a lot on wafers, if the station file says it."""
    offsets: tuple[Offset, ...] = ()
    """A value of a test at a site, less its offset, is what was measured."""
    tempered: Temperature | None = None
    instruments: tuple[Instrument, ...] = ()
    bindings: tuple[Binding, ...] = ()
    software: tuple[Software, ...] = ()
    """More than one if the lot was taken up under another."""
    averaging: Averaging | None = None
    """How part averages were made, if they were."""
    second_pass: SecondPass | None = None
    """Of a lot whose devices had their bin before, in no order, and come again."""
    earlier: tuple[EarlierRun, ...] = ()
    """What its rules may ask for of insertions before this one, the oldest first."""
    traced: TraceList | None = None
    """By which its packages are known as dies, if they are."""
    datalog: Datalog = Datalog()


class Whereabouts(Enum):
    """Where a person finds a device of which the station does not know whether it was sorted."""

    SOCKET = "socket"
    """Where it was tested: the machine did not take the bin, and presents it again."""
    SORTED = "sorted"
    """In the bin that was ordered."""
    ERROR_BIN = "error bin"
    """Not where it should be, or nobody is sure: the person has put it into the bin for the unjudged."""
    MISSING = "missing"


class Quota(Struct, frozen=True):
    """What is left of the work order of a lot, as the vault knew when the lot was opened there."""

    order: str
    key_set: str
    """The keys that the vault works with."""
    product: str
    quantity: int
    begun: int
    """Devices that count as begun, of all lots."""
    begun_max: int
    sealed: int
    not_after: int
    """When the order ends, unix seconds."""


class LotClosing(Struct, frozen=True):
    """What the vault made of a lot's end."""

    accounts: Mapping[str, int]
    """How many units each account has, if the lot is closed."""
    open: str = ""
    """Why the lot stays open in the vault; empty if it is closed."""


def usable(value: float) -> bool:
    """Tell whether a reading is a number that a datalog can hold: finite as float32."""
    return isfinite(value) and abs(value) <= 3.4028234663852886e38
