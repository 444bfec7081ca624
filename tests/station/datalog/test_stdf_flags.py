"""The flag tables, and where float32 meets a limit."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.datalog.stdf import flags
from station.model import Ending, Limit, Measurement, RecordKind, Unit, Verdict, usable
from tests.station.datalog.lots import failed, good, unjudged

LIMIT = Limit(2e-3, 9e-3, "A")
HUGE = 3.4028234663852886e38


@dataclass(frozen=True)
class Case:
    """How a parametric row ended, and the flags of its PTR."""

    ending: Ending
    verdict: Verdict
    value: float | None
    test: int
    parm: int


CASES = (
    Case(Ending.VALUE, Verdict.PASSED, 5e-3, 0x00, 0xC0),
    Case(Ending.VALUE, Verdict.FAILED, 12e-3, 0x80, 0xC8),
    Case(Ending.VALUE, Verdict.FAILED, 1e-3, 0x80, 0xD0),
    Case(Ending.OVER_RANGE, Verdict.FAILED, float("inf"), 0x82, 0xC8),
    Case(Ending.OVER_RANGE, Verdict.FAILED, -1e39, 0x82, 0xD0),
    Case(Ending.DUT_ERROR, Verdict.FAILED, None, 0x82, 0xC0),
    Case(Ending.DUT_SILENT, Verdict.FAILED, None, 0x8A, 0xC0),
    Case(Ending.NO_VALUE, Verdict.NOT_JUDGED, None, 0x42, 0xC0),
    Case(Ending.EQUIPMENT, Verdict.NOT_JUDGED, None, 0x42, 0xC0),
    Case(Ending.TIMEOUT, Verdict.NOT_JUDGED, None, 0x4A, 0xC0),
    Case(Ending.ABORTED, Verdict.NOT_JUDGED, None, 0x62, 0xC0),
    Case(Ending.VALUE, Verdict.PASSED, float("nan"), 0x42, 0xC0),
    Case(Ending.VALUE, Verdict.PASSED, None, 0x42, 0xC0),
    Case(Ending.VALUE, Verdict.FAILED, 1e39, 0x82, 0xC8),
    Case(Ending.VALUE, Verdict.FAILED, float("-inf"), 0x82, 0xD0),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_parametric_flags(case: Case) -> None:
    measured = Measurement(1, "t", "P", case.verdict, case.ending, case.value)
    assert flags.test_flags(measured) == case.test
    assert flags.parm_flags(measured, LIMIT) == case.parm


@pytest.mark.parametrize("kind", ["M", "F"])
def test_only_a_ptr_says_that_its_result_is_invalid(kind: RecordKind) -> None:
    measured = Measurement(1, "t", kind, Verdict.FAILED, Ending.DUT_SILENT)
    assert flags.test_flags(measured) == 0x88


def test_a_multiple_result_fails_on_both_sides() -> None:
    measured = Measurement(1, "t", "M", Verdict.FAILED, values=(1e-3, 5e-3, 12e-3))
    assert flags.parm_flags(measured, LIMIT) == 0xD8


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1.0, 2.0, 0x0E), (None, 2.0, 0x4E), (1.0, None, 0x8E), (None, None, 0xCE), (-1e39, 2.0, 0x4E)],
)
def test_limit_flags(low: float | None, high: float | None, expected: int) -> None:
    assert flags.limit_flags(Limit(low, high, "V")) == expected
    assert flags.limit_flags(None) == 0xCE


def test_part_flags() -> None:
    assert [flags.part_flags(device) for device in (good(1, 1), failed(1, 1), unjudged(1, 1))] == [
        0,
        0x08,
        0x14,
    ]
    assert [flags.part_flags(d) for d in (good(1, 1, 2), failed(1, 1, 3), unjudged(1, 1, 2))] == [
        1,
        0x09,
        0x15,
    ]


@given(st.floats(-1e3, 1e3), st.integers(-3, 3))
def test_a_fail_near_its_limit_fails_as_float32_too(limit: float, steps: int) -> None:
    high, low = Limit(None, limit, "V"), Limit(limit, None, "V")
    value = limit + steps * max(abs(limit), 5e-324) * 2.0**-52
    if value > limit:
        assert flags.recorded(value, high, failed=True) > flags.single(limit)
        assert flags.recorded(value, low, failed=False) >= flags.single(limit)
    elif value < limit:
        assert flags.recorded(value, low, failed=True) < flags.single(limit)
        assert flags.recorded(value, high, failed=False) <= flags.single(limit)
    else:
        assert flags.recorded(value, high, failed=False) == flags.single(limit)


@pytest.mark.parametrize("limit", [0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0, 1e30, 16777216.0])
def test_the_step_away_from_a_limit_is_the_smallest(limit: float) -> None:
    above = flags.recorded(limit + abs(limit) * 1e-12 + 1e-300, Limit(None, limit, "V"), failed=True)
    assert above > flags.single(limit)
    assert flags.single((above + flags.single(limit)) / 2) in {above, flags.single(limit)}


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_usable_value_is_written_as_nan_or_infinity(value: float) -> None:
    if usable(value):
        assert usable(flags.recorded(value, Limit(-1.0, 1.0, "V"), failed=True))
    assert usable(HUGE)


@pytest.mark.parametrize(
    ("high", "unit", "power"),
    [
        (9e-3, "A", 3),
        (1e-6, "A", 6),
        (5e-9, "A", 9),
        (5e-10, "A", 12),
        (3e-12, "A", 12),
        (3.6, "V", 0),
        (0.9, "V", 0),
        (8e6, "Hz", -6),
        (150.0, "degC", 0),
        (0.0, "V", 0),
    ],
)
def test_scale(high: float, unit: Unit, power: int) -> None:
    assert flags.scale(Limit(None, high, unit)) == power


def test_over_range_wins_over_a_wrong_pass() -> None:
    assert flags.ending(Measurement(1, "t", "P", Verdict.PASSED, value=1e39)) is Ending.OVER_RANGE
