"""Ports behind a VISA library: conversations, cancellation, errors, trace; virtual and real time."""

import asyncio
import threading

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
from sim.clock import RealClock
from sim.time import new_loop
from sim.visa import worlds
from tests.drivers.transports.visa_bench import KINDS, Make, Meter, bench, query, run, say


@pytest.fixture(params=["virtual", "real"])
def make(request: pytest.FixtureRequest) -> Make:
    return asyncio.SelectorEventLoop if request.param == "real" else lambda: new_loop(None)


@pytest.mark.parametrize("resource", KINDS)
def test_a_conversation_is_one_job(make: Make, resource: str) -> None:
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
def test_a_cancel_aborts_and_no_stale_answer_is_left(make: Make, resource: str) -> None:
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


def test_a_pause_is_virtual_and_ends_when_cancelled(make: Make) -> None:
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
