"""Studies from tables that people keep: CSV of a gauge study, read with one message for what is wrong."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
