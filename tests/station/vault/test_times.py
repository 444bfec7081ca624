"""At which time a die is admitted."""

import pytest

from station.vault.faults import Code, FaultError
from station.vault.times import Times


def test_a_clock_that_is_off_admits_nothing_in_production() -> None:
    times = Times(development=False)
    assert times.admitting(100.0, 99.0) == 100.0
    times.unsafe = lambda: "the clock is off by +700 ms, 500 are allowed"
    with pytest.raises(FaultError, match="off by") as refused:
        times.admitting(100.0, 99.0)
    assert refused.value.code is Code.CLOCK_UNSAFE


def test_in_development_a_station_tells_the_time() -> None:
    times = Times(development=True)
    times.unsafe = lambda: "the clock is off"
    assert times.admitting(100.0, 200.0) == 100.0
