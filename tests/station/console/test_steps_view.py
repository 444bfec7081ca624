"""Sites that stand still and sweeps, counted up from events: the same from a journal as live."""

from pathlib import Path

from station import events
from station.console.picture import Picture
from station.console.shown import Swept
from station.model import Axis, Limit, Measurement, Verdict
from tests.station.console.lots import BEGIN, GOOD, LEAKY, NOW, landing

IDD = Measurement(300, "idd_idle", "P", Verdict.PASSED, value=5e-3)
LIMIT = Limit(2e-3, 9e-3, "A")
VOLTS = Axis("vdd_v", 1.0, 3.0, 3)


def halted(row: int) -> events.StepHalted:
    measured = IDD if row else None
    return events.StepHalted(
        at=NOW, seq=1, site=1, part=1, row=row, name="idd_idle", measurement=measured, until=NOW + 300
    )


def point(volts: float, verdict: Verdict) -> events.ShmooPoint:
    measured = Measurement(300, "idd_idle", "P", verdict, value=volts * 1e-3)
    return events.ShmooPoint(at=NOW, seq=1, site=1, row=300, x=volts, measurement=measured)


SWEPT: list[events.Any] = [
    events.ShmooBegun(
        at=NOW, seq=1, site=1, part=1, row=300, name="idd_idle", x=VOLTS, limit=LIMIT, actor="p-7"
    ),
    point(1.0, Verdict.FAILED),
    point(2.0, Verdict.PASSED),
    point(3.0, Verdict.NOT_JUDGED),
    events.ShmooEnded(at=NOW, seq=1, site=1, row=300, passed=1, tried=3),
]
OPENED = landing(1, {1: GOOD, 2: LEAKY})[0]
POINTS = (Swept(1, 1, 1.0, None, 0, 1e-3), Swept(1, 1, 2.0, None, 1, 2e-3), Swept(1, 1, 3.0, None, 2, 3e-3))


def picture(*happened: events.Any, live: int) -> Picture:
    """Return a picture that has read all but the last `live` events in the journal."""
    made = Picture(lambda: NOW, lambda: None)
    made.begun(Path("journal"))
    every = [*BEGIN, OPENED, *happened]
    for line, event in enumerate(every, start=1):
        if line == len(every) - live + 1:
            made.caught_up()
        made.happened(line, event)
    if not live:
        made.caught_up()
    return made


def test_a_site_stands_with_what_it_has_measured() -> None:
    made = picture(halted(0), halted(300), *SWEPT, halted(300), live=0)
    (halt,) = made.sum.halts
    assert (halt.site, halt.part, halt.row, halt.until) == (1, 1, 300, NOW + 300)
    assert [one.measurement for one in halt.readings] == [IDD], "before the first row nothing is measured"
    made.happened(99, events.StepLeft(at=NOW, seq=1, site=1))
    assert made.sum.halts == ()


def test_points_of_a_sweep_come_once_live_and_all_to_whoever_comes_later() -> None:
    made = picture(*SWEPT, live=2)
    assert made.frame(counted=True).swept == POINTS[2:]
    assert made.frame(counted=True).swept == ()
    assert made.state.swept == POINTS
    (sweep,) = made.sum.sweeps
    assert (sweep.row, sweep.x, sweep.limit, sweep.over, sweep.failed) == (300, VOLTS, LIMIT, True, "")


def test_a_second_sweep_takes_the_place_of_the_first() -> None:
    made = picture(*SWEPT, SWEPT[0], SWEPT[1], live=0)
    assert [one.number for one in made.state.swept] == [2]
    assert [(one.number, one.over) for one in made.sum.sweeps] == [(2, False)]
