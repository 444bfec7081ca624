"""A scripted day: exact intervals, exact figures, and the same from the journal of a real lot."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station import events
from station.engine.states import State
from station.figures.e10 import Class, Interval, intervals
from station.figures.production import production
from station.model import BinKind, LotInfo, Outcome, Verdict
from station.sequence import Parametric
from tests.station.engine.doubles import ANY, BAD, Bench, returning, sequence

UDT, SDT, ENG, PRD, SBY = Class.UDT, Class.SDT, Class.ENG, Class.PRD, Class.SBY


def loaded(at: float, mode: str = "P") -> events.LotLoaded:
    info = LotInfo(
        lot="L1", product="p", sequence="s", sequence_version="1", fingerprint="", station="st", sites=(1, 2),
        quantity=8, tests=(), bins=(), pins=(), set_up=at, mode=mode,
    )  # fmt: skip
    return events.LotLoaded(at=at, info=info)


def became(at: float, new: str, reason: str = "") -> events.StateChanged:
    return events.StateChanged(at=at, old="", new=new, reason=reason)


def touchdown(seq: int, at: float, *, test_s: float = 8.0, again: bool = False) -> list[events.Any]:
    """Two devices: opened at `at`, results 9 s later, sorted after 10 s; `again` lands the second twice."""

    def outcome(site: int, contact: int) -> Outcome:
        return Outcome(site, 2 * seq + site, contact, 1, 1, BinKind.PASS, Verdict.PASSED, test_s)

    def landing(start: float, sites: Sequence[int], contact: int) -> list[events.Any]:
        parts = {site: 2 * seq + site for site in sites}
        opened = events.TouchdownOpened(
            at=start, seq=seq, parts=parts, contacts=dict.fromkeys(sites, contact)
        )
        done = tuple(outcome(site, contact) for site in sites)
        return [opened, events.ContactsClosed(at=start + 9, seq=seq, outcomes=done)]

    first = landing(at, (1, 2), 1)
    second = landing(at + 9, (2,), 2) if again else []
    end = at + (19 if again else 10)
    return [*first, *second, events.Sorted(at=end, seq=seq, bins={1: 1, 2: 1})]


def day() -> list[events.Any]:
    """A lot: checks, four touchdowns 30 s apart, a jam, a release, an end; then nothing."""
    return [
        loaded(0),
        became(0, "LOADED"),
        became(100, "CHECKING"),
        became(110, "RUNNING"),
        *touchdown(1, 120),
        *touchdown(2, 150),
        *touchdown(3, 180, again=True),
        events.Faulted(at=200, site=0, reason="jam"),
        became(200, "HELD", "the handler has jammed"),
        became(500, "PAUSED"),
        became(560, "RUNNING"),
        *touchdown(4, 570),
        became(600, "ENDING"),
        became(601, "CLOSING"),
        became(602, "CLOSED"),
    ]


def test_a_scripted_day_has_exactly_these_intervals() -> None:
    assert intervals(day(), end=1000) == [
        Interval(0, 100, SBY, "waiting for start"),
        Interval(100, 110, SDT, "checks before a lot"),
        Interval(110, 120, SBY, "waiting for devices"),
        Interval(120, 200, PRD),
        Interval(200, 500, UDT, "the handler has jammed"),
        Interval(500, 560, SBY, "paused"),
        Interval(560, 570, SBY, "waiting for devices"),
        Interval(570, 601, PRD),
        Interval(601, 602, SBY),
        Interval(602, 1000, SBY, "no lot"),
    ]


def test_figures_of_the_scripted_day() -> None:
    history = day()
    found = production(history, intervals(history, end=1000))
    assert found.seconds == {"UDT": 300, "SDT": 10, "ENG": 0, "PRD": 111, "NST": 0, "SBY": 579}
    assert (found.devices, found.failures, found.assists) == (8, 0, 1)
    assert found.units_per_hour == pytest.approx(8 * 3600 / 111)
    assert found.gross_units_per_hour == pytest.approx(28.8)
    assert (found.test_s, found.tester_index_s) == (8.0, 2.0)
    assert (found.handler_index_s, found.cycle_s) == (20.0, 30.0)
    assert (found.mtba_s, found.mtbf_s, found.mttr_s) == (111.0, None, None)
    assert found.availability == pytest.approx(0.69)
    assert found.performance == pytest.approx(8 * 3600 / 690 / (3 * 3600 / 30))
    assert found.quality == pytest.approx(8 / 9), "the retest is a contact too many"
    assert found.oee == pytest.approx(0.69 * found.performance * 8 / 9)  # type: ignore[operator]
    assert production(history, intervals(history, end=1000), ideal_units_per_hour=100).performance == (
        pytest.approx(8 * 36 / 690)
    )


@pytest.mark.parametrize(
    "broken",
    [
        events.Quarantined(at=300, resource="handler", reason="no answer"),
        events.Refitted(at=300, instruments=(), software=()),
        events.MadeSafe(at=300, time_to_safe_s=1, unverified=("supply",)),
    ],
)
def test_a_time_down_that_took_more_than_a_hand_is_a_failure(broken: events.Any) -> None:
    history = sorted([*day(), broken], key=lambda event: event.at)
    if isinstance(broken, events.MadeSafe):
        history.insert(history.index(broken) + 1, events.MadeSafe(at=301, time_to_safe_s=1, unverified=()))
    found = production(history, intervals(history, end=1000))
    assert (found.failures, found.assists) == (1, 0)
    assert (found.mtba_s, found.mtbf_s, found.mttr_s) == (None, 111.0, 300.0)


@pytest.mark.parametrize(
    ("history", "wanted"),
    [
        ([loaded(0), became(1, "RUNNING"), *touchdown(1, 2)], (SBY, "waiting for devices")),
        ([loaded(0, "E"), became(1, "RUNNING"), *touchdown(1, 2)], (ENG, "engineering lot")),
        ([loaded(0), became(1, "HELD", "rule R4: 72 good of 100")], (SBY, "rule R4: 72 good of 100")),
        ([loaded(0), became(1, "ABORTED", "asked for")], (UDT, "asked for")),
        (
            [loaded(0), events.MadeSafe(at=1, time_to_safe_s=1, unverified=("supply",))],
            (UDT, "the cell could not be verified as safe"),
        ),
        (
            [loaded(0), events.Quarantined(at=1, resource="site 1", reason="x"), became(2, "HELD", "y")],
            (UDT, "y"),
        ),
    ],
)
def test_where_a_cell_ends_up(history: list[events.Any], wanted: tuple[Class, str]) -> None:
    last = intervals(history, end=1000)[-1]
    assert (last.state, last.reason) == wanted


def test_a_slow_product_is_productive_for_three_of_its_cycles() -> None:
    slow = [loaded(0), became(0, "RUNNING"), *touchdown(1, 0), *touchdown(2, 100), *touchdown(3, 200)]
    assert intervals(slow, end=1000) == [
        Interval(0, 60, PRD),
        Interval(60, 100, SBY, "waiting for devices"),
        Interval(100, 500, PRD),
        Interval(500, 1000, SBY, "waiting for devices"),
    ]


@given(
    st.lists(
        st.tuples(st.floats(0, 1000), st.sampled_from([state.value for state in State])),
        min_size=1,
        max_size=30,
    )
)
def test_intervals_cover_the_time_without_gap_or_overlap(changes: list[tuple[float, str]]) -> None:
    history = [became(at, new) for at, new in sorted(changes)]
    found = intervals(history, end=2000)
    assert (found[0].start, found[-1].end) == (history[0].at, 2000)
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(
        (before.state, before.reason) != (after.state, after.reason) for before, after in pairwise(found)
    )


async def test_a_lot_of_the_engine_gives_figures_that_agree_with_it(tmp_path: Path) -> None:
    row: Parametric = returning(1.0, 1, BAD, ANY)  # type: ignore[type-arg]
    bench = Bench(tmp_path, sequence(row), [frozenset({1, 2, 3})] * 4)
    assert await bench.run() == "CLOSED"
    history = [event for event in bench.happened(events.Event) if not isinstance(event, events.Measured)]
    found = production(history, intervals(history, end=history[-1].at + 1))
    assert (found.devices, found.failures, found.quality) == (12, 0, 1.0)


def said(at: float, reason: str, state: str = "") -> events.ReasonGiven:
    return events.ReasonGiven(at=at, reason=reason, actor="p-1", state=state)


def test_a_person_moves_standby_and_only_that() -> None:
    down: list[events.Any] = [
        loaded(0),
        became(0, "LOADED"),
        became(10, "HELD", "quality"),
        said(40, "PM-W04", "SDT"),
    ]
    assert [(one.start, one.end, one.state, one.reason) for one in intervals(down, end=100)][1:] == [
        (10, 40, SBY, "quality"),
        (40, 100, SDT, "PM-W04"),
    ]
    jam = [*down[:2], events.Faulted(at=5, site=0, reason="jam"), became(10, "HELD", "jam")]
    failure = intervals([*jam, said(40, "belt is torn", "ENG")], end=100)
    assert [(one.end, one.state, one.reason) for one in failure][1:] == [
        (40, UDT, "jam"),
        (100, UDT, "belt is torn"),
    ]


def test_what_a_person_said_ends_with_the_state_it_was_said_of() -> None:
    day: list[events.Any] = [
        loaded(0),
        became(0, "PAUSED"),
        said(10, "golden units", "ENG"),
        became(50, "PAUSED", "asked for"),
    ]
    assert [(one.start, one.state) for one in intervals(day, end=60)] == [(0, SBY), (10, ENG), (50, SBY)]
