"""Gauge studies: from lots, one an operator, and from tables that people keep."""

import csv
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from station.analysis.lot import Lot
from station.errors import AnalysisError

COLUMNS = ("part", "operator", "trial", "value")


def gauge_values(path: Path) -> NDArray[np.float64]:
    """Return parts × operators × trials of a CSV file with the columns part, operator, trial and value."""
    cells = dict[tuple[str, str, str], float]()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                needed = ", ".join(COLUMNS)
                raise AnalysisError(f"{path}: the column {missing[0]} is missing: {needed} are needed")
            for line, row in enumerate(reader, 2):
                key = (row["part"], row["operator"], row["trial"])
                if key in cells:
                    raise AnalysisError(f"{path}: line {line}: part, operator, trial {key} are there twice")
                cells[key] = _number(row["value"], f"{path}: line {line}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnalysisError(f"{path}: it is no CSV file: {error}") from None
    return _filled(cells, path)


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise AnalysisError(f"{where}: the value {text!r} is no number")
    return value


def _filled(cells: dict[tuple[str, str, str], float], path: Path) -> NDArray[np.float64]:
    parts, operators, trials = ({key[i]: None for key in cells} for i in range(3))
    for part in parts:
        for operator in operators:
            for trial in trials:
                if (part, operator, trial) not in cells:
                    raise AnalysisError(f"{path}: part {part}, operator {operator}, trial {trial} is missing")
    return np.array([[[cells[p, o, t] for t in trials] for o in operators] for p in parts], float)


def of_lots(lots: Sequence[Lot], number: int) -> NDArray[np.float64]:
    """Return parts × operators × trials of a test; each lot is one operator's, of the same parts.

    AnalysisError names the parts that have not as many values as the others, in a lot.
    """
    column = lots[0].column(number)
    trials = max(Counter(lots[0].contacts.part.tolist()).values(), default=0)
    parts = list(dict.fromkeys(lots[0].contacts.part.tolist()))
    of_operator = list[list[list[float]]]()
    for lot in lots:
        found: dict[str, list[float]] = {part: [] for part in parts}
        pairs = zip(lot.contacts.part.tolist(), lot.values[:, lot.column(number)].tolist(), strict=True)
        for part, value in pairs:
            found.setdefault(part, []).append(value)
        bad = [part for part, kept in found.items() if len(kept) != trials or not np.isfinite(kept).all()]
        if bad:
            told = ", ".join(bad)
            wrong = f"parts {told} have not {trials} values of test {number}"
            raise AnalysisError(f"{lot.name}: {wrong}; choose others")
        of_operator.append(list(found.values()))
    if lots[0].tests[column].kind != "P":
        raise AnalysisError(f"test {number} gives no number")
    return np.array(of_operator, float).transpose(1, 0, 2)


def table(values: NDArray[np.float64], operators: Sequence[str]) -> str:
    """Return a study as the CSV that `gauge_values` reads."""
    out = StringIO()
    rows = (
        (part + 1, operators[operator], trial + 1, repr(float(value)))
        for operator, of in enumerate(values.transpose(1, 0, 2))
        for part, trials in enumerate(of)
        for trial, value in enumerate(trials)
    )
    csv.writer(out, lineterminator="\n").writerows([COLUMNS, *rows])
    return out.getvalue()
