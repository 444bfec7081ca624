"""What the page shows is what the events add up to."""

from pathlib import Path
from typing import Any

import msgspec

from station import events
from station.console.grid import NOTHING, TRAY_MAX, Grid
from station.console.picture import Picture
from station.console.shown import Frame
from station.model import Outcome, Verdict
from tests.station.console.lots import (
    BEGIN,
    BOTH_GOOD,
    GOOD,
    HELLO,
    LEAKY,
    NOW,
    ONE_LEAKY,
    SOME,
    landing,
    loaded,
    shift,
)


def picture(happened: list[Any], *, live: bool = True) -> Picture:
    """A console that has followed."""
    made = Picture(lambda: NOW, lambda: None)
    made.greeted(HELLO)
    made.begun(Path("/lots/L1/journal"))
    if live:
        made.caught_up()
    for line, event in enumerate(happened, start=1):
        made.happened(line, event)
    if not live:
        made.caught_up()
    return made


def test_devices_count_once_whatever_their_contacts() -> None:
    shown = picture(SOME).sum
    assert (shown.tested, shown.good, shown.first_good, shown.retested) == (6, 5, 4, 1)
    assert shown.bins == {1: 5, 3: 1}
    assert shown.hard == {1: 5, 5: 1}
    assert [(tile.tested, tile.good, tile.bin) for tile in shown.sites] == [(3, 3, 1), (3, 2, 3)]
    assert shown.balance["in"] == 8
    assert shown.balance["good"] + shown.balance["rejects"] + shown.balance["waiting"] == 8
    assert shown.balance["open"] == 0
    assert (shown.state, shown.e10) == ("RUNNING", "PRD")
    assert shown.units_per_hour == 720.0


def test_devices_under_test_are_in_contact_and_wait_no_more() -> None:
    opened = events.TouchdownOpened(at=NOW + 50, seq=9, parts={1: 7, 2: 8}, contacts={1: 1, 2: 1})
    balance = picture([*SOME, opened]).sum.balance
    assert (balance["open"], balance["waiting"]) == (2, 0)
    assert balance["good"] + balance["rejects"] + balance["open"] == balance["in"]


def test_a_device_counts_at_the_site_of_its_last_contact() -> None:
    opened = events.TouchdownOpened(at=NOW + 50, seq=3, parts={2: 1}, contacts={2: 2})
    passed = Outcome(2, 1, 2, GOOD.number, GOOD.hard, GOOD.kind, Verdict.PASSED, 0.25)
    elsewhere = opened, events.ContactsClosed(at=NOW + 51, seq=3, outcomes=(passed,))
    first, second = picture([*BEGIN, *landing(1, {1: LEAKY, 2: GOOD}), *elsewhere]).sum.sites
    assert [(one.tested, one.good) for one in (first, second)] == [(0, 0), (2, 2)]


def test_a_picture_from_the_journal_is_the_live_one() -> None:
    live, read = picture(SOME).state, picture(SOME, live=False).state
    assert msgspec.structs.replace(live, epoch=0) == msgspec.structs.replace(read, epoch=0)


def test_frames_say_each_die_once_in_order() -> None:
    made = picture(BEGIN)
    made.frame(counted=True)
    seq = made.seq
    heard: list[Frame] = []
    for line, event in enumerate(SOME[len(BEGIN) :], start=len(BEGIN) + 1):
        made.happened(line, event)
        heard.append(made.frame(counted=False))
    for frame in heard:
        assert frame.seq - len(frame.dies) == seq
        seq = frame.seq
    width = made.state.map.width
    assert [die.y * width + die.x + 1 for frame in heard for die in frame.dies] == [1, 2, 3, 4, 4, 5, 6]


def test_what_frames_say_is_what_the_map_has() -> None:
    made = picture([loaded(), *BEGIN[1:]])
    made.frame(counted=False)
    grid = made.grid
    assert grid is not None
    size = grid.width * grid.height
    before = bytearray(grid.octets)
    for line, event in enumerate(SOME[len(BEGIN) :], start=len(BEGIN) + 1):
        made.happened(line, event)
        for die in made.frame(counted=False).dies:
            at = die.y * grid.width + die.x
            before[at], before[size + at], before[2 * size + at] = die.bin, die.first, die.site
    assert bytes(before) == grid.octets


def test_a_die_beyond_the_map_makes_another_map() -> None:
    made = picture([loaded(40), *BEGIN[1:], *landing(1, BOTH_GOOD, wafer="W1", at=(0, 0))])
    epoch = made.epoch
    made.happened(9, landing(2, BOTH_GOOD, wafer="W1", at=(2, 0))[0])
    assert made.epoch == epoch
    made.happened(10, landing(3, BOTH_GOOD, wafer="W1", at=(-9, -1))[0])
    assert made.epoch == epoch + 1
    made.happened(11, landing(4, BOTH_GOOD, wafer="W2", at=(0, 0))[0])
    assert made.sum.wafer == "W2"
    assert made.epoch > epoch + 1


def test_a_grid_that_grows_keeps_its_dies() -> None:
    grid = Grid("wafer", (0, 0, 1, 1))
    places = [(0, 0), (-7, 3), (20, -20), (5, 5)]
    for n, (x, y) in enumerate(places, start=1):
        grid.cover(x, y)
        grid.put(x, y, n, n, n)
    octets = grid.octets[: grid.width * grid.height]
    for n, (x, y) in enumerate(places, start=1):
        assert octets[(y - grid.y) * grid.width + x - grid.x] == n
    assert len(octets) - octets.count(NOTHING) == len(places)


def test_a_tray_has_a_place_for_each_device() -> None:
    grid = Grid.tray(7)
    places = {grid.place_of(part) for part in range(1, 8)}
    assert len(places) == 7
    assert grid.octets[: grid.width * grid.height].count(0) == 7
    huge = Grid.tray(10_000_000)
    assert huge.place_of(TRAY_MAX + 1) == huge.place_of(1)


def test_each_thing_that_asks_for_a_person_is_an_alarm() -> None:
    happened = [
        *BEGIN,
        events.Faulted(at=NOW, site=2, reason="smu-2: no answer"),
        events.Quarantined(at=NOW, resource="site 2", reason="three faults"),
        events.RuleTripped(at=NOW, rule="yield", site=0, action="hold", seen="20 of 50"),
        events.MachineTold(at=NOW, machine="prober", what="paused"),
        events.MachineTold(at=NOW, machine="prober", what="alarm", code="76", text="no air"),
        events.MadeSafe(at=NOW, time_to_safe_s=0.1, unverified=("supply-2",)),
        shift("RUNNING", "HELD", "three faults"),
    ]
    made = picture(happened)
    alarms = made.state.alarms
    assert [alarm.code for alarm in alarms] == ["fault", "site_off", "rule", "machine", "unsafe", "held"]
    assert made.sum.sites[1].use == "off"
    made.happened(len(happened) + 1, seen(alarms[-1].id))
    made.happened(len(happened) + 2, shift("HELD", "PAUSED"))
    held = made.state.alarms[-1]
    assert (held.acknowledged, held.active) == ("p-7", False)
    made.happened(len(happened) + 3, seen("L9/1"))
    assert len(made.state.alarms) == len(alarms)


def test_a_shelved_alarm_is_back_in_time_also_with_no_lot() -> None:
    clock = [NOW]
    made = Picture(lambda: clock[0], lambda: None)
    made.greeted(HELLO)
    clock[0] += 7200
    assert made.sum.at == NOW + 7200


def test_whom_it_takes_to_sign_for_a_balance_that_does_not_close() -> None:
    ending = [*SOME, shift("RUNNING", "ENDING"), shift("ENDING", "CLOSING"), shift("CLOSING", "HELD", "L1/3")]
    vault = events.CheckTold(at=NOW, check="vault", health="ok", found="v-1, production")
    assert picture(ending).sum.signs == (("engineer",),)
    assert picture([loaded(), vault, *ending[1:]]).sum.signs == (("engineer",), ("engineer",))
    assert picture([*ending, shift("HELD", "CLOSING")]).sum.signs == ()
    assert picture([*SOME, shift("RUNNING", "HELD", "door")]).sum.signs == ()


def test_what_tips_are_cleaned_on_is_counted_by_cleanings() -> None:
    mounted = events.AssetMounted(at=NOW, asset="CB-1", kind="block", touchdowns=7, warning=90, limit=99)
    cleaned = events.MachineTold(at=NOW, machine="prober", what="needles cleaned")
    (block,) = picture([loaded(), mounted, *SOME[1:], cleaned, cleaned]).sum.assets
    assert (block.name, block.touchdowns) == ("CB-1", 9)


def seen(alarm: str) -> events.Acknowledged:
    return events.Acknowledged(at=NOW, alarm=alarm, actor="p-7")


def test_the_journal_read_again_keeps_what_was_acknowledged() -> None:
    happened = [*BEGIN, shift("RUNNING", "HELD", "door")]
    made = picture(happened)
    later = [*happened, seen("L1/5")]
    made.begun(Path("/lots/L1/journal"))
    for line, event in enumerate(later, start=1):
        made.happened(line, event)
    made.caught_up()
    (alarm,) = picture(later).state.alarms
    assert made.state.alarms == (alarm,)
    assert (alarm.acknowledged, alarm.active) == ("p-7", True)


def test_without_an_engine_nothing_may_be_asked() -> None:
    made = picture(SOME)
    assert "lot.pause" in made.sum.legal
    made.left()
    assert made.sum.legal == ()
    assert made.frame(counted=True).there is False
    assert made.sum.tested == 6


def test_fails_in_a_row_are_those_of_first_contacts() -> None:
    both = {1: LEAKY, 2: LEAKY}
    made = picture([*BEGIN, *landing(1, both), *landing(1, both, contact=2), *landing(2, ONE_LEAKY)])
    assert [tile.failing for tile in made.sum.sites] == [0, 2]
    assert made.sum.sites[0].bin == GOOD.number
