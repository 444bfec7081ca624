"""Service requests through a VISA port: each status byte once, in order, whatever the library can do."""

import asyncio

import pytest

from drivers.errors import DeviceLost, TransportError
from drivers.transports import (
    Conversation,
    Pause,
    ReadStatus,
    Write,
)
from sim.time import new_loop
from tests.drivers.transports.visa_bench import Make, bench, query, run, say


@pytest.fixture(params=["virtual", "real"])
def make(request: pytest.FixtureRequest) -> Make:
    return asyncio.SelectorEventLoop if request.param == "real" else lambda: new_loop(None)


def test_status_bytes_come_once_in_order_and_at_once(make: Make) -> None:
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
