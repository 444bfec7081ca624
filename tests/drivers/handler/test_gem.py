"""The GEM host against its dialogues, its codecs, and whole lots over the simulated network."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import json, structs

from drivers.errors import DeviceLost, EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.handler.gem import GemHandler, GemOptions
from drivers.links.hsms import Timers
from drivers.protocols.gem import Event, GemEvent, GemProfile
from drivers.protocols.gem_maps import SubstrateMap
from drivers.protocols.hsms import Kind
from drivers.protocols.secs import u4
from drivers.roles import Touchdown
from drivers.transports import Stream
from drivers.transports.tcp import TcpStream
from sim.handler import gem as simulated
from tests.drivers.handler.test_lots import Run, clock, faults_of, lot, virtually
from tests.replay import ReplayStream, replayed_stream
from tests.simulated.gem import PROFILE
from tests.trays import Trays, full

ONE = Touchdown(frozenset({1}))
PATIENT = Timers(t3=20.0, t6=20.0, t8=20.0)
QUICK = Timers(t3=0.5, t6=0.5, t8=0.5)
"""Where the dialogue has no reply; all else comes before that is over, however slow the machine."""
LEAVE = Kind.SEPARATE_REQ
_numbers = itertools.count()


class Lenient(Stream):
    """A replayed connection; what the host says when it leaves is in no dialogue."""

    def __init__(self, line: ReplayStream) -> None:
        self.name = line.name
        self._line = line

    async def open(self) -> None:
        await self._line.open()

    async def write(self, data: bytes) -> None:
        if data[9] != LEAVE:
            await self._line.write(data)

    async def receive(self) -> bytes:
        return await self._line.receive()

    async def aclose(self) -> None:
        await self._line.aclose()


def made(line: Stream, *, sites: int = 1, **options: Any) -> GemHandler:
    told: dict[str, Any] = {"profile": PROFILE, "timers": PATIENT} | options
    return GemHandler("handler", line, GemOptions(sites=frozenset(range(1, sites + 1)), **told))


@asynccontextmanager
async def connected(line: ReplayStream, **options: Any) -> AsyncGenerator[GemHandler, None]:
    handler = made(Lenient(line), **options)
    try:
        await handler.connect()
        yield handler
    finally:
        await handler.aclose()


@asynccontextmanager
async def running(
    line: ReplayStream, **options: Any
) -> AsyncGenerator[tuple[GemHandler, AsyncGenerator[Touchdown, None]], None]:
    async with connected(line, **options) as handler:
        await handler.start_lot("LOT7")
        async with aclosing(handler.touchdowns()) as touchdowns:
            yield handler, touchdowns


async def played_out(line: ReplayStream) -> None:
    """Wait until all of the dialogue was said."""
    while line.script.left:
        line.script.moved.clear()
        await line.script.moved.wait()
    await asyncio.sleep(0)


@pytest.mark.parametrize("chunk", [1, 4096])
async def test_connects_and_asks_for_its_events(chunk: int) -> None:
    with replayed_stream("gem/connects", chunk=chunk) as line:
        async with connected(line) as handler:
            assert (await handler.identify()).model == "HND1"
            await handler.make_safe()
            await handler.end_lot()
    assert (line.opened, line.closed) == (1, 1)


async def test_a_lot() -> None:
    with replayed_stream("gem/lot") as line:
        async with running(line, sites=2) as (handler, touchdowns):
            async for touchdown in touchdowns:
                assert touchdown.sites == {1, 2}
                await handler.sort({1: 1, 2: 5})


async def test_the_devices_are_plunged_again() -> None:
    with replayed_stream("gem/plunged_again") as line:
        async with running(line) as (handler, touchdowns):
            await anext(touchdowns)
            await handler.replunge()
            assert await anext(touchdowns) == ONE
            await handler.sort({1: 2})


async def test_an_alarm_has_its_number_and_text() -> None:
    with replayed_stream("gem/alarm") as line:
        async with running(line) as (_, touchdowns):
            with pytest.raises(InstrumentError, match="error 17: handler: JAM"):
                await anext(touchdowns)


async def test_an_alarm_that_is_only_a_warning() -> None:
    with replayed_stream("gem/alarm") as line:
        profile = GemProfile(
            presented=PROFILE.presented,
            lot_ended=PROFILE.lot_ended,
            sorted=PROFILE.sorted,
            retest="RETEST",
            recipe="SE1",
            warnings=(17,),
        )
        async with running(line, profile=profile) as (handler, _):
            await played_out(line)
            handler._raise()


async def test_an_event_that_comes_twice_counts_once() -> None:
    with replayed_stream("gem/event_twice") as line:
        async with running(line) as (handler, touchdowns):
            await anext(touchdowns)
            while not handler.repeated:
                line.script.moved.clear()
                await line.script.moved.wait()
            await handler.sort({1: 1})


async def test_a_site_that_is_not_configured() -> None:
    with replayed_stream("gem/site_too_many") as line:
        async with running(line) as (_, touchdowns):
            with pytest.raises(EquipmentError, match=r"at sites \[2\], configured are \[1\]: no test"):
                await anext(touchdowns)


async def test_a_command_that_is_refused_did_nothing() -> None:
    with replayed_stream("gem/command_refused") as line:
        async with running(line) as (handler, touchdowns):
            await anext(touchdowns)
            with pytest.raises(InstrumentError, match="error 2: .*cannot now; nothing was done"):
                await handler.sort({1: 1})


async def test_a_sort_without_reply_leaves_bins_unknown() -> None:
    with replayed_stream("gem/sort_not_answered") as line:
        async with running(line, timers=QUICK) as (handler, touchdowns):
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match=r"bins of sites \[1\] unknown: .*no reply to S2F41"):
                await handler.sort({1: 1})
            with pytest.raises(EquipmentError, match="nothing was said"):
                await handler.sort({1: 1})


async def test_a_sort_that_is_accepted_and_not_done() -> None:
    with replayed_stream("gem/not_sorted") as line:
        async with running(line) as (handler, touchdowns):
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match=r"sites \[1\] unknown: error 18: handler: PART DROPPED"):
                await handler.sort({1: 1})
    with replayed_stream("gem/not_sorted") as line:
        async with running(line, sort_s=0.05) as (handler, touchdowns):
            await anext(touchdowns)
            handler._alarmed = lambda alarm: None  # type: ignore[method-assign]
            with pytest.raises(EquipmentError, match="not sorted within 0.05 s"):
                await handler.sort({1: 1})


async def test_other_devices_during_the_test_stop_the_sort() -> None:
    with replayed_stream("gem/lot") as line:
        async with running(line, sites=2) as (handler, touchdowns):
            await anext(touchdowns)
            handler._told(Event(7, 2001, {10: (u4(2),)}).message(), 7)
            with pytest.raises(EquipmentError, match="other devices .* during the test: no bin"):
                await handler.sort({1: 1, 2: 1})
            assert (await anext(handler.touchdowns())).sites == {2}
        line.script.left.clear()


async def test_devices_that_nobody_opened_are_there_after_a_hold() -> None:
    with replayed_stream("gem/lot") as line:
        async with running(line, sites=2) as (handler, touchdowns):
            await anext(touchdowns)
            await touchdowns.aclose()
            async with aclosing(handler.touchdowns()) as after:
                assert (await anext(after)).sites == {1, 2}
                await handler.sort({1: 1, 2: 5})
                assert await anext(after, None) is None


async def test_devices_that_are_presented_in_a_hold_are_the_next() -> None:
    with replayed_stream("gem/lot") as line:
        async with running(line, sites=2) as (handler, touchdowns):
            await anext(touchdowns)
            await touchdowns.aclose()
            handler._told(Event(7, 2001, {10: (u4(2),)}).message(), 7)
            assert (await anext(handler.touchdowns())).sites == {2}
        line.script.left.clear()


async def test_devices_that_are_presented_twice() -> None:
    with replayed_stream("gem/presented_twice") as line:
        async with running(line) as (_, touchdowns):
            await played_out(line)
            with pytest.raises(ProtocolError, match="presents devices again that nobody has taken"):
                await anext(touchdowns)


async def test_no_devices_for_too_long() -> None:
    with replayed_stream("gem/linktest") as line:
        async with connected(line, linktest_s=0.02, quiet_s=0.02) as handler:
            with pytest.raises(EquipmentError, match="no devices presented for 0.02 s"):
                await anext(handler.touchdowns())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("rejected", "rejects it: not selected"),
        ("select_refused", "selecting is refused with status 1"),
        ("online_refused", "error 1: handler: going on-line .S1F17. is refused"),
        ("aborted", "S1F13 was answered by S1F0"),
    ],
)
async def test_an_equipment_that_does_not_want_us(name: str, says: str) -> None:
    with replayed_stream(f"gem/{name}") as line:
        with pytest.raises(EquipmentError, match=says):
            await made(Lenient(line)).connect()
        line.script.left.clear()


async def test_the_link_is_tested_while_nothing_happens() -> None:
    with replayed_stream("gem/linktest") as line:
        async with connected(line, linktest_s=0.05) as handler:
            waiting = asyncio.ensure_future(anext(handler.touchdowns()))
            await played_out(line)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting


async def test_a_link_that_does_not_answer_is_no_link() -> None:
    with replayed_stream("gem/no_linktest") as line:
        async with connected(line, linktest_s=0.01, timers=QUICK) as handler:
            with pytest.raises(Silent, match="no reply to LINKTEST_REQ within 0.5 s"):
                await anext(handler.touchdowns())


async def test_what_the_equipment_asks() -> None:
    with replayed_stream("gem/equipment_asks") as line:
        async with connected(line):
            await played_out(line)


async def test_the_host_ends_the_lot_and_waits_for_its_end() -> None:
    profile = structs.replace(PROFILE, end="LOT-END")
    with replayed_stream("gem/lot_ended_by_host") as line:
        async with connected(line, profile=profile) as handler:
            await handler.end_lot()


async def test_a_lot_that_does_not_end_is_told() -> None:
    profile = structs.replace(PROFILE, end="LOT-END")
    with replayed_stream("gem/lot_does_not_end") as line:
        async with connected(line, profile=profile, sort_s=0.2) as handler:
            with pytest.raises(EquipmentError, match="the lot did not end within 0.2 s"):
                await handler.end_lot()


RECIPE = b"SE1\x01\x02"


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "se1.rcp"
    path.write_bytes(RECIPE)
    return str(path)


async def test_a_recipe_is_sent_and_read_back(recipe: str) -> None:
    with replayed_stream("gem/recipe_sent") as line:
        async with connected(line, recipe_file=recipe) as handler:
            await handler.start_lot("LOT7")


@pytest.mark.parametrize(
    ("dialogue", "says"),
    [
        ("recipe_refused", "recipe SE1 is refused: it has no space"),
        ("recipe_changed", "has another recipe 'SE1' than the station file names: no lot"),
    ],
)
async def test_no_lot_without_the_recipe_of_the_station_file(dialogue: str, says: str, recipe: str) -> None:
    with replayed_stream(f"gem/{dialogue}") as line:
        async with connected(line, recipe_file=recipe) as handler:
            with pytest.raises(EquipmentError, match=says):
                await handler.start_lot("LOT7")


async def test_the_host_gives_its_recipe_and_takes_none(recipe: str) -> None:
    with replayed_stream("gem/recipe_asked_for") as line:
        async with connected(line, recipe_file=recipe):
            await played_out(line)


async def test_a_recipe_that_cannot_be_read_is_told_before_anything_is_said(tmp_path: Path) -> None:
    with replayed_stream("gem/connects") as line:
        with pytest.raises(EquipmentError, match="recipe_file .*none.rcp"):
            await made(Lenient(line), recipe_file=str(tmp_path / "none.rcp")).connect()
        line.script.left.clear()


def test_a_recipe_file_needs_the_name_of_its_recipe() -> None:
    profile = GemProfile(presented=PROFILE.presented, lot_ended=PROFILE.lot_ended)
    with pytest.raises(ValueError, match="recipe_file: the profile names no recipe"):
        GemOptions(sites=frozenset({1}), profile=profile, recipe_file="x")


async def test_what_was_spooled_is_thrown_away() -> None:
    with replayed_stream("gem/spool_purged") as line:
        async with connected(line, spool="purge"):
            pass


async def test_a_spool_that_stays_is_no_connection() -> None:
    refused = pytest.raises(InstrumentError, match="purging the spool is refused")
    with replayed_stream("gem/spool_busy") as line, refused:
        async with connected(line, spool="purge"):
            pytest.fail("old events may come")


async def test_maps_go_up_and_down(tmp_path: Path) -> None:
    with replayed_stream("gem/maps") as line:
        async with connected(line, map_folder=str(tmp_path)):
            await played_out(line)
    (path,) = tmp_path.iterdir()  # noqa: ASYNC240 - a folder of this test
    assert path.name == "STRIP-1.json"
    kept = json.decode(path.read_bytes(), type=SubstrateMap)
    assert (kept.rows, kept.columns, kept.bins) == (2, 3, "112517")


async def test_a_map_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "STRIP-1.part").mkdir()  # noqa: ASYNC240 - a folder of this test
    with replayed_stream("gem/map_not_kept") as line:
        async with connected(line, map_folder=str(tmp_path)) as handler:
            await played_out(line)
            handler._raise()


async def test_what_nobody_thought_of_is_the_end_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with replayed_stream("gem/lot") as line:
        async with connected(line, sites=2) as handler:

            def broken(event: Event, system: int) -> None:
                raise RuntimeError("not thought of")

            monkeypatch.setattr(handler, "_happened", broken)
            await handler.start_lot("LOT7")
            with pytest.raises(EquipmentError, match="not thought of"):
                await anext(handler.touchdowns())
        line.script.left.clear()
    assert line.closed == 1


async def test_maps_need_their_folder(tmp_path: Path) -> None:
    with replayed_stream("gem/connects") as line:
        with pytest.raises(EquipmentError, match="map_folder .*none: there is no such folder"):
            await made(Lenient(line), map_folder=str(tmp_path / "none")).connect()
        line.script.left.clear()


async def test_what_the_equipment_did_not_understand() -> None:
    with replayed_stream("gem/not_understood") as line:
        async with connected(line) as handler:
            with pytest.raises(ProtocolError, match="did not take what was said .S9F7."):
                await anext(handler.touchdowns())


async def test_an_equipment_that_leaves() -> None:
    with replayed_stream("gem/leaves") as line:
        async with connected(line) as handler:
            for _ in range(2):
                with pytest.raises(DeviceLost, match="has left the session"):
                    await anext(handler.touchdowns())


async def test_a_frame_that_stops_in_the_middle_is_the_end() -> None:
    with replayed_stream("gem/frame_stops") as line:
        async with connected(line, timers=QUICK) as handler:
            with pytest.raises(ProtocolError, match="a frame stopped in the middle for 0.5 s"):
                await anext(handler.touchdowns())


async def test_a_reply_to_no_question_is_dropped() -> None:
    with replayed_stream("gem/late_reply") as line:
        async with connected(line) as handler:
            await played_out(line)
            assert handler._link.strays == 1


async def test_bins_that_cannot_be_right_are_not_said() -> None:
    with replayed_stream("gem/lot") as line:
        async with running(line, sites=2, bins=4) as (handler, touchdowns):
            with pytest.raises(EquipmentError, match="no devices in contact"):
                await handler.replunge()
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match=r"bins for sites \[2\], in contact are \[1, 2\]"):
                await handler.sort({2: 1})
            with pytest.raises(EquipmentError, match=r"no hard bin \[5\]; 1 to 4"):
                await handler.sort({1: 1, 2: 5})
            with pytest.raises(EquipmentError, match="neither sorted nor plunged again"):
                await anext(touchdowns)
        line.script.left.clear()


async def test_replunge_needs_its_command() -> None:
    bare = GemProfile(
        presented=PROFILE.presented, lot_ended=PROFILE.lot_ended, sorted=PROFILE.sorted, recipe="SE1"
    )
    with replayed_stream("gem/lot") as line:
        async with running(line, sites=2, profile=bare) as (handler, touchdowns):
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match="no command that plunges again"):
                await handler.replunge()
        line.script.left.clear()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"presented": GemEvent(ceid=1)}, "a report whose first variable"),
        ({"sort_parameter": "BIN"}, "a name with {site}"),
        ({"lot_ended": GemEvent(ceid=2001)}, "a CEID and a RPTID of its own"),
    ],
)
def test_profiles_that_cannot_be_meant(change: dict[str, Any], says: str) -> None:
    fields: dict[str, Any] = {"presented": PROFILE.presented, "lot_ended": PROFILE.lot_ended} | change
    with pytest.raises(ValueError, match=says):
        GemProfile(**fields)
    with pytest.raises(ValueError, match="one or more"):
        GemOptions(sites=frozenset(), profile=PROFILE)
    with pytest.raises(ValueError, match="t3 0: more than 0"):
        Timers(t3=0)


# -- whole lots
@asynccontextmanager
async def cell(
    trays: Trays, *faults: str, sites: int = 4, profile: GemProfile = PROFILE
) -> AsyncGenerator[GemHandler, None]:
    host = f"gem{next(_numbers)}"
    knobs = simulated.GemHandler.knobs
    machine = simulated.GemHandler(
        clock().clock, trays, profile, sites=sites, faults=faults_of(knobs, *faults)
    )
    clock().hosts.plug(host, 5000, machine)
    options = GemOptions(sites=frozenset(range(1, sites + 1)), profile=profile, quiet_s=300.0)
    handler = GemHandler("handler", TcpStream("tcp:h", host, 5000), options)
    try:
        await handler.connect()
        yield handler
    finally:
        await handler.aclose()


@pytest.mark.parametrize(
    "fault", ["", "chunk=3", "coalesce@p=0.2", "dup_event@p=0.3", "late_event=700@p=0.3"]
)
def test_a_whole_lot(fault: str) -> None:
    run = lot(cell, full(4, 30), *filter(None, [fault]))
    assert run.trays.bins == run.expected
    assert len(run.expected) == 120


@pytest.mark.parametrize("fault", ["", "dataid=0", "dataid=1", "dup_event@p=0.3"])
def test_a_whole_lot_of_another_makers_profile(fault: str) -> None:
    profile = GemProfile(
        presented=GemEvent(ceid=7, rptid=1, vids=(5, 6)),
        lot_ended=GemEvent(ceid=8),
        sites_as="list",
        bin_as="A",
        sort="BIN-PARTS",
        sort_parameter="S{site}",
    )
    run = lot(cell, full(2, 10), *filter(None, [fault]), sites=2, profile=profile)
    assert run.trays.bins == run.expected
    assert len(run.expected) == 20


@pytest.mark.parametrize(
    "fault", ["alarm=17@every=4", "extra_site@every=7", "output_full@every=5", "part_dropped@every=6"]
)
def test_what_needs_a_person(fault: str) -> None:
    run = Run(full(2, 12))

    async def life() -> None:
        async with cell(run.trays, fault, sites=2) as handler:
            with suppress(EquipmentError):
                await run.live(handler, faults=6)

    virtually(life())
    assert run.faults
    assert run.trays.bins.items() >= run.expected.items()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("reject", "rejects it: not selected"),
        ("offline", "going on-line .S1F17. is refused"),
        ("abort_reply", "S1F13 was answered by S1F0"),
    ],
)
def test_an_equipment_that_does_not_take_us_is_told_at_once(fault: str, says: str) -> None:
    async def life() -> None:
        with pytest.raises(EquipmentError, match=says):
            async with cell(full(2, 1), fault, sites=2):
                pass

    virtually(life())


def test_an_equipment_under_local_control_refuses_the_lot() -> None:
    run = Run(full(2, 1))

    async def life() -> None:
        async with cell(run.trays, "local", sites=2) as handler:
            with pytest.raises(EquipmentError, match="cannot now"):
                await run.live(handler)

    virtually(life())
    assert run.trays.bins == {}


@pytest.mark.parametrize("fault", ["rst@every=40", "drop_reply@every=15", "drop_tx@every=25"])
def test_a_link_that_breaks_moves_no_device_to_a_wrong_bin(fault: str) -> None:
    run = Run(full(2, 12))

    async def life() -> None:
        async with cell(run.trays, fault, sites=2) as handler:
            with pytest.raises(EquipmentError):
                await run.live(handler)

    virtually(life())
    assert run.trays.bins.items() >= run.expected.items()
