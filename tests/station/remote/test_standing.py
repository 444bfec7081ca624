"""What events add up to: equipment states, alarms that are over, the map of a wafer, the log."""

import gzip
import logging
from pathlib import Path

import msgspec

from station import events
from station.alarms import HISTORY
from station.model import BinKind, Outcome, Verdict
from station.remote.link import Broker, Message
from station.remote.local_bus import LocalBus
from station.remote.log_feed import LogFeed, fed
from station.remote.messages import AlarmState, Logged, State, WaferMap
from station.remote.outflow import GZIP
from station.remote.teller import Said, Teller
from station.remote.view import View
from tests.station.remote.floor import NOW, TREE, Floor, listening
from tests.station.remote.test_presence import INFO, LOT, followed, journalled, shift

WAFER = "L1.07"


def opened(seq: int, at: float, *dies: tuple[int, int], wafer: str = WAFER) -> events.TouchdownOpened:
    sites = range(1, len(dies) + 1)
    return events.TouchdownOpened(
        at=at,
        seq=seq,
        parts={site: 10 * seq + site for site in sites},
        contacts=dict.fromkeys(sites, 1),
        wafer=wafer,
        positions=dict(zip(sites, dies, strict=True)),
    )


def closed(seq: int, at: float, *soft: int) -> events.ContactsClosed:
    outcomes = tuple(
        Outcome(site, 10 * seq + site, 1, bin_, bin_, *_kind(bin_), 0.5)
        for site, bin_ in enumerate(soft, start=1)
    )
    return events.ContactsClosed(at=at, seq=seq, outcomes=outcomes)


def _kind(bin_: int) -> tuple[BinKind, Verdict]:
    return (BinKind.PASS, Verdict.PASSED) if bin_ == 1 else (BinKind.FAIL, Verdict.FAILED)


def prober(what: str, text: str = WAFER) -> events.MachineTold:
    return events.MachineTold(at=NOW + 9, machine="prober", what=what, text=text)


def at(moment: float, old: str, new: str, reason: str = "") -> events.StateChanged:
    return msgspec.structs.replace(shift(old, new, reason), at=moment)


def told(*happened: events.Any) -> list[Said]:
    teller = Teller()
    return [one for line, event in enumerate(happened, start=1) for one in teller.take(line, event)]


def e10(said: list[Said]) -> list[tuple[str, float, str, str]]:
    return [
        (one.id, one.at - NOW, one.told[1]["before"], one.told[1]["state"])
        for one in said
        if one.told[0] == "e10.changed" and one.told[1]["before"] != one.told[1]["state"]
    ]


def test_equipment_states_are_told_when_they_change_and_waiting_with_its_own_time() -> None:
    happened = [
        *LOT[:4],
        opened(1, NOW + 10, (0, 0)),
        closed(1, NOW + 12, 1),
        opened(2, NOW + 500, (0, 1)),
        at(NOW + 510, "RUNNING", "ABORTING", "stop"),
    ]
    assert e10(told(*happened)) == [
        ("L1/3.0", 0.0, "SBY", "SDT"),
        ("L1/4.1", 0.0, "SDT", "SBY"),  # behind lot.started
        ("L1/5.0", 10.0, "SBY", "PRD"),
        ("L1/6.waits", 70.0, "PRD", "SBY"),
        ("L1/7.0", 500.0, "SBY", "PRD"),
        ("L1/8.0", 510.0, "PRD", "UDT"),
    ]


def test_a_reason_that_a_person_gives_is_told() -> None:
    given = events.ReasonGiven(at=NOW, reason="PM-W04", actor="p-1", state="SDT")
    (one,) = told(given)
    assert one.told == ("e10.changed", {"state": "SDT", "reason": "PM-W04", "before": "SBY"})


def test_alarms_that_are_over_are_told_by_the_id_that_raised_them() -> None:
    said = told(
        *LOT[:4],
        events.Faulted(at=NOW, site=1, reason="no answer"),
        shift("RUNNING", "HELD", "site 1"),
        events.Quarantined(at=NOW, resource="site 1", reason="no answer"),
        shift("HELD", "PAUSED"),
        events.Cleared(at=NOW, resource="site 1", actor="p-1", reason="repaired"),
    )
    raised = {one.id: one.told[1]["alarm"] for one in said if one.told[0] == "alarm.raised"}
    cleared = [one.told[1] for one in said if one.told[0] == "alarm.cleared"]
    assert raised == {"L1/5.0": "fault", "L1/6.1": "hold", "L1/7.0": "quarantine"}
    assert [(one["id"], one["alarm"]) for one in cleared] == [("L1/6", "hold"), ("L1/7", "quarantine")]


def test_what_is_forgotten_for_too_many_is_not_over() -> None:
    many = [events.Faulted(at=NOW, site=1, reason="no answer") for _ in range(HISTORY + 5)]
    said = [one.told[0] for one in told(*LOT[:4], *many)]
    assert said.count("alarm.raised") == HISTORY + 5
    assert "alarm.cleared" not in said


def test_every_alarm_of_the_station_is_raised_on_the_network_once() -> None:
    happened = [
        *LOT[:4],
        events.RuleTripped(at=NOW, rule="yield", site=2, action="hold", seen="80 %"),
        prober("vacuum lost"),
        events.ContactsCorrected(at=NOW, seq=1, sites=(1,), reason="disk full"),
        events.MadeSafe(at=NOW, time_to_safe_s=0.1, unverified=("smu 1",)),
        shift("ABORTING", "ABORTED", "stop"),
    ]
    view = View((1, 2))
    raised: list[str] = []
    for line, event in enumerate(happened, start=1):
        raised += [
            one.id.partition(".")[0] for one in view.take(line, event) if one.told[0] == "alarm.raised"
        ]
    assert raised == [one.id for one in view.teller.alarms.all]
    assert view.alarms == AlarmState(high=3, medium=2, low=0)


def sorted_wafer() -> list[events.Any]:
    return [
        *LOT[:4],
        prober("wafer loaded"),
        opened(1, NOW + 1, (-1, 2), (0, 2)),
        closed(1, NOW + 2, 1, 5),
        opened(2, NOW + 3, (0, 2)),
        closed(2, NOW + 4, 1),
        prober("wafer ended"),
    ]


def test_a_map_has_the_last_result_of_each_die_and_comes_once() -> None:
    view = View((1, 2))
    found = []
    for line, event in enumerate([*sorted_wafer(), shift("RUNNING", "CLOSED")], start=1):
        view.take(line, event)
        found += [view.map] if view.map is not None else []
    (one,) = found
    assert (one.lot, one.wafer, one.tested, one.good) == ("L1", WAFER, 2, 2)
    assert {(die.x, die.y): (die.site, die.sbin) for die in one.dies} == {(-1, 2): (1, 1), (0, 2): (1, 1)}


async def test_a_wafer_goes_to_the_broker_with_its_places_and_stays_if_the_file_says_so(
    broker: Broker, tmp_path: Path
) -> None:
    happened = sorted_wafer()
    path = await journalled(tmp_path, happened)
    floor = Floor(tmp_path, broker, retain_maps=True, collected=True)
    async with floor.station() as presence, listening(broker) as ear, broker.link("attacker") as late:
        await followed(presence, path, happened)
        await ear.until(lambda heard: "wafer.completed" in {event.type for event in heard})
        assert presence.herald.view.lot is not None
        assert presence.herald.view.lot.wafer == WAFER
        while not (touchdowns := [one for one in ear.heard if one.topic == TREE.td]):
            await ear.until(lambda _: True)
        assert msgspec.json.decode(touchdowns[0].payload)[0][2][0][:2] == [-1, 2]
        await late.subscribe(f"{TREE.maps}+")
        kept = await anext(aiter(late.messages()))
    assert (kept.topic, kept.content_type, kept.retain) == (TREE.map(WAFER), GZIP, True)
    found = msgspec.json.decode(gzip.decompress(kept.payload), type=WaferMap)
    assert (found.wafer, found.good) == (WAFER, 2)
    async with broker.link(TREE.station) as link:
        await link.publish(Message(kept.topic, b"", retain=True))


async def test_the_state_has_equipment_alarms_and_recipe(tmp_path: Path) -> None:
    recipe = "ab" * 32
    info = msgspec.structs.replace(INFO, limit_set=f"se1 3 {recipe}")
    happened = [
        events.LotLoaded(at=NOW, info=info),
        *LOT[1:4],
        opened(1, NOW + 1, (0, 0)),
        events.Faulted(at=NOW + 2, site=1, reason="no answer"),
    ]
    bus = LocalBus()
    path = await journalled(tmp_path, happened)
    async with Floor(tmp_path, bus).station() as presence, listening(bus) as ear:
        await followed(presence, path, happened)

        def faulted(_: object) -> bool:
            last = ear.heard[-1]
            return last.topic == TREE.state and msgspec.json.decode(last.payload, type=State).alarms.low == 1

        await ear.until(faulted)
        state = msgspec.json.decode(ear.heard[-1].payload, type=State)
    assert state.e10.state == "PRD"
    assert state.lot is not None
    assert state.lot.recipe == recipe


async def test_a_cell_that_nothing_comes_to_is_told_to_wait_without_an_event(tmp_path: Path) -> None:
    """The clock of the cell is this machine's: its last touchdown was a minute ago, less a moment."""
    happened = [*LOT[:4], opened(1, NOW - 59.9, (0, 0)), closed(1, NOW, 1)]
    path = await journalled(tmp_path, happened)
    bus = LocalBus()
    async with Floor(tmp_path, bus).station() as presence, listening(bus) as ear:
        await followed(presence, path, happened)
        found = await ear.until(lambda heard: any(one.id == "L1/6.waits" for one in heard))
        assert presence.herald.view.e10(presence.herald.later_s).reason == "waiting for devices"
    assert found[-1].data["state"] == "SBY"


async def test_the_log_is_told_and_what_was_too_much_is_counted(tmp_path: Path) -> None:
    bus = LocalBus()
    async with Floor(tmp_path, bus).station(), bus.link("reader") as link:
        await link.subscribe(TREE.log)
        logging.getLogger("station.test").error("disk %s", "full", exc_info=OSError("secret"))
        async for message in link.messages():
            line = msgspec.json.decode(message.payload, type=Logged)
            if line.logger == "station.test":
                break
    assert (line.level, line.text, line.lost) == ("error", "disk full: OSError", 0)
    feed = LogFeed(waiting=2)
    with fed(feed):
        for number in range(5):
            logging.getLogger("station.test").warning("line %d", number)
    assert [(one.text, one.lost) for one in feed.take(1)] == [("line 3", 3)]
    assert [(one.text, one.lost) for one in feed.take(9)] == [("line 4", 0)]
    assert feed not in logging.getLogger().handlers
