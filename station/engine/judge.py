"""From what a row's function returned to a verdict. Pure."""

from collections.abc import Mapping
from math import isnan, nan

from drivers.errors import DutError
from station.model import Ending, Limit, Measurement, RecordKind, Verdict, usable
from station.sequence import Entrusted, Functional, Judged, Parametric, S, Test

PASSED, FAILED, VALUE = (
    Verdict.PASSED,
    Verdict.FAILED,
    Ending.VALUE,
)  # looked up once: asked for at every reading
LARGEST = 3.4028234663852886e38


def judged(test: Judged[S], reading: object) -> Measurement:
    """Compare what the function returned with the row's limit; a missing value is never a pass."""
    if (
        type(test) is Parametric
        and type(reading) is float
        and -LARGEST <= reading <= LARGEST
        and not test.pins
    ):
        verdict = PASSED if test.limit.holds(reading) else FAILED
        return Measurement(test.number, test.name, "P", verdict, VALUE, reading)
    match test:
        case Functional() | Entrusted():
            return _functional(test, reading)
        case Parametric(pins=()):
            return _parametric(test, reading)
        case Parametric():
            return _pins(test, reading)


def corrected(reading: object, offset: float) -> object:
    """Add a correlation offset to a number, or to each number of a mapping; everything else stays."""
    if isinstance(reading, Mapping):
        return {pin: corrected(value, offset) for pin, value in reading.items()}
    if isinstance(reading, bool) or not isinstance(reading, int | float):
        return reading
    return reading + offset


def _functional(test: Functional[S] | Entrusted[S], reading: object) -> Measurement:
    if not isinstance(reading, bool):
        return unjudged(test, Ending.NO_VALUE, f"returned {type(reading).__name__}, not a bool")
    return Measurement(test.number, test.name, "F", Verdict.PASSED if reading else Verdict.FAILED)


def _parametric(test: Parametric[S], reading: object) -> Measurement:
    if type(reading) is not float:
        if isinstance(reading, bool) or not isinstance(reading, int | float):
            return unjudged(test, Ending.NO_VALUE, f"returned {type(reading).__name__}, not a float")
        reading = float(reading)
    if isnan(reading):
        return unjudged(test, Ending.NO_VALUE, "returned NaN")
    if not usable(reading):
        return Measurement(test.number, test.name, "P", Verdict.FAILED, Ending.OVER_RANGE, reading)
    verdict = PASSED if test.limit.holds(reading) else FAILED
    return Measurement(test.number, test.name, "P", verdict, VALUE, reading)


def _pins(test: Parametric[S], reading: object) -> Measurement:
    if not isinstance(reading, Mapping) or set(reading) != set(test.pins):
        return unjudged(test, Ending.NO_VALUE, f"did not return exactly the pins {', '.join(test.pins)}")
    values = tuple(_number(reading[pin]) for pin in test.pins)
    for pin, value in zip(test.pins, values, strict=True):
        if isnan(value):
            return unjudged(test, Ending.NO_VALUE, f"pin {pin} has no value: {reading[pin]!r}")
    failing = first_failing(test.limit, test.pins, values)
    ending = Ending.VALUE if all(usable(value) for value in values) else Ending.OVER_RANGE
    verdict = Verdict.FAILED if failing else Verdict.PASSED
    return Measurement(test.number, test.name, "M", verdict, ending, values=values, text=failing)


def _number(value: object) -> float:
    """Return a reading as a float; NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return nan
    return float(value)


def first_failing(limit: Limit, pins: tuple[str, ...], values: tuple[float, ...]) -> str:
    """Name the first pin outside the limit; empty when all hold."""
    for pin, value in zip(pins, values, strict=True):
        if not usable(value) or not limit.holds(value):
            return pin
    return ""


def misbehaved(test: Test[S], error: DutError) -> Measurement:
    """The device did not do what it should: its test has failed, without a value."""
    ending = Ending.DUT_SILENT if error.silent else Ending.DUT_ERROR
    return Measurement(test.number, test.name, kind_of(test), Verdict.FAILED, ending, text=str(error))


def unjudged(test: Test[S], ending: Ending, reason: str) -> Measurement:
    """The station could not tell."""
    return Measurement(test.number, test.name, kind_of(test), Verdict.NOT_JUDGED, ending, text=reason)


def kind_of(test: Test[S]) -> RecordKind:
    """Return the record that a row becomes."""
    if isinstance(test, Parametric):
        return "M" if test.pins else "P"
    return "F"
