"""The note of a scripted shift has each thing that happened once."""

from station import events
from station.figures.e10 import intervals
from station.figures.shift import hand_over
from tests.station.figures.test_e10 import became, day, touchdown

ASKED = events.CommandAccepted(
    at=505, id="1", command="hold.release", actor="p-7", source="console", reason="belt"
)


def shift() -> list[events.Any]:
    return [
        *day(),
        ASKED,
        events.CommandRefused(
            at=506, id="2", command="lot.end", actor="p-8", code="denied", reason="no role"
        ),
        events.Quarantined(at=507, resource="site 2", reason="contact"),
        events.RuleTripped(at=508, rule="consecutive", site=2, action="site off", seen="5 in a row"),
        events.Faulted(at=509, site=0, reason="jam"),
        events.CommandAccepted(at=510, id="3", command="lot.start", actor="hardbin run", source="local"),
    ]


def test_each_thing_that_happened_is_there_once() -> None:
    history = sorted(shift(), key=lambda event: event.at)
    note = hand_over(history, intervals(history, end=1000), ends=1000)
    (lot,) = note.lots
    assert (lot.lot, lot.tested, lot.good) == ("L1", 8, 8)
    assert [(one.start, one.end, one.kind) for one in note.downs] == [(100, 110, "SDT"), (200, 500, "UDT")]
    assert [(one.start, one.end, one.reason) for one in note.holds] == [(200, 500, "the handler has jammed")]
    assert [(one.kind, one.reason, one.count) for one in note.alarms] == [
        ("fault", "jam", 2),
        ("site 2 out of use", "contact", 1),
        ("rule consecutive: site off", "5 in a row", 1),
    ]
    assert [(one.command, one.actor, one.code) for one in note.commands] == [
        ("hold.release", "p-7", "ok"),
        ("lot.end", "p-8", "denied"),
    ]


def test_a_long_stop_asks_for_a_reason_until_somebody_gives_one() -> None:
    held = [*touchdown(1, 0), became(20, "HELD", "quality")]
    silent = hand_over(held, intervals(held, end=500), ends=500)
    assert [(one.kind, one.start) for one in silent.unassigned] == [("SBY", 20)]
    said: list[events.Any] = [*held, events.ReasonGiven(at=60, reason="waiting for QA", actor="p-1")]
    assert hand_over(said, intervals(said, end=500), ends=500).unassigned == ()
    assert (silent.state, silent.reason) == ("HELD", "quality")
