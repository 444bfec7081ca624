"""Modbus against its dialogues, its codec against noise, and both framings with the simulated devices."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import EquipmentError, InstrumentError, ProtocolError
from drivers.interlock.modbus import Modbus, ModbusOptions, Point
from drivers.protocols.modbus import Frame, Frames, Framing, Function, Request, crc
from drivers.transports.serial import SerialStream
from drivers.transports.tcp import TcpStream
from sim.faults import Faults, parse
from sim.interlock.modbus import Bank, ModbusRtu, ModbusTcp
from sim.serial import machine as line_end
from sim.serial import protocol_hardbin
from sim.time import VirtualLoop, new_loop
from tests.dialogue import find
from tests.replay import ReplayStream, replayed_stream, written_stream

POINTS = {
    "door": Point(kind="input", address=0, interlock=True),
    "flow": Point(kind="holding", address=16, scale=0.1, safe=0.0),
}


def made(line: ReplayStream, *, points: dict[str, Point] = POINTS) -> Modbus:
    machine = Modbus("cell", line, ModbusOptions(points=points, reply_timeout_s=0.02))
    if line.script.dialogue.given.get("framing") == "tcp":
        machine._framing = "tcp"
        machine._frames = Frames("tcp", asks=False)
    return machine


@pytest.mark.parametrize("chunk", [1, 4096])
@pytest.mark.parametrize("name", ["connects", "connects_rtu", "answer_to_another_question", "bad_crc"])
async def test_connects_in_the_safe_state(name: str, chunk: int) -> None:
    with replayed_stream(f"modbus/{name}", chunk=chunk) as line:
        cell = made(line)
        await cell.connect()
        await cell.aclose()
    assert cell.strays == (name == "answer_to_another_question")
    assert (await cell.identify()).model.endswith("door, flow")


async def test_an_interlock_that_opens() -> None:
    with replayed_stream("modbus/interlock_opens") as line:
        cell = made(line)
        await cell.connect()
        assert not await cell.closed()


async def test_an_interlock_that_cannot_be_read_is_open() -> None:
    with replayed_stream("modbus/silent") as line:
        cell = made(line)
        with pytest.raises(ProtocolError, match="no good answer from unit 1 in 3 tries: cell: nothing from"):
            await cell.connect()
    with replayed_stream("modbus/no_such_address") as line:
        assert not await made(line).closed()


async def test_a_value_is_set_scaled_and_read_back() -> None:
    with replayed_stream("modbus/sets") as line:
        cell = made(line)
        await cell.connect()
        await cell.set("flow", 12.3)
        with pytest.raises(EquipmentError, match="door cannot be written"):
            await cell.set("door", 1.0)
        with pytest.raises(EquipmentError, match="flow: -1 is -10 in the register; 0 to 65535"):
            await cell.set("flow", -1.0)
        with pytest.raises(EquipmentError, match="no point 'fan'; there are: door, flow"):
            await cell.measure("fan")


async def test_a_refusal_has_its_code() -> None:
    with replayed_stream("modbus/refused") as line, pytest.raises(InstrumentError, match="error 6: busy"):
        await made(line).connect()


async def test_a_value_that_does_not_stay() -> None:
    with replayed_stream("modbus/stuck") as line, pytest.raises(EquipmentError, match="set to 0 and is 300"):
        await made(line).connect()


@pytest.mark.parametrize(("name", "framing"), [("eight_inputs", "tcp"), ("eight_inputs_rtu", "rtu")])
def test_the_reference_example(name: str, framing: Framing) -> None:
    said, heard = find(f"modbus/{name}").turns
    request = Request(Function.READ_INPUTS, 0, 8)
    assert Frame(1, request.encode(), framing == "tcp").encode(framing) == said.data
    (frame,) = Frames(framing, asks=False).feed(heard.data)
    assert request.answer(frame.pdu) == (1, 0, 1, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("point", "says"),
    [
        ({"kind": "input", "address": 1, "bit": 1}, "one bit already"),
        ({"kind": "input", "address": 1, "safe": 1.0}, "only a coil or a whole holding register"),
        ({"kind": "holding", "address": 1, "scale": 0.0}, "any other number"),
    ],
)
def test_points_that_cannot_be_meant(point: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Point(**point)


def test_options_that_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ModbusOptions(points={})
    with pytest.raises(ValueError, match="points.x: an interlock is a coil"):
        ModbusOptions(points={"x": Point(kind="register", address=0, interlock=True)})


def test_switches_may_be_bits_and_inverted() -> None:
    point = Point(kind="register", address=0, bit=3, inverted=True)
    assert (point.value(8), point.value(7)) == (0.0, 1.0)
    assert Point(kind="coil", address=0, inverted=True).raw(1.0) == 0


# -- codec
REQUESTS = [
    Request(Function.READ_COILS, 7, 11),
    Request(Function.READ_HOLDING, 1, 3),
    Request(Function.WRITE_COIL, 2, 1, (1,)),
    Request(Function.WRITE_REGISTER, 2, 1, (513,)),
    Request(Function.WRITE_COILS, 2, 10, (1, 0) * 5),
    Request(Function.WRITE_REGISTERS, 2, 2, (1, 65535)),
]


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.function.name)
def test_requests_and_answers_come_back_however_they_are_cut(request_: Request, framing: Framing) -> None:
    raw = Frame(9, request_.encode(), 0 if framing == "rtu" else 5).encode(framing)
    frames = Frames(framing, asks=True)
    (found,) = [frame for byte in raw for frame in frames.feed(bytes((byte,)))]
    again = Request.decode(found.pdu)
    assert (again.function, again.address, again.values) == (
        request_.function,
        request_.address,
        request_.values,
    )
    values = request_.values or tuple(number % 2 for number in range(request_.count))
    answer = Frame(9, request_.answered(values), found.transaction).encode(framing)
    frames = Frames(framing, asks=False)
    (heard,) = [frame for byte in answer for frame in frames.feed(bytes((byte,)))]
    assert request_.answer(heard.pdu) == values


def test_answers_that_fit_no_question() -> None:
    with pytest.raises(ProtocolError, match="no answer to"):
        Request(Function.READ_HOLDING, 1, 3).answer(b"\x03\x02\0\0")
    with pytest.raises(ProtocolError, match="does not confirm"):
        Request(Function.WRITE_REGISTER, 1, 1, (2,)).answer(b"\x06\0\1\0\3")
    with pytest.raises(ProtocolError, match="function 99"):
        Request.decode(b"\x63\0\0\0\0")


@given(st.binary(max_size=80), st.sampled_from(["tcp", "rtu"]), st.booleans())
def test_noise_is_never_a_frame_with_a_wrong_check(noise: bytes, framing: Framing, asks: bool) -> None:
    for frame in Frames(framing, asks=asks).feed(noise):
        raw = frame.encode(framing)
        assert raw in noise
        assert framing == "tcp" or crc(raw[:-2]) == raw[-2:]


# -- with the simulated devices
@pytest.mark.parametrize("fault", ["", "drop_reply@every=4", "bad_crc@every=4", "chunk=2"])
@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_both_ways_over_the_simulated_line(framing: Framing, fault: str) -> None:
    async def life() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        bank = Bank(inputs={(1, 0): 1}, holding={(1, 16): 7})
        wanted = (parse(f"it.{fault}"),) if fault else ()
        kind = ModbusTcp if framing == "tcp" else ModbusRtu
        machine = kind(loop.clock, bank, faults=Faults("it", kind.knobs, wanted, "modbus"))
        protocol_hardbin.known_to_pyserial()
        if isinstance(machine, ModbusTcp):
            loop.hosts.plug("cell", 502, machine)
        else:
            line_end.plug("modbus-test", machine)
        stream = (
            TcpStream("cell", "cell", 502)
            if framing == "tcp"
            else SerialStream("cell", "hardbin://modbus-test", Modbus.line)
        )
        cell = Modbus("cell", stream, ModbusOptions(points=POINTS))
        await cell.connect()
        assert bank.holding[1, 16] == 0
        for _ in range(8):
            assert await cell.closed()
        bank.inputs[1, 0] = 0
        assert not await cell.closed()
        await cell.aclose()
        line_end.unplug("modbus-test")

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


@asynccontextmanager
async def over_tcp(*faults: str) -> AsyncGenerator[tuple[Modbus, Bank], None]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    bank = Bank(inputs={(1, 0): 1}, holding={(1, 16): 7})
    wanted = tuple(parse(f"it.{fault}") for fault in faults)
    loop.hosts.plug(
        "cell", 502, ModbusTcp(loop.clock, bank, faults=Faults("it", ModbusTcp.knobs, wanted, "m"))
    )
    cell = Modbus("cell", TcpStream("cell", "cell", 502), ModbusOptions(points=POINTS))
    try:
        await cell.connect()
        yield cell, bank
    finally:
        await cell.aclose()


@pytest.mark.parametrize("fault", ["swap_answers@every=3", "coalesce@p=0.3", "chunk=1", "drop_tx@every=5"])
def test_what_the_driver_makes_good_by_itself(fault: str) -> None:
    async def life() -> None:
        async with over_tcp(fault) as (cell, bank):
            for number in range(8):
                bank.inputs[1, 0] = number % 2
                assert await cell.closed() is bool(number % 2)

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("exception=6@after=4", "cannot be read, so it counts as open: error 6"),
        ("swap_answers@after=4", "cannot be read, so it counts as open"),
        ("rst@after=4", "cannot be read, so it counts as open"),
    ],
)
def test_what_cannot_be_read_is_open(fault: str, says: str) -> None:
    async def life() -> None:
        async with over_tcp(fault) as (cell, _):
            assert says in await cell.why_open()
            assert not await cell.closed()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


async def test_an_answer_that_comes_once_more_is_not_the_next() -> None:
    """A frame on a serial line does not say to which question it belongs; the door may be open by now."""
    closed, opened = "<x 01 02 01 01 60 48\n", "<x 01 02 01 00 A1 88\n"
    asked = ">x 01 02 00 00 00 01 B9 CA\n"
    line = written_stream(asked + closed + closed + asked + opened)
    cell = made(line)
    assert await cell.closed()
    assert not await cell.closed()
    assert cell.strays == 1
