"""What the network sees of a station: birth, will, state, events in order, whatever becomes of the broker."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from station import events
from station.custody.journal import Journal
from station.engine.bus import Bus
from station.engine.states import State as CellState
from station.model import BinKind, LotInfo, Outcome, Verdict
from station.remote.link import Message
from station.remote.local_bus import LocalBus
from station.remote.messages import Birth, CloudEvent, Online, State, Touchdown
from station.remote.presence import Presence
from station.remote.teller import Teller
from tests.station.remote.floor import NOW, TREE, Ear, Floor, listening, lot

INFO = LotInfo(
    lot="L1",
    product="se1",
    sequence="bench",
    sequence_version="1",
    fingerprint="00",
    station="ws-07",
    sites=(1, 2),
    quantity=4,
    tests=(),
    bins=(),
    pins=(),
    set_up=NOW,
)


def landing(seq: int, parts: tuple[int, int], *, good: bool = True) -> events.ContactsClosed:
    """Two devices have their results."""
    kind, verdict = (BinKind.PASS, Verdict.PASSED) if good else (BinKind.FAIL, Verdict.FAILED)
    outcomes = tuple(
        Outcome(site, part, 1, 1, 1, kind, verdict, 0.25) for site, part in enumerate(parts, start=1)
    )
    return events.ContactsClosed(at=NOW + seq, seq=seq, outcomes=outcomes)


def shift(old: str, new: str, reason: str = "") -> events.StateChanged:
    """The cell goes on."""
    return events.StateChanged(at=NOW, old=old, new=new, reason=reason)


LOT: list[events.Any] = [
    events.LotLoaded(at=NOW, info=INFO),
    shift("LOADING", "LOADED"),
    shift("LOADED", "CHECKING"),
    shift("CHECKING", "RUNNING"),
    landing(1, (1, 2)),
    shift("RUNNING", "PAUSING"),
    shift("PAUSING", "PAUSED", "lunch"),
    shift("PAUSED", "RUNNING"),
    landing(2, (3, 4), good=False),
    shift("RUNNING", "ENDING"),
    shift("ENDING", "CLOSING"),
    events.LotClosed(at=NOW, lot="L1", outcome="PASSED", tested=4, good=2, accounts={}, stdf_sha256="ab"),
    shift("CLOSING", "CLOSED"),
]
ADDED_UP = {"e10.changed", "alarm.cleared"}
TOLD = "lot.loaded lot.started lot.paused lot.resumed lot.completed datalog.closed".split()  # noqa: SIM905
_TELLER = Teller()
EVERY = [one.told[0] for line, event in enumerate(LOT, start=1) for one in _TELLER.take(line, event)]
"""With what events add up to."""


async def journalled(folder: Path, happened: list[events.Any] = LOT) -> Path:
    """Write the journal of a lot."""
    journal = Journal(folder / "journal", reserve_bytes=0)
    journal.open()
    await journal.commit(*happened)
    journal.close()
    return folder / "journal"


async def followed(
    presence: Presence, path: Path, happened: list[events.Any] = LOT, *, lines: int = 0
) -> None:
    """Let a lot happen: its events are journalled, and on the bus."""
    bus = Bus()
    subscription = bus.subscribe()
    for event in happened:
        bus.publish(event)
    bus.close()
    await presence.herald.follow(path, lines, subscription)


def lot_events(found: list[CloudEvent]) -> list[str]:
    return [event.type for event in found if event.subject == "L1" and event.type not in ADDED_UP]


def closed(found: list[CloudEvent]) -> bool:
    return "datalog.closed" in {event.type for event in found}


def last(ear: Ear, topic: str, kind: Any) -> Any:
    found = [message for message in ear.heard if message.topic == topic]
    return msgspec.json.decode(found[-1].payload, type=kind)


async def test_birth_online_and_state_are_there_for_whoever_comes_later(tmp_path: Path) -> None:
    bus = LocalBus()
    floor = Floor(tmp_path, bus)
    async with floor.station() as presence, floor.client() as client:
        await client.ask("control.acquire")
        await client.until(lambda state: state.lease == "mes-gw")
        kept = {message.topic: message.payload for message in bus.kept((f"{TREE.root}/#",))}
    birth = msgspec.json.decode(kept[TREE.birth], type=Birth)
    assert (birth.epoch, birth.sites, birth.keys["lab-pc#1"]) == (1, (1, 2), ("Ed25519", "ML-DSA-65"))
    assert set(kept) == {TREE.birth, TREE.online, TREE.state}
    assert msgspec.json.decode(kept[TREE.online], type=Online) == Online(True, presence.epoch)
    assert msgspec.json.decode(kept[TREE.state], type=State).cell == "EMPTY"


async def test_the_epoch_rises_and_whoever_leaves_says_so(tmp_path: Path) -> None:
    bus = LocalBus()
    floor = Floor(tmp_path, bus)
    for epoch in (1, 2, 3):
        async with floor.station() as presence:
            assert presence.epoch == epoch
        (kept,) = bus.kept((TREE.online,))
        assert msgspec.json.decode(kept.payload, type=Online) == Online(False, epoch)


async def test_a_lot_becomes_events_in_order_touchdowns_and_a_state(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    path = await journalled(tmp_path)
    async with floor.station() as presence, floor.client() as client, listening(floor.bus) as ear:
        await followed(presence, path)
        found = await ear.until(closed)
        state = await client.until(lambda state: state.cell == "CLOSED")
        while not any(message.topic == TREE.td for message in ear.heard):
            await ear.until(lambda _: True)
    assert lot_events(found) == TOLD
    assert (state.run, state.count.tested, state.count.good) == ("COMPLETE", 4, 2)
    assert [(site.site, site.use, site.good) for site in state.sites] == [(1, "ON", 0.5), (2, "ON", 0.5)]
    touchdowns = [
        one
        for message in ear.heard
        if message.topic == TREE.td
        for one in msgspec.json.decode(message.payload, type=list[Touchdown])
    ]
    assert [(one.seq, [d.flags for d in one.devices]) for one in touchdowns] == [(1, [0, 0]), (2, [1, 1])]


async def test_without_a_broker_events_wait_and_come_in_order_each_once(tmp_path: Path) -> None:
    bus = LocalBus()
    floor = Floor(tmp_path, bus)
    path = await journalled(tmp_path)
    async with floor.station() as presence:
        bus.stop()
        await followed(presence, path)
        bus.start()
        async with listening(floor.bus) as ear:
            found = await ear.until(closed)
            births = [message.topic for message in ear.heard]
    assert lot_events(found) == TOLD
    assert len({event.id for event in found}) == len(found)
    assert births.index(TREE.birth) < births.index(TREE.evt("lot.loaded"))


async def test_what_a_start_did_not_tell_the_next_one_does(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    path = await journalled(tmp_path)
    floor_two = Floor(tmp_path, gateway=floor.gateway, engineer=floor.engineer)
    async with floor.station() as presence, listening(floor.bus) as ear:
        await followed(presence, path, LOT[:4])  # the process ends here, the journal has it all
        before = await ear.until(lambda found: "lot.started" in {event.type for event in found})
    async with listening(floor_two.bus) as ear, floor_two.station():
        after = await ear.until(closed)
    assert lot_events(before) + lot_events(after) == TOLD
    assert not {event.id for event in before} & {event.id for event in after}


async def test_events_that_the_queue_lost_are_read_from_the_journal(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    path = await journalled(tmp_path)
    async with floor.station() as presence, listening(floor.bus) as ear:
        bus = Bus()
        subscription = bus.subscribe()
        subscription.lost = 5  # the first five fell out
        for event in LOT[5:]:
            bus.publish(event)
        bus.close()
        await presence.herald.follow(path, 0, subscription)
        found = await ear.until(closed)
    assert lot_events(found) == TOLD


class Overrun:
    """A subscription from which events fell out in the middle."""

    lost = 0

    async def __aiter__(self) -> AsyncIterator[events.Any]:
        for event in LOT[:3]:
            yield event
        self.lost = 4
        for event in LOT[7:]:
            yield event


async def test_events_that_the_queue_lost_in_the_middle_are_read_too(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    path = await journalled(tmp_path)
    happened: Any = Overrun()
    async with floor.station() as presence, listening(floor.bus) as ear:
        await presence.herald.follow(path, 0, happened)
        found = await ear.until(closed)
        count = presence.herald.view.count
    assert lot_events(found) == TOLD
    assert (count.tested, count.good) == (4, 2)


async def test_where_the_journal_cannot_be_read_what_is_known_is_told(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    happened: Any = Overrun()
    async with floor.station() as presence, listening(floor.bus) as ear:
        await presence.herald.follow(tmp_path / "no journal", 0, happened)
        found = await ear.until(closed)
    assert lot_events(found) == [kind for kind in TOLD if kind not in ("lot.started", "lot.paused")]


@pytest.mark.parametrize(("told", "last_told"), [(0, ""), (4, "lot.started"), (7, "lot.paused")])
async def test_a_lot_that_is_taken_up_is_told_of_from_where_the_life_before_ended(
    tmp_path: Path, told: int, last_told: str
) -> None:
    """Each event once, with the number of its line, however much that life told; the state counts all."""
    floor = Floor(tmp_path)
    path = await journalled(tmp_path, LOT[:7])
    async with floor.station() as presence, listening(floor.bus) as ear:
        before = list[str]()
        if told:
            await followed(presence, path, LOT[:told])
            before = ids(await ear.until(lambda found: last_told in lot_events(found)))
    async with listening(floor.bus) as ear, floor.station() as presence:
        await journalled(tmp_path, LOT[7:])
        await followed(presence, path, LOT[7:], lines=7)
        found = await ear.until(closed)
        count = presence.herald.view.count
    every = ["L1/1.0", "L1/4.0", "L1/7.0", "L1/8.0", "L1/12.0", "L1/12.1"]
    assert sorted([*before, *ids(found)]) == sorted(every)
    assert (count.tested, count.good) == (4, 2)


def ids(found: list[CloudEvent]) -> list[str]:
    return [event.id for event in found if event.subject == "L1" and event.type not in ADDED_UP]


async def test_lots_that_come_quickly_are_not_mixed_up(tmp_path: Path) -> None:
    """The second one begins while events of the first still wait."""
    floor = Floor(tmp_path)
    paths = [tmp_path / name for name in ("one", "two")]
    async with floor.station() as presence, listening(floor.bus) as ear:
        for path in paths:
            path.mkdir()
            await journalled(path)
        async with asyncio.TaskGroup() as group:
            for path in paths:
                group.create_task(followed(presence, path / "journal"))
        found = await ear.until(lambda told: [e.type for e in told].count("datalog.closed") == len(paths))
    told = ids(found)
    assert told == 2 * told[: len(TOLD)]


async def test_a_command_under_way_when_the_broker_goes_is_carried_out_once(tmp_path: Path) -> None:
    bus = LocalBus()
    floor = Floor(tmp_path, bus)
    floor.cell.block = asyncio.Event()
    async with floor.station() as presence:
        async with floor.client() as client:
            await client.ask("control.acquire")
            asking = asyncio.get_running_loop().create_task(client.ask("lot.load", lot(), name="job-1"))
            await floor.cell.seen.wait()
            bus.stop()
            floor.cell.block.set()
            asking.cancel()
        bus.start()
        await presence.agent.connected.wait()
        floor.cell.state, floor.now = CellState.LOADED, NOW + 1
        async with floor.client() as client:
            answer = await client.ask("lot.load", lot(), name="job-1")
    assert answer.ok
    assert len(floor.cell.taken) == 1


async def test_the_will_speaks_for_a_station_that_is_gone(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    async with listening(floor.bus) as ear:
        will = Message(TREE.online, b"gone", retain=True)
        try:
            async with floor.bus.link("ws-07", will):
                raise ConnectionError
        except ConnectionError:
            pass
        await ear.until(lambda _: True)
    assert ear.heard[0].payload == b"gone"


async def test_a_hold_raises_an_alarm_with_its_reason(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    happened = [*LOT[:4], shift("RUNNING", "HELD", "the handler jams")]
    path = await journalled(tmp_path, happened)
    async with floor.station() as presence, listening(floor.bus) as ear:
        await followed(presence, path, happened)
        found = await ear.until(lambda found: "alarm.raised" in {event.type for event in found})
    data = next(event.data for event in found if event.type == "alarm.raised")
    assert data == {"alarm": "hold", "priority": "high", "reason": "the handler jams"}
