"""How a test engineer writes a sequence: plain async functions, and a typed table of them."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Generic, TypeAlias, TypeVar

import msgspec

from station.errors import SequenceError
from station.model import Bin, BinKind, Limit, Personalisation, TestDefinition
from station.policies import Offset, Outliers, Quality, misplaced
from station.policies import Retest as Retest
from station.rules import StopRules
from station.source import of_modules

MAX_NUMBER = 4_294_967_295
MAX_BIN = 32_767


@dataclass(frozen=True)
class Site:
    """What is bound to one site; each product subclasses it with the roles it needs."""

    number: int


@dataclass(frozen=True)
class Die:
    """What the vault must be told of the device at a row that it serves."""

    unit: str
    """Lot and place: `L1017/T03/118`."""
    lot: str
    contact: int
    site: int
    fingerprint: bytes
    session: bytes
    again: bool = False
    """The vault had begun with it when the station stopped: it goes on, or verifies what it has sealed."""


S = TypeVar("S", bound=Site)
S_contra = TypeVar("S_contra", bound=Site, contravariant=True)

ParametricFunction: TypeAlias = Callable[[S], Awaitable[float | Mapping[str, float]]]
FunctionalFunction: TypeAlias = Callable[[S], Awaitable[bool]]
EntrustedFunction: TypeAlias = Callable[[S, Die], Awaitable[bool]]
PersonaliseFunction: TypeAlias = Callable[[S, Die], Awaitable[Personalisation]]
Condition: TypeAlias = Callable[[S], AbstractAsyncContextManager[None]]


class OnFail(Enum):
    """What a failing row means for the rows after it."""

    STOP = "stop"
    CONTINUE = "continue"


STOP, CONTINUE = OnFail.STOP, OnFail.CONTINUE


@dataclass(frozen=True)
class Parametric(Generic[S]):
    """A row that returns a float (PTR) or a mapping of pin to float (MPR, `pins` in datalog order)."""

    number: int
    run: ParametricFunction[S]
    limit: Limit
    bin: Bin | None = None
    pins: tuple[str, ...] = ()
    on_fail: OnFail = STOP
    timeout_s: float = 5.0

    @property
    def name(self) -> str:
        """The function's name is the test's name."""
        return function_name(self.run)


@dataclass(frozen=True)
class Functional(Generic[S]):
    """A row that returns whether the device did what it should (FTR)."""

    number: int
    run: FunctionalFunction[S]
    bin: Bin | None = None
    on_fail: OnFail = STOP
    timeout_s: float = 5.0

    @property
    def name(self) -> str:
        """The function's name is the test's name."""
        return function_name(self.run)


@dataclass(frozen=True)
class Entrusted(Generic[S]):
    """A row in which the vault serves a device in test: loads its keys, or opens its test port (FTR)."""

    number: int
    run: EntrustedFunction[S]
    bin: Bin | None = None
    on_fail: OnFail = STOP
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        """The function's name is the test's name."""
        return function_name(self.run)


@dataclass(frozen=True)
class Personalise(Generic[S]):
    """The row that gives a passed device its identity: the last one, once, never tried again."""

    number: int
    run: PersonaliseFunction[S]
    bin: Bin | None = None
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        """The function's name is the test's name."""
        return function_name(self.run)


@dataclass(frozen=True)
class While(Generic[S]):
    """Rows under a condition that is always undone, however the rows end."""

    condition: Condition[S]
    rows: "tuple[Row[S], ...]"
    bin: Bin | None = None


@dataclass(frozen=True)
class Barrier:
    """Where the sites wait for each other; a site that stops leaves the count."""


Judged: TypeAlias = Parametric[S] | Functional[S] | Entrusted[S]
Test: TypeAlias = Judged[S] | Personalise[S]
Row: TypeAlias = Test[S] | While[S] | Barrier


@dataclass(frozen=True)
class StationBins:
    """The bins that no failing row names, each mandatory: no device leaves without one."""

    passing: Bin
    error: Bin
    """The station could not tell."""
    default: Bin
    """Neither a failing row nor a complete pass."""
    untested: Bin
    """Present, never powered."""


@dataclass(frozen=True)
class Sequence(Generic[S]):
    """A table of rows that is checked when it is made: misuse never meets a device."""

    name: str
    version: str
    site: type[S]
    bins: StationBins
    rows: "tuple[Row[S], ...]"
    retest: Retest = field(default_factory=Retest)
    rules: StopRules = field(default_factory=StopRules)
    product: str = ""
    outliers: Outliers | None = None
    quality: Quality | None = None
    offsets: tuple[Offset, ...] = ()

    def __post_init__(self) -> None:
        check(self)

    def tests(self) -> "Iterator[Test[S]]":
        """Yield the rows that measure, in datalog order."""
        return walk(self.rows)

    def definitions(self) -> tuple[TestDefinition, ...]:
        """Return what is fixed of each test, in datalog order."""
        return tuple(_definition(test) for test in self.tests())

    def all_bins(self) -> tuple[Bin, ...]:
        """Return every bin that a device can get, by number."""
        station = (self.bins.passing, self.bins.error, self.bins.default, self.bins.untested)
        rows = tuple(row.bin for row in everything(self.rows) if not isinstance(row, Barrier) and row.bin)
        named = {bin_.number: bin_ for bin_ in (*station, *rows, *self.policy_bins())}
        return tuple(sorted(named.values(), key=lambda b: b.number))

    def policy_bins(self) -> tuple[Bin, ...]:
        """Return the bins of outliers and of devices that fail a second look."""
        return tuple(policy.bin for policy in (self.outliers, self.quality) if policy is not None)

    @property
    def personalises(self) -> bool:
        """Whether a row of it gives devices an identity."""
        return any(isinstance(test, Personalise) for test in self.tests())

    @property
    def spoiled(self) -> Bin | None:
        """The bin of a device whose personalisation began and was not sealed."""
        return next((test.bin for test in self.tests() if isinstance(test, Personalise)), None)

    def fingerprint(self) -> bytes:
        """SHA-256 over the table and the source of every module of its package that it rests on: 32 bytes."""
        digest = sha256()
        named = (_function(row) for row in everything(self.rows) if not isinstance(row, Barrier))
        for text in of_modules(function.__module__ for function in named):
            digest.update(text)
        for row in everything(self.rows):
            digest.update(_described(row))
        bins = msgspec.json.encode(
            [self.all_bins(), sorted(b.number for b in self.retest.bins), self.retest.times, self.rules]
        )
        digest.update(msgspec.json.encode([self.name, self.version, self.product]) + bins)
        retest = self.retest
        again = [retest.turn_on, retest.useless_after, retest.min_recovered, retest.always]
        again += [retest.at_end, retest.other_site, retest.confirm] if retest.late else []
        if self.outliers or self.quality or self.offsets or again != [0, 0, Retest().min_recovered, 0]:
            digest.update(msgspec.json.encode([self.outliers, self.quality, self.offsets, again]))
        return digest.digest()


def function_name(function: Callable[..., object]) -> str:
    """Return the name under which a row's function goes into the datalog."""
    return getattr(function, "__name__", "") or type(function).__name__


def everything(rows: "tuple[Row[S], ...]") -> "Iterator[Row[S]]":
    """Yield every row, conditions before what is under them."""
    for row in rows:
        yield row
        if isinstance(row, While):
            yield from everything(row.rows)


def walk(rows: "tuple[Row[S], ...]") -> "Iterator[Test[S]]":
    """Yield the rows that measure."""
    for row in everything(rows):
        if not isinstance(row, While | Barrier):
            yield row


def _definition(test: "Test[S]") -> TestDefinition:
    match test:
        case Parametric():
            return TestDefinition(test.number, test.name, "M" if test.pins else "P", test.limit, test.pins)
        case Functional() | Entrusted() | Personalise():
            return TestDefinition(test.number, test.name, "F", None)


def _described(row: "Row[S]") -> bytes:
    match row:
        case Barrier():
            return b"barrier"
        case While():
            return b"while" + _qualified(row.condition) + msgspec.json.encode(row.bin)
        case Parametric():
            table = [row.number, row.name, row.limit, row.bin, row.pins, row.on_fail, row.timeout_s]
        case Functional() | Entrusted():
            table = [row.number, row.name, row.bin, row.on_fail, row.timeout_s]
        case Personalise():
            table = [row.number, row.name, row.bin, row.timeout_s]
    return _qualified(row.run) + msgspec.json.encode(table)


def _qualified(function: Callable[..., object]) -> bytes:
    return f"{getattr(function, '__module__', '')}.{function_name(function)}".encode()


def _function(row: "While[S] | Test[S]") -> Callable[..., object]:
    return row.condition if isinstance(row, While) else row.run


def check(sequence: "Sequence[S]") -> None:
    """Refuse a table that cannot be valid, naming every difference at once."""
    rules = sequence.rules.wrong({bin_.number for bin_ in _named(sequence)})
    wrong = [
        *_numbers(sequence),
        *_bins(sequence),
        *_personalise(sequence),
        *_retest(sequence),
        *rules,
        *_policies(sequence),
    ]
    if wrong:
        raise SequenceError(f"sequence {sequence.name!r}: " + "; ".join(wrong))


def _policies(sequence: "Sequence[S]") -> Iterator[str]:
    parametric = {test.number for test in sequence.tests() if isinstance(test, Parametric)}
    if sequence.outliers is not None:
        yield from sequence.outliers.wrong()
        for number in sequence.outliers.tests:
            if number not in parametric:
                yield f"outliers: there is no parametric test {number}"
    if sequence.retest.always and sequence.personalises:
        yield "retest: a device is not landed again behind its personalisation, always must be 0"
    if sequence.quality is not None:
        yield from sequence.quality.wrong(personalises=sequence.personalises)
    yield from misplaced(sequence.offsets, parametric)


def _numbers(sequence: "Sequence[S]") -> Iterator[str]:
    last, seen = 0, set[str]()
    if not any(True for _ in sequence.tests()):
        yield "it has no row"
    for test in sequence.tests():
        if not 1 <= test.number <= MAX_NUMBER:
            yield f"test {test.name}: number {test.number} is outside 1..{MAX_NUMBER}"
        if test.number <= last:
            yield f"test {test.name}: number {test.number} must be above {last}, numbers rise and are unique"
        if test.name in seen:
            yield f"test {test.number}: the name {test.name!r} is taken"
        limit = test.limit if isinstance(test, Parametric) else None
        if limit and limit.low is not None and limit.high is not None and not limit.low <= limit.high:
            yield f"test {test.name}: low {limit.low:g} is above high {limit.high:g}, or is no number"
        if test.timeout_s <= 0:
            yield f"test {test.name}: timeout_s must be above 0"
        last = max(last, test.number)
        seen.add(test.name)


def _bins(sequence: "Sequence[S]") -> Iterator[str]:
    yield from _row_bins(sequence)
    names = dict[int, str]()
    hard = dict[int, BinKind]()
    roles = sequence.bins
    for role, bin_, kind in (
        ("passing", roles.passing, BinKind.PASS),
        ("error", roles.error, BinKind.OTHER),
        ("default", roles.default, BinKind.FAIL),
        ("untested", roles.untested, BinKind.OTHER),
    ):
        if bin_.kind is not kind:
            yield f"the {role} bin {bin_.name!r} is of kind {bin_.kind.value}, it must be {kind.value}"
    for bin_ in _named(sequence):
        if not 0 <= bin_.number <= MAX_BIN or not 0 <= bin_.hard <= MAX_BIN:
            yield f"bin {bin_.name!r}: numbers lie in 0..{MAX_BIN}"
        if names.setdefault(bin_.number, bin_.name) != bin_.name:
            yield f"bin {bin_.number} has two names, {names[bin_.number]!r} and {bin_.name!r}"
        if hard.setdefault(bin_.hard, bin_.kind) is not bin_.kind:
            yield f"hard bin {bin_.hard} mixes {hard[bin_.hard].value} and {bin_.kind.value}"


def _named(sequence: "Sequence[S]") -> list[Bin]:
    roles = sequence.bins
    rows = [row.bin for row in everything(sequence.rows) if not isinstance(row, Barrier) and row.bin]
    return [roles.passing, roles.error, roles.default, roles.untested, *rows, *sequence.policy_bins()]


def _row_bins(sequence: "Sequence[S]") -> Iterator[str]:
    for row in everything(sequence.rows):
        if isinstance(row, Barrier):
            continue
        name = function_name(row.condition) if isinstance(row, While) else f"{row.number} {row.name}"
        if row.bin is None:
            yield f"row {name} has no bin"
        elif row.bin.kind is not BinKind.FAIL:
            kind = row.bin.kind.value
            yield f"row {name}: its bin {row.bin.name!r} is of kind {kind}, a failing row needs fail"
        if isinstance(row, While) and not row.rows:
            yield f"condition {name} has no rows"


def _personalise(sequence: "Sequence[S]") -> Iterator[str]:
    tests = list(sequence.tests())
    rows = [test for test in tests if isinstance(test, Personalise)]
    if not rows:
        return
    if len(rows) > 1 or tests[-1] is not rows[0]:
        yield "the Personalise row must be the last and the only one"
    spoiled = rows[0].bin
    for bin_ in _named(sequence):
        if spoiled and bin_.number != spoiled.number and bin_.hard == spoiled.hard:
            yield f"hard bin {bin_.hard} of {bin_.name!r} is the spoiled one, which is shared with nothing"
    if any(test is not rows[0] and test.bin == spoiled for test in tests):
        yield "the bin of the Personalise row is the spoiled bin, no other row may use it"


def _retest(sequence: "Sequence[S]") -> Iterator[str]:
    yield from sequence.retest.wrong()
    known = {bin_.number for bin_ in _named(sequence)}
    for bin_ in sorted(sequence.retest.bins, key=lambda b: b.number):
        if bin_.kind is BinKind.PASS:
            yield f"retest bin {bin_.name!r} is a passing bin"
        elif bin_ in sequence.policy_bins():
            yield f"retest bin {bin_.name!r} is one of outliers, or of a second look that failed"
        elif bin_ == sequence.spoiled:
            yield f"retest bin {bin_.name!r} is the spoiled bin: a spoiled device is never tested again"
        elif bin_.number not in known:
            yield f"retest bin {bin_.name!r} is used by no row"
