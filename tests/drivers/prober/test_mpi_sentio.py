"""The driver against the dialogues of the bindings."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from drivers.errors import DeviceLost, EquipmentError, InstrumentError, ProtocolError, Silent, TransportError
from drivers.prober import mpi_sentio
from drivers.prober.mpi_sentio import MpiSentio, SentioOptions
from drivers.protocols.sentio import Reply, integers, numbers
from drivers.roles import Identity
from drivers.roles.happening import (
    AlarmRaised,
    CassetteEnded,
    LotEnded,
    Paused,
    Resumed,
    TemperatureReached,
    VacuumLost,
    WaferEnded,
    WaferLoaded,
)
from drivers.roles.prober import Die, LotData
from tests.dialogue import find
from tests.replay import ReplayStream, replayed, replayed_stream, written, written_stream


def made(port: Any, **options: Any) -> MpiSentio:
    return MpiSentio("prober", port, SentioOptions(**options))


def binning(prober: MpiSentio, bins: int = 128) -> list[object]:
    """Give it bins without asking for them, and keep its events."""
    prober.hard_bins = frozenset(range(bins))
    prober.heard = (events := list[object]()).append
    return events


@pytest.mark.parametrize("chunk", [1, 4096])
async def test_connects_over_tcp(chunk: int) -> None:
    with replayed_stream("mpi_sentio/connects", chunk=chunk) as line:
        prober = made(line)
        await prober.connect()
        assert prober.hard_bins == frozenset(range(128))
        firmware = "26.2.0.0"
        assert await prober.identify() == Identity(
            "MPI Corporation", "Sentio - Probe System Software Suite", "", firmware
        )
        await prober.aclose()


async def test_connects_over_a_bus() -> None:
    with replayed("mpi_sentio/connects") as port:
        prober = made(port)
        await prober.connect()
        assert await prober.raw("*IDN?") == "MPI Corporation,Sentio - Probe System Software Suite,0,26.2.0.0"
        await prober.aclose()
    assert (port.opened, port.closed) == (1, 1)


async def test_a_release_that_cannot_be_read_is_refused() -> None:
    with replayed("mpi_sentio/not_a_version") as port, pytest.raises(ProtocolError, match="names no version"):
        await made(port).connect()


async def test_a_machine_that_is_not_ready_is_refused() -> None:
    text = (
        "> *RCS 1\n> status:get_version\n< 0,0,Version: 25.2\n"
        "> set_stepping_contact_mode StepToSeparation\n< 0,0,OK\n"
        "> status:get_machine_status\n< 0,0,IsMeasuring,LoaderBusy"
    )
    with pytest.raises(EquipmentError, match="says 'IsMeasuring,LoaderBusy'; it must be ready"):
        await made(written_stream(text)).connect()


@pytest.mark.parametrize(
    ("mode", "dialogue", "second"),
    [("tester_master", "wafer_by_plan", 7), ("prober_master", "wafer_by_route", 1)],
)
async def test_a_wafer(mode: str, dialogue: str, second: int) -> None:
    with replayed_stream(f"mpi_sentio/{dialogue}") as line:
        prober = made(line, mode=mode)
        events = binning(prober)
        bins = iter((1, second))
        async with aclosing(prober.touchdowns()) as touchdowns:
            found = []
            async for touchdown in touchdowns:
                assert touchdown.wafer == "W1"
                found.append(dict(touchdown.positions))
                await prober.sort({1: next(bins)})
    assert found == [{1: (0, 0)}, {1: (1, 0)}]
    assert events == [WaferLoaded(1, 1, "W1"), WaferEnded("W1"), CassetteEnded(1), LotEnded()]


async def test_past_the_end_of_the_route() -> None:
    with replayed_stream("mpi_sentio/past_the_route") as line:
        assert await made(line).step_next() is None


async def test_a_step_that_lands_elsewhere_is_no_test() -> None:
    with (
        replayed_stream("mpi_sentio/step_lands_elsewhere") as line,
        pytest.raises(EquipmentError, match="sent to die 0, 0, stands on die 1, 0: no test"),
    ):
        await made(line).step_to(0, 0)


async def test_contact_is_undone() -> None:
    with replayed_stream("mpi_sentio/contacting") as line:
        async with made(line).contacting():
            pass


async def test_no_contact_is_told_and_undone() -> None:
    refused = pytest.raises(EquipmentError, match="there is no contact")
    with replayed_stream("mpi_sentio/no_contact") as line, refused:
        async with made(line).contacting():
            raise AssertionError("entered")


async def test_a_chuck_that_stays_up_is_an_error() -> None:
    line = written_stream(
        "> move_chuck_separation \n< 0,0,12000.0\n> get_chuck_site_heights Wafer\n< 0,0,12000,11700,0,50"
    )
    with pytest.raises(EquipmentError, match="told to separate, and still at 12000 um"):
        await made(line).separate()


async def test_a_missing_contact_height_has_its_number() -> None:
    with replayed_stream("mpi_sentio/no_contact_height") as line:
        prober = made(line)
        events = binning(prober)
        with pytest.raises(InstrumentError, match="contact height is not set") as caught:
            await prober.contact()
    assert caught.value.code == 23
    assert events == [AlarmRaised("23", "contact height is not set")]


async def test_an_open_door_is_an_alarm() -> None:
    with replayed_stream("mpi_sentio/front_door_open") as line:
        prober = made(line, angle=90.0)
        events = binning(prober)
        with pytest.raises(InstrumentError, match="front door open"):
            await prober.load(1, 1)
    assert events == [AlarmRaised("60", "front door open")]


async def test_a_wafer_without_vacuum_is_not_moved() -> None:
    with replayed_stream("mpi_sentio/no_vacuum") as line:
        prober = made(line)
        events = binning(prober)
        with pytest.raises(EquipmentError, match="on the chuck without vacuum"):
            await prober.load(1, 1)
    assert events == [VacuumLost()]


async def test_vacuum_lost_on_the_way() -> None:
    with replayed_stream("mpi_sentio/vacuum_lost") as line:
        prober = made(line)
        events = binning(prober)
        with pytest.raises(InstrumentError):
            await prober.contact()
    assert events == [VacuumLost()]


async def test_a_cassette_that_is_not_there() -> None:
    with (
        replayed_stream("mpi_sentio/no_cassette") as line,
        pytest.raises(EquipmentError, match="there is no cassette 2"),
    ):
        await made(line).slots(2)


async def test_slots_that_are_no_slots() -> None:
    line = written_stream("> loader:has_cassette cas1\n< 0,0,1,200\n> loader:scan_station cas1\n< 0,0,what")
    with pytest.raises(ProtocolError, match="'what' is no list of slots"):
        await made(line).slots(1)


async def test_whether_a_wafer_is_on_the_chuck() -> None:
    with replayed_stream("mpi_sentio/chuck_asked_for") as line:
        prober = made(line)
        assert not await prober.occupied()
        await prober.load(1, 1)
        assert await prober.occupied()


async def test_marks_and_maps() -> None:
    with replayed_stream("mpi_sentio/marks_and_maps") as line:
        prober = made(line)
        await prober.load_map("se1")
        await prober.mark({Die(0, 0): 5})
        assert await prober.read_map() == {Die(0, 0): 5, Die(1, 0): None}
        assert await prober.lot_info() == LotData(product="se1")
        await prober.clean_needles()


async def test_subsites_are_marked_too() -> None:
    line = written_stream("> map:bins:set_bin 5, 0, 0, 3\n< 0,0,OK")
    await made(line).mark({Die(0, 0, 3): 5})


async def test_temperature() -> None:
    with replayed_stream("mpi_sentio/heats") as line:
        prober = made(line)
        await prober.start_heater(25.0)
        assert await prober.temperature() == 25.0
        assert not await prober.soaked()


async def test_heats_until_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.links.probing.TEMPERATURE_POLL_S", 0.0)
    line = written_stream(
        "> status:set_chuck_temp 85.00, False\n< 0,0,OK\n> status:get_chuck_temp\n< 0,0,25.0\n"
        + "> status:get_chuck_temp\n< 0,0,84.9\n> status:get_chuck_thermo_state\n< 0,0,Soaking\n"
        + "> status:get_chuck_temp\n< 0,0,85.0\n> status:get_chuck_thermo_state\n< 0,0,controlling\n" * 2
    )
    prober = made(line)
    events = binning(prober)
    await prober.set_temperature(85.0, soak_s=0.0)
    assert events == [TemperatureReached(85.0)]


@pytest.mark.parametrize("answer", ["Error", "uncontrolled"])
async def test_a_heater_in_trouble(answer: str) -> None:
    line = written_stream(f"> status:get_chuck_thermo_state\n< 0,0,{answer}")
    with pytest.raises(EquipmentError, match="temperature is in state"):
        await made(line).soaked()


async def test_initialisation_is_asked_for_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpi_sentio, "POLL_S", 0.01)
    line = written_stream(
        "> start_initialization\n< 0,7,OK\n> query_command_status 7\n< 30,0,pending\n"
        "> query_command_status 7\n< 0,7,OK"
    )
    await made(line).reset()


async def test_an_initialisation_without_end_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpi_sentio, "POLL_S", 0.001)
    monkeypatch.setattr(mpi_sentio, "INITIALISE_S", 0.001)
    with replayed_stream("mpi_sentio/initialisation_hangs") as line:
        prober = made(line)
        with pytest.raises(EquipmentError, match="it was aborted"):
            await prober.reset()
        assert await prober.raw("query_command_status 1") == "31,0,aborted"
        assert await prober.raw("query_command_status 1") == "32,0,unknown id of a command"


async def test_silence_breaks_the_line_and_the_safe_state_opens_it_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mpi_sentio, "MOVE_S", 0.01)
    with replayed_stream("mpi_sentio/silent_and_safe_again") as line:
        prober = made(line)
        await prober._wire.open()
        with pytest.raises(Silent, match="no answer to 'status:get_chuck_temp' in 0.01 s"):
            await prober.raw("status:get_chuck_temp")
        with pytest.raises(TransportError, match="out of step"):
            await prober.temperature()
        with pytest.raises(TransportError, match="out of step"):
            await prober.raw("*LOCAL")
        monkeypatch.undo()
        await prober.make_safe()
    assert (line.opened, line.closed) == (2, 1)


async def test_a_connection_that_was_lost_meanwhile_is_opened_anew() -> None:
    class Lost(ReplayStream):
        async def write(self, data: bytes) -> None:
            if self.opened == 1:
                raise DeviceLost("gone")
            await super().write(data)

    line = Lost(find("mpi_sentio/connection_lost"))
    prober = made(line)
    await prober._wire.open()
    await prober.make_safe()
    line.script.assert_finished()


async def test_a_cancelled_exchange_leaves_its_answer_on_the_way() -> None:
    line = written_stream("> status:get_chuck_temp")
    prober = made(line)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await prober.temperature()
    assert "ended in CancelledError" in prober._wire.broken


async def test_a_line_that_nobody_asked_for_is_no_answer() -> None:
    line = written_stream("< 0,0,99.0\n> status:get_chuck_temp\n< 0,0,25.0")
    prober = made(line)
    assert await prober.temperature() == 25.0
    assert prober._wire.strays == 1


async def test_pause_is_separation() -> None:
    line = written_stream(
        "> move_chuck_separation \n< 0,0,11700.0\n> get_chuck_site_heights Wafer\n< 0,0,12000,11700,0,50\n"
        "> move_chuck_separation \n< 0,0,11700.0"
    )
    prober = made(line)
    events = binning(prober)
    await prober.pause()
    await prober.resume()
    await prober.abort()
    assert events == [Paused(), Resumed()]


async def test_engineers_commands() -> None:
    with replayed_stream("mpi_sentio/unknown_command") as line:
        prober = made(line)
        assert await prober.raw("enable_chuck_site_hover True") == "4,0,invalid command"
        assert await prober.raw("*LOCAL") == ""


@pytest.mark.parametrize("line", ["", "0", "0,0", "x,0,OK", "0,y,OK", "-1,0,OK"])
def test_lines_that_are_no_replies(line: str) -> None:
    with pytest.raises(ProtocolError, match="is no reply of SENTIO"):
        Reply.decode(line)


def test_error_and_status_share_a_number() -> None:
    assert Reply.decode("3083,12,a, b") == Reply(error=11, status=3, id=12, text="a, b")
    assert Reply(error=11, status=3, id=12, text="a, b").encode() == "3083,12,a, b"


def test_numbers_are_the_first_ones() -> None:
    assert numbers("25.0,OK", 1) == (25.0,)
    assert integers("4,5,0", 2) == (4, 5)
    for text in ("OK", "", "1"):
        with pytest.raises(ProtocolError, match="numbers were expected"):
            numbers(text, 2)
    with pytest.raises(ProtocolError, match="whole numbers"):
        integers("1.5", 1)


def test_a_port_of_either_kind() -> None:
    assert isinstance(written("> x"), MpiSentio.port)
    assert isinstance(written_stream("> x"), MpiSentio.port)
