"""What is measured, judged and told. Values only: no I/O, no clock, no task."""

from collections.abc import Mapping
from enum import Enum
from math import isfinite, isnan
from typing import Literal, TypeAlias

from msgspec import Struct

from station.set_up import (
    Averaging,
    Binding,
    Datalog,
    Instrument,
    Software,
    Study,
    Temperature,
    WaferGeometry,
)

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


NoteKind: TypeAlias = Literal["attempt", "skipped", "marginal", "alarm", "withheld"]
"""An attempt that failed and was followed by another one; a row that a rule left out; a pass near a limit;
an instrument that was at its own limit; a row of the vault in an engineering lot."""

SECOND_LOOK = "second look: "
"""How the text of an alarm begins that is none of the result that stands."""


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
    times_s: tuple[float, ...] = ()
    """How long each of its measurements took, as `station.durations` keeps it; empty where nobody took it."""

    @property
    def name(self) -> str:
        """Who it is in the lot: its code, or its running number. PART_ID in the datalog."""
        return self.code or str(self.part)


class Outcome(Struct, frozen=True):
    """What a contact came to, without its measurements."""

    site: int
    part: int
    contact: int
    soft: int
    hard: int
    kind: BinKind
    verdict: Verdict
    test_s: float
    cut_short: bool = False
    reason: str = ""
    notes: tuple[Note, ...] = ()


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


class Axis(Struct, frozen=True):
    """A parameter of a row that is swept, from one value to another, both included."""

    name: str
    start: float
    stop: float
    points: int


class Swept(Struct, frozen=True):
    """Between which values a parameter of a row may be swept: beyond them a device would be over-driven."""

    name: str
    """A keyword-only parameter of the row's function."""
    low: float
    high: float
    unit: str


PRODUCTION = "P"
"""The mode of a lot that is for a customer."""
ENGINEERING = "E"
"""The mode of a lot that is for engineers: nothing of it is personalised, and nothing of it ships."""


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
    mode: str = PRODUCTION
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
    study: Study | None = None
    """Of a lot whose devices are each tested several times."""
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


def usable(value: float) -> bool:
    """Tell whether a reading is a number that a datalog can hold: finite as float32."""
    return isfinite(value) and abs(value) <= 3.4028234663852886e38
