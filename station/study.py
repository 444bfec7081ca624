"""What a sequence becomes in a lot for engineers, and in a study, which tests each device several times."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from station.errors import ConfigError, SequenceError
from station.rows import Functional, Parametric, Personalise, Row, While
from station.rules import StopRules
from station.sequence import Retest, Sequence
from station.set_up import Study


def studied(sequence: Sequence[Any], trials: int) -> Sequence[Any]:
    """Return a sequence for a study: no rule stops it, nothing is moved, no device gets keys.

    SequenceError if it has an irreversible row.
    """
    _must_be_reversible("a study", sequence)
    return replace(
        sequence,
        rows=tuple(_measuring(sequence.rows)),
        retest=Retest(always=trials - 1),
        rules=StopRules(),
        outliers=None,
        quality=None,
    )


def engineered(sequence: Sequence[Any]) -> Sequence[Any]:
    """Return a sequence for an engineering lot: no rule stops what an engineer looks at.

    SequenceError if it has an irreversible row.
    """
    _must_be_reversible("an engineering lot", sequence)
    return replace(sequence, rules=StopRules(), stands_for=sequence.fingerprint())


def irreversible(lot: str, sequence: Sequence[Any]) -> str:
    """Say which rows keep a sequence from being run in such a lot; empty if it may be."""
    rows = (row for row in sequence.tests() if isinstance(row, Parametric | Functional) and row.irreversible)
    named = ", ".join(f"{row.number} {row.name}" for row in rows)
    return f"{lot} runs no irreversible row, and sequence {sequence.name} has {named}" if named else ""


def _must_be_reversible(lot: str, sequence: Sequence[Any]) -> None:
    if why := irreversible(lot, sequence):
        raise SequenceError(why)


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
