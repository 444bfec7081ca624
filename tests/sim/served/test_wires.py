"""Servers of simulated machines, byte by byte: service requests, refusals, terminals."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pyvisa
import serial
from pyvisa.resources import MessageBasedResource

from drivers.protocols.hislip import FIRST_ID, MAX_SIZE, Decoder, Fatal, Kind, Message
from sim.instrument import MAV, Instrument
from sim.machines import MODELS
from sim.serial.machine import SerialMachine
from sim.served.clock import ServedClock
from sim.served.hislip import HislipServer
from sim.served.lines import Busy, Exchange
from sim.served.portmap import PortMapper
from sim.served.rpc import Reader, Records, call, integers, opaque, read_call
from sim.served.served import serve
from sim.served.terminal import Terminal
from sim.served.vxi11 import CORE, AbortConnection, Links, Vxi11Connection
from sim.served.wire import Wire, wire
from sim.wiring import WorldError


class Meter(Instrument):
    """Answers, late if it is asked to, and asks for service."""

    def __init__(self, clock: ServedClock) -> None:
        super().__init__(clock)
        self.triggers = 0

    def handle(self, message: bytes) -> None:
        match message.split():
            case [b"SRQ", status]:
                self.request_service(int(status))
            case [b"LONG", size]:
                self.respond(b"x" * int(size) + b"\n")
            case _:
                self.respond(b"+1\n", after_s=0.01 if message == b"LATE?" else 0.0)

    def triggered(self) -> None:
        self.triggers += 1


class Client:
    """One HiSLIP connection, with our own codec."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._decoder = Decoder()
        self._waiting = list[Message]()

    async def ask(self, message: Message) -> Message:
        self.say(message)
        return await self.hear()

    def say(self, message: Message) -> None:
        self._writer.write(message.encode())

    async def hear(self) -> Message:
        while not self._waiting:
            data = await self._reader.read(65536)
            assert data, "the server closed"
            self._waiting += self._decoder.feed(data)
        return self._waiting.pop(0)

    async def ended(self) -> bool:
        return await self._reader.read(1) == b""

    def close(self) -> None:
        self._writer.close()


_clients = list[Client]()


@asynccontextmanager
async def hislip() -> AsyncIterator[tuple[Meter, int]]:
    loop = asyncio.get_running_loop()
    clock = ServedClock(loop)
    meter = Meter(clock)
    served = HislipServer(meter, clock)
    server = await loop.create_server(served.connection, "127.0.0.1", 0)
    yield meter, server.sockets[0].getsockname()[1]
    while _clients:
        _clients.pop().close()
    served.close()
    server.close()
    await asyncio.sleep(0)


async def connected(port: int) -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    _clients.append(client)
    return client


async def session(port: int, vendor: bytes = b"HB") -> tuple[Client, Client]:
    first, second = await connected(port), await connected(port)
    begun = await first.ask(
        Message(Kind.INITIALIZE, 0, 0x01000000 | int.from_bytes(vendor, "big"), b"hislip0")
    )
    assert (begun.kind, begun.parameter >> 16) == (Kind.INITIALIZE_RESPONSE, 0x0100)
    joined = await second.ask(Message(Kind.ASYNC_INITIALIZE, 0, begun.parameter & 0xFFFF))
    assert joined.kind == Kind.ASYNC_INITIALIZE_RESPONSE
    return first, second


async def test_hislip_tells_of_service_requests_by_itself() -> None:
    async with hislip() as (_, port):
        sync, other = await session(port)
        sync.say(Message(Kind.DATA_END, 0, FIRST_ID, b"SRQ 1"))
        told = await other.hear()
        assert (told.kind, told.control) == (Kind.ASYNC_SERVICE_REQUEST, 0x41)
        polls = [(await other.ask(Message(Kind.ASYNC_STATUS_QUERY))).control for _ in range(2)]
        assert polls == [0x41, 0]


async def test_hislip_spares_a_client_that_takes_a_request_for_an_answer() -> None:
    async with hislip() as (_, port):
        sync, other = await session(port, b"xx")
        sync.say(Message(Kind.DATA_END, 0, FIRST_ID, b"SRQ 1"))
        assert (await sync.ask(Message(Kind.DATA_END, 0, FIRST_ID + 2, b"?"))).payload == b"+1\n"
        answer = await other.ask(Message(Kind.ASYNC_STATUS_QUERY, 1))
        assert (answer.kind, answer.control) == (Kind.ASYNC_STATUS_RESPONSE, 0x41)


async def test_hislip_answer_carries_the_id_of_its_question_and_is_available_until_read() -> None:
    async with hislip() as (_, port):
        sync, other = await session(port)
        sync.say(Message(Kind.DATA, 0, FIRST_ID, b"LA"))
        answer = await sync.ask(Message(Kind.DATA_END, 0, FIRST_ID + 2, b"TE?"))
        assert (answer.kind, answer.parameter) == (Kind.DATA_END, FIRST_ID + 2)
        assert (await other.ask(Message(Kind.ASYNC_STATUS_QUERY, 0))).control == MAV
        assert (await other.ask(Message(Kind.ASYNC_STATUS_QUERY, 1))).control == 0


async def test_hislip_long_answers_come_in_parts_of_the_agreed_size() -> None:
    async with hislip() as (_, port):
        sync, other = await session(port)
        agreed = await other.ask(Message(Kind.ASYNC_MAX_MSG_SIZE, payload=(2048).to_bytes(8, "big")))
        assert int.from_bytes(agreed.payload, "big") == MAX_SIZE
        parts = [await sync.ask(Message(Kind.DATA_END, 0, FIRST_ID, b"LONG 5000"))]
        while parts[-1].kind == Kind.DATA:
            parts.append(await sync.hear())
        assert b"".join(part.payload for part in parts) == b"x" * 5000 + b"\n"
        assert max(len(part.payload) for part in parts) + 16 == 2048


async def test_hislip_clear_drops_what_was_on_its_way() -> None:
    async with hislip() as (meter, port):
        sync, other = await session(port)
        sync.say(Message(Kind.DATA_END, 0, FIRST_ID, b"LATE?"))
        assert (await sync.ask(Message(Kind.TRIGGER, 0, FIRST_ID + 2))).payload == b"+1\n"
        assert meter.triggers == 1
        sync.say(Message(Kind.DATA_END, 0, FIRST_ID + 4, b"LATE?"))
        cleared = await other.ask(Message(Kind.ASYNC_DEVICE_CLEAR))
        assert cleared.kind == Kind.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE
        ended = await sync.ask(Message(Kind.DEVICE_CLEAR_COMPLETE))
        while ended.kind == Kind.DATA_END:  # it may have been sent before the clear came
            ended = await sync.hear()
        assert ended.kind == Kind.DEVICE_CLEAR_ACKNOWLEDGE
        again = await sync.ask(Message(Kind.DATA_END, 0, FIRST_ID, b"?"))
        assert (again.parameter, again.payload) == (FIRST_ID, b"+1\n")


async def test_hislip_grants_locks_and_refuses_what_it_does_not_know() -> None:
    async with hislip() as (_, port):
        _, other = await session(port)
        assert (await other.ask(Message(Kind.ASYNC_LOCK, 1, 100))).control == 1
        assert (await other.ask(Message(Kind.ASYNC_LOCK_INFO))).kind == Kind.ASYNC_LOCK_INFO_RESPONSE
        local = await other.ask(Message(Kind.ASYNC_REMOTE_LOCAL_CONTROL, 1))
        assert local.kind == Kind.ASYNC_REMOTE_LOCAL_RESPONSE
        assert (await other.ask(Message(99))).kind == Kind.ERROR


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", Fatal.HEADER),
        (Message(Kind.DATA_END, 0, 0, b"?").encode(), Fatal.INITIALIZATION),
        (Message(Kind.ASYNC_INITIALIZE, 0, 4711).encode(), Fatal.INITIALIZATION),
        (b"HS" + bytes(6) + (MAX_SIZE + 1).to_bytes(8, "big"), Fatal.HEADER),
    ],
)
async def test_hislip_ends_what_is_none(sent: bytes, why: Fatal) -> None:
    async with hislip() as (_, port):
        client = await connected(port)
        client._writer.write(sent)
        told = await client.hear()
        assert (told.kind, told.control) == (Kind.FATAL_ERROR, why)
        assert await client.ended()


async def test_machine_that_is_unplugged_ends_its_sessions() -> None:
    async with hislip() as (meter, port):
        sync, other = await session(port)
        meter.unplug()
        assert await sync.ended()
        assert await other.ended()


# -- VXI-11
class Core:
    """The client's end of a core channel, our own codec: PyVISA-py 0.8 cannot write `create_intr_chan`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        program: int = CORE,
        version: int = 1,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._program = program, version
        self._records = Records()

    async def ask(self, procedure: int, arguments: bytes, count: int) -> tuple[int, ...]:
        self._writer.write(call(7, *self._program, procedure, arguments))
        found = list[bytes]()
        while not found:
            found = self._records.feed(await self._reader.read(4096))
        reader = Reader(found[0])
        assert reader.integers(6) == (7, 1, 0, 0, 0, 0)
        return reader.integers(count)

    def close(self) -> None:
        self._writer.close()


async def test_vxi11_calls_back_at_a_service_request() -> None:
    loop = asyncio.get_running_loop()
    clock = ServedClock(loop)
    meter = Meter(clock)
    server = await loop.create_server(lambda: Vxi11Connection(meter, clock), "127.0.0.1", 0)
    told: asyncio.Future[bytes] = loop.create_future()

    async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.set_result(Records().feed(await reader.read(4096))[0])
        writer.close()

    listener = await asyncio.start_server(listening, "127.0.0.1", 0)
    number = listener.sockets[0].getsockname()[1]
    core = Core(*await asyncio.open_connection(*server.sockets[0].getsockname()[:2]))
    _, link, _, _ = await core.ask(10, integers(1, 0, 0) + opaque(b"inst0"), 4)
    assert await core.ask(25, integers(0x7F000001, number, 0x0607B1, 1, 0), 1) == (0,)
    assert await core.ask(20, integers(link, 1) + opaque(b"handle"), 1) == (0,)
    await core.ask(11, integers(link, 1000, 0, 8) + opaque(b"SRQ 1"), 2)
    asked = read_call(await told)
    assert (asked.procedure, asked.arguments.opaque()) == (30, b"handle")
    assert await core.ask(13, integers(link, 0, 0, 0), 2) == (0, 0x41)
    assert await core.ask(13, integers(link + 1, 0, 0, 0), 2) == (4, 0)
    assert await core.ask(26, b"", 1) == (0,)
    assert await core.ask(23, integers(link), 1) == (0,)
    core.close()
    listener.close()
    server.close()
    await asyncio.sleep(0)


async def test_vxi11_read_is_aborted_on_the_other_channel() -> None:
    loop = asyncio.get_running_loop()
    clock = ServedClock(loop)
    meter = Meter(clock)
    links = Links()
    aborting = await loop.create_server(lambda: AbortConnection(links), "127.0.0.1", 0)
    links.abort_port = aborting.sockets[0].getsockname()[1]
    server = await loop.create_server(lambda: Vxi11Connection(meter, clock, links), "127.0.0.1", 0)
    core = Core(*await asyncio.open_connection(*server.sockets[0].getsockname()[:2]))
    other = Core(*await asyncio.open_connection("127.0.0.1", links.abort_port), program=0x0607B0)
    _, link, abort_port, _ = await core.ask(10, integers(1, 0, 0) + opaque(b"inst0"), 4)
    assert abort_port == links.abort_port
    assert await other.ask(1, integers(link), 1) == (0,), "nothing is under way"
    reading = loop.create_task(core.ask(12, integers(link, 100, 60_000, 0, 0, 0), 2))
    while links._reading[link] is None:  # noqa: ASYNC110 - until the server waits
        await asyncio.sleep(0)
    assert await other.ask(1, integers(link), 1) == (0,)
    assert await reading == (23, 0)
    assert await other.ask(1, integers(99), 1) == (4,)
    for connection in (core, other):
        connection.close()
    server.close()
    aborting.close()
    await asyncio.sleep(0)


async def test_port_mapper_tells_where_the_core_channel_is() -> None:
    loop = asyncio.get_running_loop()
    mapper = await loop.create_server(lambda: PortMapper({(CORE, 1): 4711}), "127.0.0.1", 0)
    line = await asyncio.open_connection(*mapper.sockets[0].getsockname()[:2])
    client = Core(*line, program=100000, version=2)
    assert await client.ask(3, integers(CORE, 1, 6, 0), 1) == (4711,)
    assert await client.ask(3, integers(CORE, 1, 17, 0), 1) == (0,), "not by UDP"
    assert await client.ask(3, integers(CORE, 2, 6, 0), 1) == (0,)
    client.close()
    mapper.close()
    await asyncio.sleep(0)


async def test_pyvisa_py_finds_a_machine_by_its_address_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    monkeypatch.setattr("pyvisa_py.protocols.rpc.PMAP_PORT", number)
    wires = {"keithley_2450": "vxi11", "keysight_b2900": "vxi11"}
    served = serve((), {}, wires=wires, devices=1, seed=1, faults=(), epoch=0.0, port_mapper=number)
    await served.start()

    def client() -> str:
        manager = pyvisa.ResourceManager("@py")
        with manager.open_resource("TCPIP0::127.0.0.1::inst0::INSTR") as machine:
            assert isinstance(machine, MessageBasedResource)
            return machine.query("*IDN?")

    assert "MODEL 2450" in await asyncio.get_running_loop().run_in_executor(None, client)
    await served.aclose()


async def test_vxi11_refuses_what_it_does_not_know() -> None:
    loop = asyncio.get_running_loop()
    clock = ServedClock(loop)
    meter = Meter(clock)
    server = await loop.create_server(lambda: Vxi11Connection(meter, clock), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    writer.write(b"\x80\x00\x00\x04junk")
    assert await reader.read() == b""
    writer.close()
    server.close()


# -- terminals
class Parrot(SerialMachine):
    """Says what it hears."""

    def on_data(self, data: bytes) -> None:
        self.send(data)


async def test_a_terminal_has_the_rate_that_the_client_sets() -> None:
    loop = asyncio.get_running_loop()
    clock = ServedClock(loop)
    parrot = Parrot(clock)
    exchange = Exchange(parrot, clock)
    terminal = Terminal(exchange)

    def client() -> bytes:
        with serial.Serial(terminal.path, 19200, timeout=10) as line:
            line.write(b"hello\n")
            return line.read(6)

    assert await loop.run_in_executor(None, client) == b"hello\n"
    assert parrot.line.bits_per_s == 19200.0
    with pytest.raises(Busy):
        Terminal(exchange)
    terminal.close()


NEEDS_OPTIONS = {"gem"}
SERVABLE = sorted(
    name for name, model in MODELS.items() if {"visa", "serial", "tcp"} & {*model.scheme.split("|")}
)


@pytest.mark.parametrize("model", SERVABLE)
async def test_every_model_can_be_served_alone(model: str) -> None:
    served = serve((), {}, wires={model: ""}, devices=4, seed=1, faults=(), epoch=0.0)
    if model in NEEDS_OPTIONS:
        with pytest.raises(WorldError, match=f"equipment '{model}': profile"):
            await served.start()
    else:
        (place,) = await served.start()
        assert place.driver == model
    await served.aclose()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tcp", Wire("tcp")),
        ("tcp:5025", Wire("tcp", port=5025)),
        ("hislip:0.0.0.0:4880", Wire("hislip", "0.0.0.0", 4880)),  # noqa: S104 - a text
        ("vxi11::0", Wire("vxi11")),
        ("pty:/tmp/handler", Wire("pty", link="/tmp/handler")),  # noqa: S108 - a text
    ],
)
def test_wires_as_they_are_written(text: str, expected: Wire) -> None:
    assert wire(text) == expected


@pytest.mark.parametrize("text", ["", "usb", "tcp:x", "hislip:host:-1"])
def test_wires_that_cannot_be(text: str) -> None:
    with pytest.raises(WorldError, match="wire"):
        wire(text)
