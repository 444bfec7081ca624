"""Our HiSLIP port, at the server of the simulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drivers.errors import DeviceLost, Silent, TransportError
from drivers.protocols.hislip import Decoder, Kind, Message
from drivers.transports import Clear, Conversation, ReadStatus, Trigger, hislip
from drivers.transports.hislip import HislipPort
from drivers.transports.visa import VisaLibrary
from sim.served.clock import ServedClock
from sim.served.hislip import HislipServer
from station.ports import PortError, Ports
from tests.drivers.transports.visa_bench import Meter, query, say


class Held:
    """An instrument that answers status queries when it is told to, one after the other."""

    def __init__(self) -> None:
        self.asked = asyncio.Queue[asyncio.StreamWriter]()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder()
        while data := await reader.read(1000):
            for message in decoder.feed(data):
                if message.kind == Kind.ASYNC_STATUS_QUERY:
                    self.asked.put_nowait(writer)
                else:
                    writer.write(ANSWERS[Kind(message.kind)].encode())
        writer.close()

    async def answer(self, *statuses: int) -> None:
        """Answer the next queries, when they have come."""
        for status in statuses:
            (await self.asked.get()).write(Message(Kind.ASYNC_STATUS_RESPONSE, status).encode())


ANSWERS = {
    Kind.INITIALIZE: Message(Kind.INITIALIZE_RESPONSE),
    Kind.ASYNC_INITIALIZE: Message(Kind.ASYNC_INITIALIZE_RESPONSE),
    Kind.ASYNC_MAX_MSG_SIZE: Message(Kind.ASYNC_MAX_MSG_SIZE_RESPONSE, payload=bytes(8)),
    Kind.ASYNC_DEVICE_CLEAR: Message(Kind.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE),
    Kind.DEVICE_CLEAR_COMPLETE: Message(Kind.DEVICE_CLEAR_ACKNOWLEDGE),
}


@asynccontextmanager
async def held() -> AsyncIterator[tuple[HislipPort, Held]]:
    instrument = Held()
    server = await asyncio.start_server(instrument.take, "127.0.0.1", 0)
    async with asyncio.timeout(20.0), HislipPort("meter", *server.sockets[0].getsockname()[:2]) as port:
        yield port, instrument
    server.close()


def polled() -> Conversation[int]:
    reply = yield ReadStatus()
    assert isinstance(reply, int)
    return reply


@asynccontextmanager
async def bench() -> AsyncIterator[tuple[HislipPort, Meter]]:
    loop = asyncio.get_running_loop()
    clock = ServedClock(loop)
    meter = Meter(clock)
    served = HislipServer(meter, clock)
    server = await loop.create_server(served.connection, "127.0.0.1", 0)
    number = server.sockets[0].getsockname()[1]
    port = Ports(VisaLibrary("@py"), None).make("meter", f"hislip:127.0.0.1:{number}", None)
    assert isinstance(port, HislipPort)
    async with port:
        yield port, meter
    served.close()
    server.close()


async def test_queries_short_and_long() -> None:
    async with bench() as (port, _):
        assert await port.run(query("A?")) == "ANSWER-TO-A?"
        assert await port.run(query("BLOCK? 3000000")) == "x" * 3_000_000
        await port.run(say("NOTHING " + "y" * 2_000_000))
        assert await port.run(query("B?")) == "ANSWER-TO-B?"
        assert [entry.mark for entry in port.trace.entries()] == [">", "<", ">", "<", ">", ">", "<"]


async def test_service_requests_come_once_and_in_order() -> None:
    async with bench() as (port, meter):
        await port.run(say("SRQ 1 1 2"))
        assert [await port.service_request() for _ in range(2)] == [0x41, 0x42]
        meter.request_unheard(4)
        assert await port.service_request() == 0x44


async def test_a_waiting_task_hears_a_request_while_conversations_go_on() -> None:
    async with bench() as (port, _), asyncio.TaskGroup() as group:
        waiting = group.create_task(port.service_request())
        await port.run(say("SRQ 1 8"))
        for _ in range(20):
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
        assert await waiting == 0x48


async def test_a_late_answer_is_not_taken_for_the_next() -> None:
    async with bench() as (port, meter):
        with pytest.raises(Silent):
            await port.run(query("SLOW?", timeout_s=0.01))
        assert await port.run(query("A?")) == "ANSWER-TO-A?"
        assert meter.log.count(b"<cleared>") == 1
        task = asyncio.get_running_loop().create_task(port.run(query("SLOW?")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await port.run(query("B?")) == "ANSWER-TO-B?"


async def test_status_trigger_and_clear() -> None:
    def conversation() -> Conversation[int]:
        yield Trigger()
        yield Clear()
        return (yield from polled())

    async with bench() as (port, meter):
        assert await port.run(conversation()) == 0
        assert meter.log == [b"<triggered>", b"<cleared>"]


@pytest.mark.parametrize("asks", ["service", "status"])
async def test_a_status_query_that_is_given_up_loses_no_request(asks: str) -> None:
    async with held() as (port, instrument):
        work = port.service_request() if asks == "service" else port.run(polled())
        given_up = asyncio.ensure_future(work)
        queried = await instrument.asked.get()
        given_up.cancel()
        reading = asyncio.ensure_future(port.run(polled()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        instrument.asked.put_nowait(queried)
        await instrument.answer(0x41, *[0] * (asks == "service"), 0x10)
        assert await reading == 0x10
        await asyncio.wait([given_up])
        assert given_up.cancelled()
        assert await port.service_request() == 0x41


@pytest.mark.parametrize("asks", ["service", "status"])
async def test_a_status_byte_that_comes_too_late_is_not_the_next(
    asks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with held() as (port, instrument):
        with monkeypatch.context() as patched:
            patched.setattr(hislip, "ANSWER_S", 0.0)
            with pytest.raises(Silent, match="no status byte"):
                await (port.service_request() if asks == "service" else port.run(polled()))
        reading = asyncio.ensure_future(port.run(polled()))
        await instrument.answer(0x41, 0x10)
        assert await reading == 0x10
        assert await port.service_request() == 0x41


async def test_closing_ends_the_wait_for_a_status_byte() -> None:
    async with held() as (port, instrument):
        waiting = asyncio.ensure_future(port.service_request())
        await instrument.asked.get()
        await port.aclose()
        with pytest.raises(DeviceLost, match="closed"):
            await waiting


async def test_status_bytes_without_an_end_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hislip, "LOOK_S", 0.0)
    async with held() as (port, _):
        with pytest.raises(Silent, match="status bytes without an end"):
            await port.service_request()


async def test_an_instrument_that_goes_is_lost_for_all_who_wait() -> None:
    async with bench() as (port, meter):
        waiting = asyncio.get_running_loop().create_task(port.service_request())
        asking = asyncio.get_running_loop().create_task(port.run(query("SLOW?", timeout_s=20.0)))
        await asyncio.sleep(0.01)
        meter.unplug()
        await asyncio.wait([waiting, asking])
        assert isinstance(asking.exception(), DeviceLost)
        assert isinstance(waiting.exception(), DeviceLost)
        assert port.lost
        with pytest.raises(DeviceLost):
            await port.run(query("A?"))


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"220 mail.example ready, not at all HiSLIP\r\n", "a header begins with b'22'"),
        (Message(Kind.FATAL_ERROR, 4, payload=b"too many").encode(), "ended the session: 4 too many"),
        (Message(Kind.ERROR, 1, payload=b"what?").encode(), "answers error 1 what?"),
        (b"", "closed the connection"),
    ],
)
async def test_what_is_no_instrument_is_refused(greeting: bytes, error: str) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = HislipPort("meter", *server.sockets[0].getsockname()[:2])
    with pytest.raises(Exception, match=error):
        await port.open()
    server.close()
    await asyncio.sleep(0)


async def test_nobody_there() -> None:
    with pytest.raises(TransportError, match="cannot connect"):
        await HislipPort("meter", "127.0.0.1", 1).open()


@pytest.mark.parametrize("text", ["hislip:", "hislip::4880", "hislip:host:x"])
def test_ports_that_cannot_be(text: str) -> None:
    with pytest.raises(PortError, match="write"):
        Ports(VisaLibrary("@py"), None).make("smu", text, None)
