"""The PTO92UT's driver against its dialogues, its codec against the vectors, and whole lots."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DeviceLost, EquipmentError, InstrumentError, ProtocolError
from drivers.handler.geringer_pto92ut import GeringerOptions, GeringerPto92ut
from drivers.protocols.geringer import Line, Lines, bins_of, started
from drivers.roles import Touchdown
from drivers.transports import Stream
from drivers.transports.serial import SerialSettings, SerialStream
from sim.handler import geringer_pto92ut
from sim.serial import machine as line_end
from sim.serial import protocol_hardbin
from sim.time import new_loop
from tests.drivers.handler.test_lots import Run, clock, faults_of, lot
from tests.replay import ReplayStream, replayed_stream
from tests.trays import Trays, full

ONE = Touchdown(frozenset({1}), {1: "1"})
_numbers = itertools.count()


def made(port: Stream, *, sites: int = 1, **options: Any) -> GeringerPto92ut:
    told = GeringerOptions(sites=frozenset(range(1, sites + 1)), **options)
    return GeringerPto92ut("handler", port, told)


@asynccontextmanager
async def listening(handler: GeringerPto92ut) -> AsyncGenerator[AsyncGenerator[Touchdown, None], None]:
    await handler.connect()
    await handler.start_lot("LOT7")
    try:
        async with aclosing(handler.touchdowns()) as touchdowns:
            yield touchdowns
    finally:
        await handler.aclose()


@asynccontextmanager
async def answering(handler: GeringerPto92ut, line: ReplayStream) -> AsyncGenerator[None, None]:
    """Connect without the two questions, which a dialogue that begins with the handler does not have."""
    say, handler._say = handler._say, _nothing  # type: ignore[method-assign]
    await handler.connect()
    handler._say = say  # type: ignore[method-assign]
    try:
        yield
        while line.script.left:
            line.script.moved.clear()
            await line.script.moved.wait()
        await asyncio.sleep(0)
    finally:
        await handler.aclose()


async def _nothing(line: Line) -> None:
    del line


@pytest.mark.parametrize("chunk", [1, 4096])
async def test_a_lot_from_load_to_end(chunk: int) -> None:
    with replayed_stream("geringer_pto92ut/lot", chunk=chunk) as line:
        handler = made(line)
        async with listening(handler) as touchdowns:
            numbers = iter((1, 3))
            async for touchdown in touchdowns:
                assert touchdown.sites == {1}
                await handler.make_safe()
                await handler.sort({1: next(numbers)})
        assert (await handler.identify()).model == "HTO92-17"
    assert handler.temperature == 25.0
    assert (line.opened, line.closed) == (1, 1)


async def test_devices_that_nobody_opened_are_there_after_a_hold() -> None:
    with replayed_stream("geringer_pto92ut/reference_lot") as line:
        handler = made(line)
        async with answering(handler, line):
            await handler.start_lot("LOT7")
            async with aclosing(handler.touchdowns()) as touchdowns:
                await anext(touchdowns)
            async with aclosing(handler.touchdowns()) as touchdowns:
                assert await anext(touchdowns) == ONE
                await handler.sort({1: 1})


async def test_the_worked_example() -> None:
    with replayed_stream("geringer_pto92ut/reference_lot") as line:
        handler = made(line)
        async with answering(handler, line):
            await handler.start_lot("LOT7")
            async with aclosing(handler.touchdowns()) as touchdowns:
                assert await anext(touchdowns) == ONE
                await handler.sort({1: 1})
                with pytest.raises(StopAsyncIteration):
                    await anext(touchdowns)


async def test_an_empty_site_keeps_its_place() -> None:
    with replayed_stream("geringer_pto92ut/two_sites_one_empty") as line:
        handler = made(line, sites=2)
        async with listening(handler) as touchdowns:
            assert (await anext(touchdowns)).sites == {2}
            await handler.sort({2: 7})


async def test_questions_are_answered_during_a_test() -> None:
    with replayed_stream("geringer_pto92ut/asked_during_the_test") as line:
        handler = made(line)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            while not line.script.next_is("say") or b"ET" not in line.script.left[0].data:
                line.script.moved.clear()
                await line.script.moved.wait()
            await handler.sort({1: 1})


async def test_another_lot_is_refused() -> None:
    with replayed_stream("geringer_pto92ut/another_lot") as line:
        async with listening(made(line)) as touchdowns:
            with pytest.raises(EquipmentError, match="wants to load lot 'LOT8', the station runs 'LOT7'"):
                await anext(touchdowns)


async def test_what_nobody_thought_of_is_the_end_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with replayed_stream("geringer_pto92ut/lot") as line:
        handler = made(line)

        async def broken(line: Line) -> None:
            raise RuntimeError("not thought of")

        monkeypatch.setattr(handler, "_start", broken)
        async with listening(handler) as touchdowns:
            with pytest.raises(EquipmentError, match="not thought of"):
                await anext(touchdowns)
        line.script.left.clear()
    assert line.closed == 1


@pytest.mark.parametrize("code", ["nan", "inf", "1e999", "x"])
async def test_a_code_that_is_no_number_is_unreadable(code: str) -> None:
    with replayed_stream("geringer_pto92ut/lot") as line:
        handler = made(line)
        with pytest.raises(ProtocolError, match=f"'{code}' is no number"):
            await handler._answer(Line("HS", (code, "JAM")))
        line.script.left.clear()


async def test_a_jam_has_its_code() -> None:
    with replayed_stream("geringer_pto92ut/jam") as line:
        async with listening(made(line)) as touchdowns:
            with pytest.raises(InstrumentError, match="error -64: handler: JAM"):
                await anext(touchdowns)


async def test_a_site_that_is_not_configured() -> None:
    with replayed_stream("geringer_pto92ut/site_too_many") as line:
        async with listening(made(line)) as touchdowns:
            with pytest.raises(EquipmentError, match=r"at sites \[2\], configured are \[1\]: no test"):
                await anext(touchdowns)


async def test_a_wrong_sum_is_dropped() -> None:
    with replayed_stream("geringer_pto92ut/wrong_sum_once") as line:
        handler = made(line)
        async with answering_after_names(handler, line):
            await handler.start_lot("LOT7")
    assert handler.dropped == 1


@asynccontextmanager
async def answering_after_names(handler: GeringerPto92ut, line: ReplayStream) -> AsyncGenerator[None, None]:
    await handler.connect()
    yield
    while line.script.left:
        line.script.moved.clear()
        await line.script.moved.wait()
    await handler.aclose()


async def test_the_third_wrong_sum_in_a_row_is_the_end() -> None:
    with replayed_stream("geringer_pto92ut/wrong_sum_three_times") as line:
        async with listening(made(line)) as touchdowns:
            with pytest.raises(ProtocolError, match="3 unreadable lines in a row"):
                await anext(touchdowns)


@pytest.mark.parametrize("name", ["asks_our_name", "no_lot"])
async def test_what_the_handler_asks_without_a_lot(name: str) -> None:
    with replayed_stream(f"geringer_pto92ut/{name}") as line:
        async with answering(made(line, station_id="SCT-81"), line):
            pass


@pytest.mark.parametrize("name", ["lot_twice", "all_at_once"])
async def test_what_the_handler_asks_at_the_wrong_time(name: str) -> None:
    with replayed_stream(f"geringer_pto92ut/{name}") as line:
        handler = made(line)
        async with answering(handler, line):
            await handler.start_lot("LOT7")


async def test_lines_that_are_not_known() -> None:
    with replayed_stream("geringer_pto92ut/unknown_lines") as line:
        handler = made(line)
        async with answering(handler, line):
            pass
    assert handler.dropped == 3


async def test_bins_that_cannot_be_right_are_not_said() -> None:
    with replayed_stream("geringer_pto92ut/lot") as line:
        handler = made(line, bins=4)
        async with listening(handler) as touchdowns:
            with pytest.raises(EquipmentError, match="no devices in contact"):
                await handler.sort({1: 1})
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match=r"bins for sites \[2\], in contact are \[1\]"):
                await handler.sort({2: 1})
            with pytest.raises(EquipmentError, match=r"no hard bin \[5\]; 1 to 4 are"):
                await handler.sort({1: 5})
            with pytest.raises(EquipmentError, match="no word for plunging again"):
                await handler.replunge()
            with pytest.raises(EquipmentError, match="the devices got no bins"):
                await anext(touchdowns)
            assert await anext(handler.touchdowns()) == ONE
        line.script.left.clear()


async def test_a_line_that_breaks_in_the_sort_leaves_bins_unknown() -> None:
    with replayed_stream("geringer_pto92ut/lot") as line:
        handler = made(line)
        async with listening(handler) as touchdowns:
            await anext(touchdowns)
            line.write = broken  # type: ignore[method-assign]
            with pytest.raises(EquipmentError, match=r"bins of sites \[1\] unknown: gone"):
                await handler.sort({1: 1})
        line.script.left.clear()


async def broken(data: bytes) -> None:
    raise DeviceLost("gone")


@pytest.mark.parametrize(
    ("options", "says"), [({"sites": frozenset()}, "one or more"), ({"station_id": "A|B"}, "ASCII without")]
)
def test_options_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        GeringerOptions(**({"sites": frozenset({1})} | options))


def test_the_line_is_set_by_the_station_file() -> None:
    line = GeringerOptions(sites=frozenset({1}), baud=19200, parity="E").line
    assert (line.baud, line.parity) == (19200, "E")


# -- codec
@pytest.mark.parametrize(
    "text",
    [
        "LL|306426.001|814A|120|237",
        "ST|02|1|12345|-01|002|000|1|12346|-01|002|000|154",
        "ST|02||12345|-01|002|000|1|12346|-01|002|000|105",
        "LE|013",
        "ID?|072",
        "TS?|098",
        "HS?|086",
        "TE|169.5|148",
        "HS|0|OK|217",
        "ID|HTO92-17|112",
        "ID|SCT-81|005",
        "TS|0|OK|229",
        "ET|1|11112|111|111|111|097",
    ],
)
def test_vectors_of_the_manual(text: str) -> None:
    assert Line.decode(text.encode()).encode() == text.encode() + b"\n"


def test_the_wrong_vector_is_refused() -> None:
    with pytest.raises(ProtocolError, match="sum 111, 054 is right"):
        Line.decode(b"LL|SS|111")


def test_sites_of_the_vectors() -> None:
    parts = started(Line.decode(b"ST|02||12345|-01|002|000|1|12346|-01|002|000|105"))
    assert [(part.here, part.id) for part in parts.values()] == [(False, "12345"), (True, "12346")]
    assert bins_of(Line.decode(b"ET|1|11112|111|111|111|097")) == [111]
    for line in (Line("ST", ("02", "1")), Line("ST", ("01", "2", "1", "-01", "002", "000"))):
        with pytest.raises(ProtocolError):
            started(line)
    for fields in ((), ("x",), ("1", "a", "b", "c", "d")):
        with pytest.raises(ProtocolError, match="end of test"):
            bins_of(Line("ET", fields))


@given(st.binary(max_size=60))
def test_noise_is_refused_in_one_way(raw: bytes) -> None:
    try:
        line = Line.decode(raw)
    except ProtocolError:
        return
    assert line.encode() == raw + b"\n"


def test_lines_are_cut_as_they_end() -> None:
    lines = Lines()
    assert [one for byte in b"\nLE|013\r\nID?" for one in lines.feed(bytes((byte,)))] == [b"LE|013"]
    assert len(lines.feed(b"x" * 5000)) == 1


# -- whole lots
@asynccontextmanager
async def cell(trays: Trays, *faults: str, sites: int = 2) -> AsyncGenerator[GeringerPto92ut, None]:
    end = f"geringer{next(_numbers)}"
    machine = geringer_pto92ut.GeringerPto92ut(
        clock().clock,
        trays,
        lot="L1",
        sites=sites,
        faults=faults_of(geringer_pto92ut.GeringerPto92ut.knobs, *faults),
    )
    protocol_hardbin.known_to_pyserial()
    line_end.plug(end, machine)
    options = GeringerOptions(sites=frozenset(range(1, sites + 1)))
    handler = GeringerPto92ut("handler", SerialStream("serial:h", f"hardbin://{end}", options.line), options)
    await handler.connect()
    machine.start()
    try:
        yield handler
    finally:
        await handler.aclose()
        line_end.unplug(end)


@pytest.mark.parametrize("fault", ["", "chunk=1", "asks@p=0.3"])
def test_a_lot(fault: str) -> None:
    run = lot(cell, full(2, 20), *filter(None, [fault]))
    assert run.trays.bins == run.expected
    assert len(run.expected) == 40


@pytest.mark.parametrize("fault", ["jam@every=5", "extra_site@every=5"])
def test_what_needs_a_person(fault: str) -> None:
    run = lot(cell, full(2, 20), fault, faults=10)
    assert run.faults
    assert run.trays.bins == run.expected
    assert len(run.expected) == 40


def test_a_line_that_is_never_right_moves_nothing() -> None:
    run = Run(full(2, 4))

    async def life() -> None:
        async with cell(run.trays, "bad_checksum") as handler:
            with pytest.raises(ProtocolError, match="3 unreadable lines"):
                await run.live(handler)

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())
    assert run.trays.bins == {}


async def test_a_lot_that_the_handler_asks_for_first_is_answered_when_the_station_runs_it() -> None:
    with replayed_stream("geringer_pto92ut/lot_twice") as line:
        handler = made(line)
        async with answering(handler, line):
            while not handler._asked:
                line.script.moved.clear()
                await line.script.moved.wait()
                await asyncio.sleep(0)
            assert line.script.next_is("say"), "it is not answered before"
            await handler.start_lot("LOT7")
    assert GeringerOptions(sites=frozenset({1}), baud=1200, parity="E").line == SerialSettings(
        baud=1200, parity="E"
    )
