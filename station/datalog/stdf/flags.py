"""The flag bits of test and part records, from what the engine says of a row and a device."""

import struct

from station.datalog.stdf.fields import LITTLE
from station.model import BinKind, DeviceResult, Ending, Limit, Measurement, Verdict, usable

FLOAT = struct.Struct(LITTLE + "f")
INTEGER = struct.Struct(LITTLE + "i")

NO_RESULT = 0x02
"""TEST_FLG bit 1, of a PTR only."""
FAILED, NOT_JUDGED = 0x80, 0x40
ALARM = 0x01
"""TEST_FLG bit 0: an instrument was at its limit, or switched itself off."""
UNUSABLE_TEST, UNUSABLE_PARM = 0x3F, 0x07
"""A RESULT is usable only if none of these bits is set."""
INCLUSIVE = 0xC0
HIGH, LOW = 0x08, 0x10
NO_SPEC, NO_LOW, NO_HIGH = 0x0E, 0x40, 0x80
LOW_SPEC, HIGH_SPEC = 0x04, 0x08
"""Bits of NO_SPEC: 1 where there is no spec limit on that side."""
SUPERSEDES_PART, SUPERSEDES_DIE = 0x01, 0x02
SUPERSEDES = SUPERSEDES_PART | SUPERSEDES_DIE

_VALUE_FLAGS = {Verdict.PASSED: 0x00, Verdict.FAILED: FAILED, Verdict.NOT_JUDGED: NOT_JUDGED}
_ENDING_FLAGS = {
    Ending.OVER_RANGE: 0x82,
    Ending.DUT_ERROR: 0x82,
    Ending.DUT_SILENT: 0x8A,
    Ending.NO_VALUE: 0x42,
    Ending.EQUIPMENT: 0x42,
    Ending.TIMEOUT: 0x4A,
    Ending.ABORTED: 0x62,
}
_PART_FLAGS = {Verdict.PASSED: 0x00, Verdict.FAILED: 0x08, Verdict.NOT_JUDGED: 0x14}
PASS_FAIL = {BinKind.PASS: "P", BinKind.FAIL: "F", BinKind.OTHER: " "}


def ending(measurement: Measurement) -> Ending:
    """Return how a row ended; a value that no record can hold is none."""
    value = measurement.value
    if measurement.ending is not Ending.VALUE or measurement.kind != "P":
        return measurement.ending
    if value is None or value != value:
        return Ending.NO_VALUE
    return Ending.VALUE if usable(value) else Ending.OVER_RANGE


def test_flags(measurement: Measurement) -> int:
    """Return TEST_FLG: bit 1, no result, is for PTR only."""
    end = ending(measurement)
    flags = _VALUE_FLAGS[measurement.verdict] if end is Ending.VALUE else _ENDING_FLAGS[end]
    return flags if measurement.kind == "P" else flags & ~NO_RESULT


def parm_flags(measurement: Measurement, limit: Limit | None) -> int:
    """Return PARM_FLG: limits are inclusive; a failing or over-range value says on which side it lies."""
    if measurement.kind == "M":
        values = measurement.values
    else:
        values = () if measurement.value is None else (measurement.value,)
    flags = INCLUSIVE
    if ending(measurement) is Ending.OVER_RANGE and measurement.kind == "P":
        return flags | (HIGH if values and values[0] > 0 else LOW if values else 0)
    judged = ending(measurement) in {Ending.VALUE, Ending.OVER_RANGE}
    if not judged or measurement.verdict is not Verdict.FAILED or limit is None:
        return flags
    above = limit.high is not None and any(value > limit.high for value in values)
    below = limit.low is not None and any(value < limit.low for value in values)
    return flags | (HIGH if above else 0) | (LOW if below else 0)


def limit_flags(limit: Limit | None) -> int:
    """Return OPT_FLAG of a test's first PTR or MPR, without spec limits."""
    low, high = sides(limit)
    return NO_SPEC | (NO_LOW if low is None else 0) | (NO_HIGH if high is None else 0)


def specs(limit: Limit | None) -> int:
    """Return the bits of OPT_FLAG that are 0 where the limits of a test stand as spec limits."""
    low, high = sides(limit)
    return (LOW_SPEC if low is not None else 0) | (HIGH_SPEC if high is not None else 0)


def sides(limit: Limit | None) -> tuple[float | None, float | None]:
    """Return both limits; one that float32 cannot hold bounds nothing, like one that is not there."""
    if limit is None:
        return None, None
    low, high = limit.low, limit.high
    return low if low is not None and usable(low) else None, high if high is not None and usable(
        high
    ) else None


def part_flags(device: DeviceResult) -> int:
    """Return PART_FLG: what an earlier contact said is superseded, bit 1 of a die on a wafer, else bit 0."""
    cut = 0x04 if device.cut_short else 0
    again = SUPERSEDES_PART if device.place is None else SUPERSEDES_DIE
    return _PART_FLAGS[device.verdict] | cut | (again if device.contact > 1 else 0)


def single(value: float) -> float:
    """Round to float32, as tools that read the file see it."""
    return float(FLOAT.unpack(FLOAT.pack(value))[0])


def recorded(value: float, limit: Limit | None, *, failed: bool) -> float:
    """Return the float32 to write: a fail that rounds onto its limit is moved one step away from it."""
    low, high = sides(limit)
    rounded = single(value)
    if failed and high is not None and value > high:
        return max(rounded, _next(single(high), up=True))
    if failed and low is not None and value < low:
        return min(rounded, _next(single(low), up=False))
    return rounded


def _next(value: float, *, up: bool) -> float:
    """Return the float32 next to a float32, no further than the largest."""
    if value == 0:
        return 1.401298464324817e-45 if up else -1.401298464324817e-45
    (pattern,) = INTEGER.unpack(FLOAT.pack(value))
    step = 1 if (value > 0) == up else -1
    neighbour = float(FLOAT.unpack(INTEGER.pack(pattern + step))[0])
    return neighbour if usable(neighbour) else value


def scale(limit: Limit | None) -> int:
    """Return the power of ten by which a person should see a value: 3 for mA, -6 for MHz."""
    largest = max((abs(side) for side in sides(limit) if side is not None), default=0.0)
    if limit is None or limit.unit not in {"V", "A", "Ohm", "W", "s", "Hz"} or largest == 0:
        return 0
    return next((power for power, least in _SCALES if largest >= least), 12)


_SCALES = ((-9, 1e9), (-6, 1e6), (-3, 1e3), (0, 0.1), (3, 1e-3), (6, 1e-6), (9, 1e-9))
