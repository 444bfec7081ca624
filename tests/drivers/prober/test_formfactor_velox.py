"""The driver against the dialogues of the SDK."""

from contextlib import aclosing
from typing import Any

import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.prober import formfactor_velox
from drivers.prober.formfactor_velox import FormFactorVelox, VeloxOptions
from drivers.protocols.velox import Command, Reply, SlotStatus, integers, numbers, slots, values
from drivers.roles import Identity
from drivers.roles.happening import AlarmRaised, VacuumLost
from drivers.roles.prober import Die, LotData
from tests.replay import replayed, replayed_stream, written_stream


def made(port: Any, **options: Any) -> FormFactorVelox:
    return FormFactorVelox("prober", port, VeloxOptions(**options))


def told(prober: FormFactorVelox) -> list[object]:
    prober.heard = (events := list[object]()).append
    return events


@pytest.mark.parametrize("chunk", [1, 4096])
async def test_connects_over_tcp_and_gives_it_back(chunk: int) -> None:
    with replayed_stream("formfactor_velox/connects", chunk=chunk) as line:
        prober = made(line)
        await prober.connect()
        assert await prober.identify() == Identity("FormFactor", "Velox 3.4.5", firmware="3.4")
        await prober.aclose()
    assert (line.opened, line.closed) == (1, 1)


async def test_connects_over_gpib() -> None:
    with replayed("formfactor_velox/connects_over_gpib") as port:
        prober = made(port)
        await prober.connect()
        with pytest.raises(InstrumentError, match="MoveChuckHome 100: MoveChuckHome is not known") as caught:
            await prober.raw("MoveChuckHome 100")
        assert caught.value.code == 9001
        await prober.aclose()


async def test_without_its_wafer_map_it_is_refused() -> None:
    with (
        replayed_stream("formfactor_velox/no_wafer_map") as line,
        pytest.raises(EquipmentError, match="the WaferMap application does not run"),
    ):
        await made(line).connect()


@pytest.mark.parametrize(
    ("mode", "dialogue"), [("tester_master", "wafer_by_plan"), ("prober_master", "wafer_by_route")]
)
async def test_a_wafer(mode: str, dialogue: str) -> None:
    with replayed_stream(f"formfactor_velox/{dialogue}") as line:
        prober = made(line, mode=mode)
        bins, found = iter((1, 7)), []
        async with aclosing(prober.touchdowns()) as touchdowns:
            async for touchdown in touchdowns:
                found.append((touchdown.wafer, dict(touchdown.positions)))
                await prober.sort({1: next(bins)})
    assert found == [("W1", {1: (0, 0)}), ("W1", {1: (1, 0)})]


async def test_a_step_that_lands_elsewhere_is_no_test() -> None:
    with (
        replayed_stream("formfactor_velox/step_lands_elsewhere") as line,
        pytest.raises(EquipmentError, match="sent to die 0, 0, stands on die 1, 0: no test"),
    ):
        await made(line).step_to(0, 0)


async def test_contact_is_undone() -> None:
    with replayed_stream("formfactor_velox/contacting") as line:
        async with made(line).contacting():
            pass


async def test_no_contact() -> None:
    refused = pytest.raises(EquipmentError, match="there is no contact")
    with replayed_stream("formfactor_velox/no_contact") as line, refused:
        async with made(line).contacting():
            raise AssertionError("entered")


async def test_a_contact_height_that_is_not_set() -> None:
    prober_line = (
        "> Cmd=2:ReadWaferStatus:\n< Rsp=2:0:1\n> Cmd=3:MoveChuckSeparation:\n< Rsp=3:0\n"
        "> Cmd=4:ReadChuckPosition:Y Z\n< Rsp=4:0:0 0 0\n> Cmd=5:ReadChuckHeights:Y\n< Rsp=5:0:-1 0 0 0 0"
    )
    with pytest.raises(EquipmentError, match="the contact height is not set"):
        await made(written_stream(prober_line)).make_safe()
    with replayed_stream("formfactor_velox/no_contact_height") as line:
        prober = made(line)
        assert await prober.occupied()
        with pytest.raises(EquipmentError, match="the contact height is not set"):
            await prober.ask_contact_height()


async def test_a_wafer_without_vacuum_is_not_moved() -> None:
    with replayed_stream("formfactor_velox/no_vacuum") as line:
        prober = made(line, angle=90.0)
        events = told(prober)
        with pytest.raises(EquipmentError, match="on the chuck without vacuum"):
            await prober.load(1, 1)
    assert events == [VacuumLost()]


async def test_a_cassette_that_is_not_there() -> None:
    with (
        replayed_stream("formfactor_velox/no_cassette") as line,
        pytest.raises(EquipmentError, match="there is no cassette 2"),
    ):
        await made(line).slots(2)


async def test_an_error_is_an_alarm_with_its_text() -> None:
    with replayed_stream("formfactor_velox/door_open") as line:
        prober = made(line)
        events = told(prober)
        with pytest.raises(InstrumentError, match="LoadWafer 1 1 0: a door is open"):
            await prober.load(1, 1)
    assert events == [AlarmRaised("9010", "a door is open")]


async def test_an_unload_of_nothing() -> None:
    with (
        replayed_stream("formfactor_velox/empty_chuck") as line,
        pytest.raises(InstrumentError, match="does not have a wafer"),
    ):
        await made(line).unload()


@pytest.mark.parametrize("dialogue", ["safe_without_wafer", "safe_in_contact"])
async def test_safe_is_separated(dialogue: str) -> None:
    with replayed_stream(f"formfactor_velox/{dialogue}") as line:
        await made(line).make_safe()


async def test_an_empty_chuck_that_is_up_is_not_safe() -> None:
    line = written_stream(
        "> Cmd=2:ReadWaferStatus:\n< Rsp=2:0:0\n> Cmd=3:ReadChuckPosition:Y Z\n< Rsp=3:0:0 0 10000\n"
        "> Cmd=4:ReadChuckHeights:Y\n< Rsp=4:0:10000 0 0 0 0"
    )
    with pytest.raises(EquipmentError, match="the chuck is empty, and as high as in contact"):
        await made(line).make_safe()


async def test_silence_breaks_the_line_and_the_safe_state_opens_it_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formfactor_velox, "HEAT_S", 0.01)
    with replayed_stream("formfactor_velox/silent_and_safe_again") as line:
        prober = made(line)
        await prober._wire.open()
        with pytest.raises(Silent):
            await prober.temperature()
        monkeypatch.undo()
        await prober.make_safe()
    assert (line.opened, line.closed) == (2, 1)


async def test_marks_maps_and_the_rest() -> None:
    with replayed_stream("formfactor_velox/marks_and_maps") as line:
        prober = made(line, cleaning="tips")
        await prober.load_map("se1")
        await prober.mark({Die(0, 0): 5, Die(0, 0, 2): 6})
        assert await prober.read_map() == {Die(0, 0): 6, Die(1, 0): None}
        assert await prober.lot_info() == LotData(lot="LOT 1", product="se1")
        await prober.clean_needles()
        await prober.abort()


async def test_no_cleaning_without_a_sequence() -> None:
    prober = made(written_stream(""))
    assert not prober.can_clean
    with pytest.raises(EquipmentError, match="no cleaning sequence is named"):
        await prober.clean_needles()


async def test_temperature() -> None:
    with replayed_stream("formfactor_velox/heats") as line:
        prober = made(line)
        await prober.start_heater(25.0)
        assert await prober.temperature() == 25.0
        assert not await prober.soaked()


async def test_answers_of_other_clients_are_passed_over() -> None:
    with replayed_stream("formfactor_velox/other_clients") as line:
        prober = made(line)
        assert await prober.temperature() == 25.0
        assert prober._wire.strays == 1


async def test_an_answer_without_an_end_is_taken_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formfactor_velox, "UNENDED_S", 0.01)
    line = written_stream("> Cmd=2:GetHeaterTemp:C\nends none\n< Rsp=2:0:25.0 C 0")
    assert await made(line).temperature() == 25.0


async def test_put_there_by_hand() -> None:
    with replayed_stream("formfactor_velox/by_hand") as line:
        prober = made(line, loader=False)
        await prober.align()
        assert await prober.raw("StepNextDie   ") == "0 0 0 0"
        assert await prober.raw("EchoData a b") == "a b"


async def test_numbers_of_commands_wrap() -> None:
    prober = made(
        written_stream("> Cmd=999:ReadWaferStatus:\n< Rsp=999:0:1\n> Cmd=1:ReadWaferStatus:\n< Rsp=1:0:1")
    )
    prober._id = 998
    assert await prober.occupied()
    assert await prober.occupied()


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("Rsp=7:0", Reply(7)),
        ("Rsp=7:0:a:b ", Reply(7, 0, "a:b")),
        ("Rsp=12:703:End of wafer", Reply(12, 703, "End of wafer")),
    ],
)
def test_replies(line: str, reply: Reply) -> None:
    assert Reply.decode(line) == reply
    assert Reply.decode(reply.encode()) == reply
    assert Reply.decode_bare(reply.bare()) == Reply(0, reply.code, reply.text)


@pytest.mark.parametrize("line", ["", "Rsp=7", "Rsp=x:0:", "Cmd=7:A:"])
def test_lines_that_are_no_replies(line: str) -> None:
    with pytest.raises(ProtocolError, match="is no reply of Velox"):
        Reply.decode(line)
    with pytest.raises(ProtocolError, match="over GPIB"):
        Reply.decode_bare(line)


def test_commands() -> None:
    assert Command.decode("Cmd=2:StepNextDie:  ") == Command(2, "StepNextDie")
    assert Command.decode(Command(3, "LoadWafer", "1 5 0").encode()) == Command(3, "LoadWafer", "1 5 0")
    assert Command(3, "StepNextDie").bare() == "StepNextDie"
    with pytest.raises(ProtocolError, match="is no command of Velox"):
        Command.decode("LoadWafer 1")


def test_values() -> None:
    assert values('1 "two words" x') == ("1", "two words", "x")
    assert integers("1 2.0 x", 2) == (1, 2)
    for text in ("x 2", "1"):
        with pytest.raises(ProtocolError, match="numbers were expected"):
            numbers(text, 2)
    with pytest.raises(ProtocolError, match="whole numbers"):
        integers("1.5", 1)


def test_slots() -> None:
    assert slots("1 1 Present Read W1;1 2 Empty;") == (
        SlotStatus(1, 1, "Present", "Read", "W1"),
        SlotStatus(1, 2, "Empty"),
    )
    with pytest.raises(ProtocolError, match="is no slot"):
        slots("what")


def test_bins_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="bins 0: 1 or more"):
        VeloxOptions(bins=0)
