"""The rows of a sequence's table: what each measures, and what else may be said of it."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial, update_wrapper
from typing import Any, Generic, TypeAlias, TypeVar, cast

import msgspec

from station.model import Bin, Limit, Measurement, Personalisation, Swept, TestDefinition
from station.set_up import Section


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


class OnAlarm(Enum):
    """What it means for a row that an instrument's limit held the output while it was read (compliance)."""

    IGNORE = "ignore"
    """Nothing: a row may be meant so, as one that looks for an open contact."""
    LOG = "log"
    """A note of the device."""
    FAIL = "fail"
    """A note, and the row has failed: without a value, unless its value fails already."""
    ERROR = "error"
    """A note, and the row is not judged: the reading tells of the limit, not of the device."""


@dataclass(frozen=True)
class Retry:
    """How often a row that failed is run again in the same contact; the last attempt decides."""

    times: int = 1
    settle_s: float = 0.0
    """How long to wait before each."""


Earlier: TypeAlias = Mapping[str, Measurement]
"""What the rows above have measured on this device in this contact, by the name of the test; beside it what
earlier insertions have, as `flow/test`. A row whose rule asks for one of those that is not known runs."""
When: TypeAlias = Callable[[Earlier], bool]
"""A rule that tells, from earlier results alone, whether a row runs; its name stands in the records."""


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
    retry: Retry | None = None
    alarm: OnAlarm = OnAlarm.IGNORE
    grades: tuple[tuple[Limit, Bin], ...] = ()
    """Best first: the first that holds is the device's grade in this row."""
    marginal: float = 0.0
    """A pass that is nearer to a limit than this share of the span between both is noted."""
    when: When | None = None
    skippable: bool = False
    swept: tuple[Swept, ...] = ()
    """What an engineer may vary in an engineering lot: each by its keyword, which the table leaves alone."""
    irreversible: bool = False
    """It does to the device what nothing undoes, as a blown fuse: no engineering lot or study runs it."""

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
    retry: Retry | None = None
    alarm: OnAlarm = OnAlarm.IGNORE
    when: When | None = None
    skippable: bool = False
    swept: tuple[Swept, ...] = ()
    irreversible: bool = False

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


def sections(rows: "tuple[Row[S], ...]") -> "Iterator[Section]":
    """Yield which tests stand under which condition, a condition before those inside it."""
    for row in everything(rows):
        if isinstance(row, While) and (numbers := [test.number for test in walk(row.rows)]):
            yield Section(function_name(row.condition), numbers[0], numbers[-1])


def definition(test: "Test[S]") -> TestDefinition:
    """Return what is fixed of a test."""
    match test:
        case Parametric():
            return TestDefinition(test.number, test.name, "M" if test.pins else "P", test.limit, test.pins)
        case Functional() | Entrusted() | Personalise():
            return TestDefinition(test.number, test.name, "F", None)


def described(row: "Row[S]") -> bytes:
    """Return what a fingerprint rests on, of one row."""
    match row:
        case Barrier():
            return b"barrier"
        case While():
            return b"while" + _qualified(row.condition) + msgspec.json.encode(row.bin)
        case Parametric():
            table = [row.number, row.name, row.limit, row.bin, row.pins, row.on_fail, row.timeout_s]
            table += _options(row)
        case Functional():
            table = [row.number, row.name, row.bin, row.on_fail, row.timeout_s, *_options(row)]
        case Entrusted():
            table = [row.number, row.name, row.bin, row.on_fail, row.timeout_s]
        case Personalise():
            table = [row.number, row.name, row.bin, row.timeout_s]
    return _qualified(row.run) + msgspec.json.encode(table)


def _qualified(function: Callable[..., object]) -> bytes:
    return f"{getattr(function, '__module__', '')}.{function_name(function)}".encode()


def function_of(row: "While[S] | Test[S]") -> Callable[..., object]:
    """Return what an engineer wrote for a row."""
    return row.condition if isinstance(row, While) else row.run


def on_alarm(test: "Judged[S]") -> OnAlarm:
    """Return what an alarm of its instruments means for a row."""
    return OnAlarm.IGNORE if isinstance(test, Entrusted) else test.alarm


def _options(row: "Parametric[S] | Functional[S]") -> list[object]:
    """What is said beside the table's columns; nothing of what is not used."""
    said: dict[str, object] = {}
    if row.retry is not None:
        said["retry"] = row.retry
    if row.alarm is not OnAlarm.IGNORE:
        said["alarm"] = row.alarm
    if isinstance(row, Parametric) and row.grades:
        said["grades"] = row.grades
    if isinstance(row, Parametric) and row.marginal:
        said["marginal"] = row.marginal
    if row.when is not None:
        said["when"] = _qualified(row.when).decode()
    if row.swept:
        said["swept"] = row.swept
    if row.irreversible:
        said["irreversible"] = True
    return [said] if said else []


def swept_at(row: "Parametric[S] | Functional[S]", values: Mapping[str, float]) -> "Judged[S]":
    """Return the row as it is at one point of a sweep."""
    run = update_wrapper(partial(row.run, **values), row.run)
    return replace(row, run=cast("Any", run))


def to_vault(rows: tuple[Row[S], ...]) -> tuple[Row[S], ...]:
    """Return what of a sequence brings a device to the vault, and nothing that tests it."""
    found = list[Row[S]]()
    for row in rows:
        match row:
            case While():
                if inner := to_vault(row.rows):
                    found.append(replace(row, rows=inner))
            case Personalise():
                found.append(row)
            case _:
                pass
    return tuple(found)
