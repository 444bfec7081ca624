"""Golden units: known devices measured again, beside their reference values. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct

from station import toml_file
from station.errors import AnalysisError, ConfigError
from station.model import TestDefinition

Number = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,9}\Z")]
"""Of a test, as a key of a table."""
Positive = Annotated[float, Meta(gt=0)]
SPREADS = 6.0
"""A learned tolerance: so many times what one unit scatters at one site."""
OF_SPAN = 0.01
"""And never less than this share of what lies between the limits."""
MOST_OF_SPAN = 0.2
"""An offset is no larger a share of the span: recipes refuse it."""
LEAST = 2
"""Contacts of a unit at a site: one alone has no spread."""


class Tolerance(Struct, frozen=True, forbid_unknown_fields=True):
    """How far the mean at a site may lie from the reference, and how far values may scatter there."""

    shift: Positive
    spread: Positive


class Unit(Struct, frozen=True, forbid_unknown_fields=True):
    """One known device; they are put in in the order of the file."""

    name: str
    values: dict[Number, float]
    """By test, in its unit."""
    code: str = ""
    """What is read on it, where a cell reads codes: it is never product."""


class Units(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    name: str
    product: str
    sequence: str
    """Name of the sequence that measures them."""
    tolerance: dict[Number, Tolerance]
    units: tuple[Unit, ...]

    def digest(self) -> str:
        """SHA-256 of what the file says, hex."""
        return sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Seen(Struct, frozen=True):
    """One test at one site."""

    test: int
    name: str
    site: int
    contacts: int
    shift: float
    """Mean distance from the reference values."""
    spread: float
    """Standard deviation of the distances."""
    allowed: Tolerance
    passed: bool


class Offset(Struct, frozen=True):
    """What would bring a test at a site back: a proposal that an engineer may put into a recipe."""

    test: int
    site: int
    value: float
    allowed: bool
    """Whether a recipe takes it: no more than a fifth of the span."""


class Check(Struct, frozen=True):
    """What became of the golden units, kept as `golden.json`."""

    units: str
    units_sha256: str
    product: str
    sequence: str
    fingerprint: str
    station: str
    sites: tuple[int, ...]
    at: float
    """When it ended, seconds since 1970."""
    passed: bool
    seen: tuple[Seen, ...]
    offsets: tuple[Offset, ...]


class Contact(Struct, frozen=True):
    """Values of one contact of one unit, by test."""

    part: int
    site: int
    values: Mapping[int, float]


def read(path: Path) -> Units:
    """Read a file of golden units; AnalysisError says what is wrong, where, and what is allowed."""
    try:
        units = toml_file.read(path, Units, str_keys=True)
    except ConfigError as error:
        raise AnalysisError(str(error)) from error
    wrong = list(_wrong(units))
    if wrong:
        raise AnalysisError(f"{path}: " + "; ".join(wrong))
    return units


def _wrong(units: Units) -> Iterator[str]:
    if not units.units or not units.tolerance:
        yield "one unit or more, and the tolerance of one test or more are needed"
    names = [unit.name for unit in units.units]
    if len(set(names)) < len(names):
        yield "two units have one name"
    codes = [unit.code for unit in units.units if unit.code]
    if len(set(codes)) < len(codes):
        yield "two units have one code"
    for unit in units.units:
        if missing := sorted(units.tolerance.keys() - unit.values.keys(), key=int):
            yield f"unit {unit.name}: no reference value of test {', '.join(missing)}"
        if not np.isfinite(list(unit.values.values())).all():
            yield f"unit {unit.name}: a reference value is no number"


def learned(
    name: str, product: str, sequence: str, tests: Iterable[TestDefinition], contacts: Iterable[Contact]
) -> Units:
    """Take what was measured as reference: the mean of each unit; the tolerance from how it scatters."""
    parametric = {test.number: test for test in tests if test.kind == "P"}
    of_unit = dict[int, list[Contact]]()
    for contact in contacts:
        of_unit.setdefault(contact.part, []).append(contact)
    if not of_unit or min(map(len, of_unit.values())) < LEAST:
        raise AnalysisError(f"each unit must have {LEAST} contacts or more")
    table = {number: [_values(of, number) for of in of_unit.values()] for number in parametric}
    usable = {number: rows for number, rows in table.items() if np.isfinite(np.concatenate(rows)).all()}
    if not usable:
        bad = [
            part for place, part in enumerate(of_unit) if not _whole(rows[place] for rows in table.values())
        ]
        raise AnalysisError(
            f"no parametric test has a value of each unit at each contact; look at units {bad}"
        )
    units = [
        Unit(f"G{part}", {str(number): float(rows[place].mean()) for number, rows in usable.items()})
        for place, part in enumerate(of_unit)
    ]
    tolerance = {str(number): _tolerance(rows, parametric[number]) for number, rows in usable.items()}
    return Units(name, product, sequence, tolerance, tuple(units))


def _values(contacts: Iterable[Contact], test: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([contact.values.get(test, np.nan) for contact in contacts], np.float64)


def _tolerance(rows: "list[np.ndarray[tuple[int], np.dtype[np.float64]]]", test: TestDefinition) -> Tolerance:
    pooled = float(np.sqrt(np.mean([row.var(ddof=1) for row in rows])))
    least = OF_SPAN * (_span(test) or 0.0)
    most = max(SPREADS * pooled, least, float(np.finfo(float).tiny))
    return Tolerance(most, most)


def _whole(rows: "Iterable[np.ndarray[tuple[int], np.dtype[np.float64]]]") -> bool:
    return any(np.isfinite(row).all() for row in rows)


def _span(test: TestDefinition | None) -> float | None:
    limit = None if test is None else test.limit
    if limit is None or limit.low is None or limit.high is None:
        return None
    return limit.high - limit.low


def seen(
    units: Units, tests: Iterable[TestDefinition], sites: Iterable[int], contacts: Iterable[Contact]
) -> tuple[Seen, ...]:
    """Compare each test at each site with the references; AnalysisError if a site met units too seldom."""
    contacts, sites = tuple(contacts), tuple(sites)
    names = {test.number: test.name for test in tests}
    if unknown := sorted(set(map(int, units.tolerance)) - names.keys()):
        raise AnalysisError(f"units {units.name}: the sequence has no test {', '.join(map(str, unknown))}")
    met = {site: [contact for contact in contacts if contact.site == site] for site in sites}
    if few := [site for site, of in met.items() if len(of) < LEAST]:
        raise AnalysisError(f"sites {few} met a golden unit less than {LEAST} times: put one in at each site")
    return tuple(
        _seen(units, int(test), names[int(test)], site, met[site])
        for test in sorted(units.tolerance, key=int)
        for site in sites
    )


def _seen(units: Units, test: int, name: str, site: int, contacts: list[Contact]) -> Seen:
    references = [units.units[contact.part - 1].values[str(test)] for contact in contacts]
    away = _values(contacts, test) - np.array(references)
    allowed = units.tolerance[str(test)]
    shift, spread = float(away.mean()), float(away.std(ddof=1))
    passed = bool(abs(shift) <= allowed.shift and spread <= allowed.spread)  # NaN, no value, is neither
    return Seen(test, name, site, len(contacts), shift, spread, allowed, passed)


def offsets(found: Iterable[Seen], tests: Iterable[TestDefinition]) -> tuple[Offset, ...]:
    """Propose what brings back the tests whose mean has shifted beyond its tolerance."""
    spans = {test.number: _span(test) for test in tests}
    shifted = [one for one in found if abs(one.shift) > one.allowed.shift]
    return tuple(
        Offset(one.test, one.site, -one.shift, _small(one.shift, spans[one.test])) for one in shifted
    )


def _small(shift: float, span: float | None) -> bool:
    return span is None or abs(shift) <= MOST_OF_SPAN * span
