"""How a test engineer writes a sequence: plain async functions, and a typed table of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Generic

import msgspec

from station import sequence_checks
from station.errors import SequenceError
from station.grades import ranked
from station.model import Bin, TestDefinition
from station.model import Swept as Swept
from station.policies import Offset, Outliers, Quality
from station.policies import Retest as Retest
from station.rows import CONTINUE as CONTINUE
from station.rows import STOP as STOP
from station.rows import Barrier as Barrier
from station.rows import Condition as Condition
from station.rows import Die as Die
from station.rows import Earlier as Earlier
from station.rows import Entrusted as Entrusted
from station.rows import Functional as Functional
from station.rows import Judged as Judged
from station.rows import OnAlarm as OnAlarm
from station.rows import OnFail as OnFail
from station.rows import Parametric as Parametric
from station.rows import Personalise as Personalise
from station.rows import Retry as Retry
from station.rows import Row as Row
from station.rows import S as S
from station.rows import Site as Site
from station.rows import Test as Test
from station.rows import While as While
from station.rows import (
    definition,
    described,
    everything,
    function_of,
    walk,
)
from station.rows import function_name as function_name
from station.rules import StopRules, asked
from station.source import of_modules


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
    alarm: Bin | None = None
    """The station could not tell, for what an instrument said of itself; if there is none: `error`."""

    def all(self) -> tuple[Bin, ...]:
        """Return those that are there."""
        bins = (self.passing, self.error, self.default, self.untested)
        return bins if self.alarm is None else (*bins, self.alarm)


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
    empty: "tuple[Parametric[S] | Functional[S], ...]" = ()
    """What is measured at every site before a lot, with nothing in contact: each must pass. None goes into
    the datalog."""
    stands_for: bytes = b""
    """Fingerprint of the table of which this is a second pass: rows, limits and bins are the same."""

    def __post_init__(self) -> None:
        if wrong := sequence_checks.wrong(self):
            raise SequenceError(f"sequence {self.name!r}: " + "; ".join(wrong))

    def tests(self) -> "Iterator[Test[S]]":
        """Yield the rows that measure, in datalog order."""
        return walk(self.rows)

    def definitions(self) -> tuple[TestDefinition, ...]:
        """Return what is fixed of each test, in datalog order."""
        return tuple(definition(test) for test in self.tests())

    def all_bins(self) -> tuple[Bin, ...]:
        """Return every bin that a device can get, by number."""
        rows = tuple(row.bin for row in everything(self.rows) if not isinstance(row, Barrier) and row.bin)
        named = {bin_.number: bin_ for bin_ in (*self.bins.all(), *rows, *self.grades, *self.policy_bins())}
        return tuple(sorted(named.values(), key=lambda b: b.number))

    @cached_property
    def grades(self) -> tuple[Bin, ...]:
        """Every passing bin that rows give, best first."""
        return ranked(self.tests())

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
        if self.stands_for:
            return self.stands_for
        digest = sha256()
        rows = [row for row in everything(self.rows) if not isinstance(row, Barrier)]
        rules = [row.when for row in rows if isinstance(row, Parametric | Functional) and row.when]
        for text in of_modules(
            function.__module__ for function in (*map(function_of, (*rows, *self.empty)), *rules)
        ):
            digest.update(text)
        for row in everything(self.rows):
            digest.update(described(row))
        bins = msgspec.json.encode(
            [
                self.all_bins(),
                sorted(b.number for b in self.retest.bins),
                self.retest.times,
                asked(self.rules),
            ]
        )
        for row in self.empty:
            digest.update(b"empty" + described(row))
        digest.update(msgspec.json.encode([self.name, self.version, self.product]) + bins)
        retest = self.retest
        again = [retest.turn_on, retest.useless_after, retest.min_recovered, retest.always]
        again += [retest.at_end, retest.other_site, retest.confirm] if retest.late else []
        if self.outliers or self.quality or self.offsets or again != [0, 0, Retest().min_recovered, 0]:
            outliers = None if self.outliers is None else self.outliers.asked()
            digest.update(msgspec.json.encode([outliers, self.quality, self.offsets, again]))
        return digest.digest()
