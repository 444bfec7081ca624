"""What a sequence becomes in a lot for engineers, and in a study, which tests each device several times."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from station.errors import ConfigError
from station.rows import Personalise, Row, While
from station.rules import StopRules
from station.sequence import Retest, Sequence
from station.set_up import Study


def studied(sequence: Sequence[Any], trials: int) -> Sequence[Any]:
    """Return a sequence for a study: no rule stops it, nothing is moved, no device gets keys."""
    return replace(
        sequence,
        rows=tuple(_measuring(sequence.rows)),
        retest=Retest(always=trials - 1),
        rules=StopRules(),
        outliers=None,
        quality=None,
    )


def engineered(sequence: Sequence[Any]) -> Sequence[Any]:
    """Return a sequence for an engineering lot: no rule stops what an engineer looks at."""
    return replace(sequence, rules=StopRules(), stands_for=sequence.fingerprint())


def must_know(sequence: Sequence[Any], study: Study) -> None:
    """ConfigError unless the test of a study is one of the sequence that gives a number."""
    if study.test and study.test not in {one.number for one in sequence.definitions() if one.kind == "P"}:
        raise ConfigError(f"sequence {sequence.name} has no test {study.test} that gives a number")


def _measuring(rows: "tuple[Row[Any], ...]") -> "Iterator[Row[Any]]":
    for row in rows:
        if isinstance(row, While):
            if inside := tuple(_measuring(row.rows)):
                yield replace(row, rows=inside)
        elif not isinstance(row, Personalise):
            yield row
