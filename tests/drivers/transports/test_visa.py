"""Ports behind a VISA library: simulated instruments in virtual and real time, and PyVISA-py over TCP."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from drivers.errors import DeviceLost, EquipmentError, InstrumentError, Silent, TransportError
from drivers.transports import (
    Clear,
    Control,
    Conversation,
    Pause,
    Read,
    ReadStatus,
    Timestamp,
    Trigger,
    Write,
)
from drivers.transports.trace import muted
from drivers.transports.visa import VisaLibrary, VisaPort
from sim.clock import Clock, RealClock
from sim.instrument import Instrument
from sim.time import VirtualLoop, new_loop
from sim.visa import worlds

T = TypeVar("T")
_worlds = itertools.count()
KINDS = ["GPIB0::7::INSTR", "TCPIP0::192.0.2.5::5025::SOCKET", "ASRL3::INSTR"]


class Meter(Instrument):
    """Answers at once, after a while, or never; asks for service."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.log: list[bytes] = []

    def handle(self, message: bytes) -> None:
        self.log.append(message)
        match message.split():
            case [b"SLOW?"]:
                self.respond(b"SLOW-ANSWER\n", after_s=5.0)
            case [b"BLOCK?", size]:
                self.respond(b"x" * int(size) + b"\n")
            case [b"SRQ", after_ms, *statuses]:
                for status in statuses:
                    self.clock.call_later(int(after_ms) / 1e3, self.request_service, int(status))
            case [b"NOTHING", *_]:
                pass
            case _:
                self.respond(b"ANSWER-TO-" + message + b"\n", after_s=0.001)

    def request_unheard(self, status: int) -> None:
        """Pull the line though the event gets lost."""
        listeners, self.on_service_request = self.on_service_request, []
        self.request_service(status)
        self.on_service_request = listeners

    def cleared(self) -> None:
        self.log.append(b"<cleared>")

    def triggered(self) -> None:
        self.log.append(b"<triggered>")


@dataclass
class Bench:
    """One port, and the instrument at its far end."""

    port: VisaPort
    meter: Meter
    library: VisaLibrary


def clock_here() -> Clock:
    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, VirtualLoop) else RealClock(loop)


@asynccontextmanager
async def bench(resource: str = KINDS[0], *, grace_s: float = 0.1) -> AsyncIterator[Bench]:
    world = f"test-visa-{next(_worlds)}"
    instruments = worlds.register(world)
    library = VisaLibrary(f"{world}@hardbin")
    meter = Meter(clock_here())
    instruments[resource] = meter
    async with AsyncExitStack() as stack:
        stack.callback(worlds.unregister, world)
        stack.callback(library.close)
        port = VisaPort(f"visa:{resource}", resource, library, grace_s=grace_s)
        await stack.enter_async_context(port)
        yield Bench(port, meter, library)


def query(text: str, *, timeout_s: float = 2.0, size: int = 65536) -> Conversation[str]:
    yield Write(text.encode() + b"\n")
    reply = yield Read(timeout_s, size=size)
    assert isinstance(reply, bytes)
    return reply.decode().rstrip("\n")


def say(text: str) -> Conversation[None]:
    yield Write(text.encode() + b"\n")


def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    make: Callable[[], asyncio.AbstractEventLoop] = lambda: new_loop(None),
) -> T:
    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(main())


@pytest.fixture(params=["virtual", "real"])
def make(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return asyncio.SelectorEventLoop if request.param == "real" else lambda: new_loop(None)


@pytest.mark.parametrize("resource", KINDS)
def test_a_conversation_is_one_job(make: Callable[[], asyncio.AbstractEventLoop], resource: str) -> None:
    async def main() -> None:
        async with bench(resource) as at:

            def two() -> Conversation[list[str]]:
                first = yield from query("A?")
                return [first, (yield from query("B?"))]

            before = at.port.load.jobs
            assert await at.port.run(two()) == ["ANSWER-TO-A?", "ANSWER-TO-B?"]
            assert at.port.load.jobs == before + 1

    run(main, make)


@pytest.mark.parametrize("size", [1, 7, 1000, 65536])
@pytest.mark.parametrize("resource", KINDS)
def test_a_message_is_read_on_to_its_end(resource: str, size: int) -> None:
    async def main() -> None:
        async with bench(resource) as at:
            assert await at.port.run(query("BLOCK? 2000", size=size)) == "x" * 2000
            assert await at.port.run(query("A?")) == "ANSWER-TO-A?"

    run(main)


@pytest.mark.parametrize("resource", KINDS)
def test_a_cancel_aborts_and_no_stale_answer_is_left(
    make: Callable[[], asyncio.AbstractEventLoop], resource: str
) -> None:
    async def main() -> None:
        async with bench(resource, grace_s=5.0) as at:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await at.port.run(query("SLOW?", timeout_s=60))
            assert not at.port.lost
            assert await at.port.run(query("A?")) == "ANSWER-TO-A?"

    run(main, make)


@pytest.mark.parametrize("resource", KINDS)
def test_silence_is_an_error_and_leaves_no_stale_answer(resource: str) -> None:
    async def main() -> None:
        async with bench(resource) as at:
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(Silent, match=r"reading for 0.2 s.*> SLOW\?.*VI_ERROR_TMO") as raised:
                await at.port.run(query("SLOW?", timeout_s=0.2))
            assert str(raised.value).startswith(f"visa:{resource}: ")
            assert loop.time() - began == pytest.approx(0.2)
            assert await at.port.run(query("A?")) == "ANSWER-TO-A?"

    run(main)


@pytest.mark.parametrize("resource", KINDS)
def test_an_answer_may_take_longer_than_a_slice(resource: str) -> None:
    async def main() -> None:
        async with bench(resource) as at:
            assert await at.port.run(query("SLOW?", timeout_s=30)) == "SLOW-ANSWER"
            assert asyncio.get_running_loop().time() == pytest.approx(5.0)

    run(main)


def test_a_failing_step_raises_inside_the_conversation_which_may_go_on() -> None:
    async def main() -> None:
        async with bench() as at:

            def patient() -> Conversation[str]:
                try:
                    return (yield from query("SLOW?", timeout_s=0.2))
                except Silent:
                    yield Clear()
                    return (yield from query("A?"))

            assert await at.port.run(patient()) == "ANSWER-TO-A?"
            assert at.meter.log == [b"SLOW?", b"<cleared>", b"A?"]

    run(main)


@pytest.mark.parametrize("error", [None, InstrumentError(-410, "query interrupted")])
def test_a_port_that_owes_an_answer_is_cleared_though_nobody_complained(error: EquipmentError | None) -> None:
    async def main() -> None:
        async with bench() as at:

            def careless() -> Conversation[None]:
                try:
                    yield from query("SLOW?", timeout_s=0.2)
                except Silent:
                    if error is not None:
                        raise error from None

            if error is None:
                await at.port.run(careless())
            else:
                with pytest.raises(InstrumentError):
                    await at.port.run(careless())
            assert at.meter.log == [b"SLOW?", b"<cleared>"]

    run(main)


def test_a_cancelled_conversation_starts_nothing_more() -> None:
    async def main() -> None:
        async with bench() as at:
            ended: list[str] = []

            def stubborn() -> Conversation[None]:
                try:
                    while True:
                        try:
                            yield from query("SLOW?", timeout_s=60)
                        except EquipmentError:
                            ended.append("again")
                finally:
                    ended.append("closed")

            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await at.port.run(stubborn())
            assert ended == ["again", "closed"]
            assert at.meter.log == [b"SLOW?", b"<cleared>"]
            assert not at.port.lost

    run(main)


def test_a_pause_is_virtual_and_ends_when_cancelled(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with bench(grace_s=5.0) as at:

            def paced(seconds: float) -> Conversation[str]:
                yield Pause(seconds)
                return (yield from query("A?"))

            assert await at.port.run(paced(0.01)) == "ANSWER-TO-A?"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await at.port.run(paced(3600))
            assert not at.port.lost
            assert await at.port.run(query("A?")) == "ANSWER-TO-A?"

    run(main, make)


def test_the_ports_clock_is_the_loops() -> None:
    async def main() -> None:
        async with bench() as at:

            def timed() -> Conversation[float]:
                before = yield Timestamp()
                yield Pause(1.5)
                after = yield Timestamp()
                assert isinstance(before, float)
                assert isinstance(after, float)
                return after - before

            assert await at.port.run(timed()) == 1.5

    run(main)


def test_teardown_is_bounded_though_a_driver_hangs() -> None:
    """Not even the library is closed then: that would enter the session in which the thread still is."""
    release = threading.Event()

    class Hung(Meter):
        def handle(self, message: bytes) -> None:
            release.wait()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        worlds.register("test-hung")["GPIB0::7::INSTR"] = Hung(RealClock(loop))
        library = VisaLibrary("test-hung@hardbin")
        port = VisaPort("visa:GPIB0::7::INSTR", "GPIB0::7::INSTR", library, grace_s=0.02)
        await port.open()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await port.run(say("A"))
        assert port.lost
        with pytest.raises(DeviceLost, match="did not come back"):
            await port.run(say("B"))
        began = loop.time()
        await port.aclose()
        library.close()
        assert loop.time() - began < 5, "bounded: the hung thread waits for this test to release it"

    run(main, asyncio.SelectorEventLoop)
    release.set()
    worlds.unregister("test-hung")


def test_trigger_status_and_what_visa_has_not() -> None:
    async def main() -> None:
        async with bench() as at:

            def steps() -> Conversation[int]:
                yield Trigger()
                yield Write(b"A?\n")
                yield Pause(0.01)
                status = yield ReadStatus()
                yield Read()
                assert isinstance(status, int)
                return status

            assert await at.port.run(steps()) == 0x10
            assert at.meter.log[0] == b"<triggered>"

            def control() -> Conversation[None]:
                yield Control(0x21, 1)

            with pytest.raises(TypeError, match="no step Control"):
                await at.port.run(control())

    run(main)


def test_an_unplugged_instrument_is_lost_in_the_middle_of_a_read() -> None:
    async def main() -> None:
        async with bench() as at:
            at.meter.clock.call_later(1.0, at.meter.unplug)
            with pytest.raises(DeviceLost, match="VI_ERROR_CONN_LOST"):
                await at.port.run(query("SLOW?", timeout_s=60))
            assert at.port.lost
            with pytest.raises(DeviceLost):
                await at.port.run(query("A?"))
            with pytest.raises(DeviceLost):
                await at.port.service_request()

    run(main)


def test_nothing_at_the_address_and_no_address_at_all() -> None:
    async def main() -> None:
        async with bench() as at:
            missing = VisaPort("visa:GPIB0::9::INSTR", "GPIB0::9::INSTR", at.library)
            with pytest.raises(
                DeviceLost, match="visa:GPIB0::9::INSTR: cannot be opened: VI_ERROR_RSRC_NFOUND"
            ):
                await missing.open()
            with pytest.raises(TransportError, match="is not open"):
                await missing.run(query("A?"))
            with pytest.raises(TransportError, match="open already"):
                await at.port.open()
            await missing.aclose()
        with pytest.raises(ValueError, match="no VISA resource name"):
            VisaPort("visa:oops", "oops", at.library)

    run(main)


def test_a_library_that_does_not_exist() -> None:
    async def main() -> None:
        port = VisaPort("visa:GPIB0::9::INSTR", "GPIB0::9::INSTR", VisaLibrary("@nosuchlibrary"))
        with pytest.raises(TransportError, match="nosuchlibrary"):
            await port.open()

    run(main)


def test_a_port_can_be_opened_again() -> None:
    async def main() -> None:
        async with bench() as at:
            await at.port.aclose()
            await at.port.open()
            assert await at.port.run(query("A?")) == "ANSWER-TO-A?"

    run(main)


# -- service requests
def test_status_bytes_come_once_in_order_and_at_once(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> list[int]:
        async with bench() as at:
            assert at.port.strategy == "srq_handler"
            await at.port.run(say("SRQ 10 1 2 1"))
            return [await at.port.service_request() for _ in range(3)]

    assert run(main, make) == [0x41, 0x42, 0x41]


def test_a_request_is_heard_when_it_is_made() -> None:
    async def main() -> float:
        async with bench() as at:
            await at.port.run(say("SRQ 12345 1"))
            assert await at.port.service_request() == 0x41
            return asyncio.get_running_loop().time()

    assert run(main) == 12.345


def test_a_request_from_before_the_port_was_opened_is_not_missed() -> None:
    async def main() -> None:
        async with bench() as at:
            await at.port.aclose()
            at.meter.request_service(4)
            await at.port.open()
            assert await at.port.service_request() == 0x44

    run(main)


def test_a_lost_request_is_found_by_the_slow_timer() -> None:
    async def main() -> None:
        async with bench() as at:
            at.meter.clock.call_later(0.5, at.meter.request_unheard, 1)
            assert await at.port.service_request() == 0x41
            assert asyncio.get_running_loop().time() == pytest.approx(1.0)

    run(main)


def test_polling_finds_requests_where_the_library_has_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NotImplementedError

    async def main() -> None:
        monkeypatch.setattr("sim.visa.backend.HardbinVisaLibrary.enable_event", refuse)
        async with bench() as at:
            assert at.port.strategy == "stb_poll"
            await at.port.run(say("SRQ 1000 1 2"))
            waiting = asyncio.create_task(at.port.service_request())
            await asyncio.sleep(0.5)
            assert await at.port.run(query("A?")) == "ANSWER-TO-A?", "the port is free between polls"
            assert await waiting == 0x41
            assert asyncio.get_running_loop().time() == pytest.approx(1.0, abs=0.05)
            assert await at.port.service_request() == 0x42

    run(main)


def test_a_stream_tells_of_no_requests() -> None:
    async def main() -> None:
        async with bench("ASRL3::INSTR") as at:
            assert at.port.strategy == "none"
            with pytest.raises(TransportError, match="no service requests"):
                await at.port.service_request()

    run(main)


def test_cancelling_the_wait_for_a_request_loses_none_and_clears_nothing() -> None:
    async def main() -> None:
        async with bench() as at:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await at.port.service_request()
            await at.port.run(say("SRQ 0 1"))
            assert await at.port.service_request() == 0x41
            assert b"<cleared>" not in at.meter.log

    run(main)


def test_a_status_byte_that_a_conversation_polls_is_its_own() -> None:
    async def main() -> None:
        async with bench() as at:

            def poll() -> Conversation[list[object]]:
                yield Write(b"SRQ 0 1\n")
                yield Pause(0.001)
                return [(yield ReadStatus()), (yield ReadStatus())]

            assert await at.port.run(poll()) == [0x41, 0]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(10):
                    await at.port.service_request()

    run(main)


def test_a_wait_for_a_request_ends_when_the_port_is_closed() -> None:
    async def main() -> None:
        async with bench() as at:
            waiting = asyncio.create_task(at.port.service_request())
            await asyncio.sleep(0.3)
            await at.port.aclose()
            with pytest.raises(DeviceLost, match="closed"):
                await waiting

    run(main)


# -- trace
def test_the_trace_is_a_dialogue_and_vault_traffic_is_not_in_it() -> None:
    async def main() -> None:
        async with bench() as at:
            await at.port.run(query("A?"))
            with muted():
                await at.port.run(query("SECRET?"))
                with pytest.raises(Silent) as raised:
                    await at.port.run(query("NOTHING SECRET", timeout_s=0.1))
            assert "SECRET" not in str(raised.value)
            await at.port.run(say("SRQ 0 1"))
            await at.port.service_request()
            assert at.port.trace.to_dialogue("captured 2026-03-01, SIM meter") == (
                "origin captured 2026-03-01, SIM meter\n> A?\n< ANSWER-TO-A?\n>clear\n> SRQ 0 1\n! 0x41\n"
            )

    run(main)


# -- PyVISA-py: no events, no viTerminate
@asynccontextmanager
async def tcp_instrument() -> AsyncIterator[tuple[VisaPort, asyncio.Event]]:
    asked_in_vain = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"LATE?\n":
                asyncio.get_running_loop().call_later(0.05, writer.write, b"LATE-ANSWER\n")
            elif line == b"HALF?\n":
                writer.write(b"HALF-")
                asyncio.get_running_loop().call_later(0.2, writer.write, b"ANSWER\n")
            elif line == b"NEVER?\n":
                asked_in_vain.set()
            else:
                writer.write(b"ANSWER-TO-" + line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, number = server.sockets[0].getsockname()
    resource = f"TCPIP0::{host}::{number}::SOCKET"
    library = VisaLibrary("@py")
    async with server, VisaPort(f"visa:{resource}", resource, library, grace_s=5.0) as port:
        yield port, asked_in_vain
    library.close()


def test_pyvisa_py_over_tcp() -> None:
    async def main() -> None:
        async with tcp_instrument() as (port, asked_in_vain):
            assert port.strategy == "none"
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
            assert await port.run(query("HALF?")) == "HALF-ANSWER", "half of it came before a slice ended"
            with pytest.raises(Silent):
                await port.run(query("LATE?", timeout_s=0.01))
            assert await port.run(query("B?")) == "ANSWER-TO-B?", "not the late answer"
            call = asyncio.create_task(port.run(query("NEVER?", timeout_s=60)))
            await asked_in_vain.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert not port.lost
            assert await port.run(query("C?")) == "ANSWER-TO-C?"

    run(main, asyncio.SelectorEventLoop)
