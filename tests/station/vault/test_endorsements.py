"""How long certificates take, told over the last dies."""

from collections.abc import Sequence

import pytest

from station.vault.endorsements import KEPT, Endorsements, percentile


def told(took: Sequence[float]) -> Endorsements:
    moments = iter([moment for seconds in took for moment in (100.0, 100.0 + seconds)])
    endorsements = Endorsements(lambda: next(moments))
    for _ in took:
        one = endorsements.one()
        one.begins()
        one.ends()
    return endorsements


def test_ninety_nine_of_a_hundred() -> None:
    assert told([]).p99_s == 0.0
    assert told([3.0]).p99_s == 3.0
    assert told([*map(float, range(200))]).p99_s == 198.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 3.0


def test_only_the_last_dies_count() -> None:
    assert told([9.0] * KEPT + [1.0] * KEPT).p99_s == pytest.approx(1.0)


def test_a_die_that_proved_itself_on_an_earlier_contact_is_not_counted() -> None:
    endorsements = Endorsements(lambda: 1.0)
    endorsements.one().ends()
    assert endorsements.p99_s == 0.0
