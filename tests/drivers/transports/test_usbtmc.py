"""USBTMC at a simulated device, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import DeviceLost, EquipmentError, ProtocolError, Silent
from drivers.protocols import usbtmc
from drivers.transports import Clear, Conversation, ReadStatus, Trigger
from drivers.transports.usbtmc import UsbtmcPort
from drivers.transports.visa import VisaLibrary
from sim.time import VirtualLoop, new_loop
from sim.usb import descriptors
from sim.usb.backend import SimUsbBackend, UsbBus
from sim.usb.usbtmc import _PIPES, UsbtmcDevice
from station.cli import code_of
from station.cli.codes import Exit
from station.ports import Ports
from station.surroundings import simulated_station_file
from tests.drivers.transports.visa_bench import Meter, query, say


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """Run in virtual time; return how long it took there."""

    async def timed() -> float:
        await main()
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(timed())


class Bench:
    """A meter, its USB side, the bus, and the port."""

    def __init__(self, kind: type[UsbtmcDevice] = UsbtmcDevice) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.meter = Meter(loop.clock)
        self.bus = UsbBus(loop.clock)
        self.device = kind(self.meter, 0x05E6, 0x2450, "S1")
        self.bus.attach(self.device)
        port = Ports(VisaLibrary("@py"), SimUsbBackend(self.bus)).make("smu", "usbtmc:05e6:2450:S1", None)
        assert isinstance(port, UsbtmcPort)
        self.port = port


@asynccontextmanager
async def bench(kind: type[UsbtmcDevice] = UsbtmcDevice) -> AsyncIterator[Bench]:
    made = Bench(kind)
    async with made.port:
        yield made


class WithoutNotices(UsbtmcDevice):
    """A device whose interface has no interrupt pipe."""

    configuration = descriptors.configuration(descriptors.interface(usbtmc.CLASS, b"", _PIPES[:2]))

    def _requested(self) -> None:
        pass

    def on_control(self, request_type: int, request: int, value: int, index: int, data: bytes) -> bytes:
        if request == usbtmc.READ_STATUS:
            return bytes((usbtmc.SUCCESS, value, self._instrument.bus_status()))
        return super().on_control(request_type, request, value, index, data)


def polled() -> Conversation[int]:
    reply = yield ReadStatus()
    assert isinstance(reply, int)
    return reply


def test_queries_short_and_long() -> None:
    async def main() -> None:
        async with bench() as made:
            assert await made.port.run(query("A?")) == "ANSWER-TO-A?"
            assert await made.port.run(query("BLOCK? 200000")) == "x" * 200_000
            await made.port.run(say("NOTHING " + "y" * 3_000_000))
            assert len(made.meter.log[-1]) == 3_000_008
            assert await made.port.run(query("B?")) == "ANSWER-TO-B?"

    run(main)


@pytest.mark.parametrize("kind", [UsbtmcDevice, WithoutNotices])
def test_status_byte_and_service_requests(kind: type[UsbtmcDevice]) -> None:
    async def main() -> None:
        async with bench(kind) as made:
            assert await made.port.run(polled()) == 0
            await made.port.run(say("SRQ 30 1 2"))
            assert [await made.port.service_request() for _ in range(2)] == [0x41, 0x42]
            assert await made.port.run(polled()) == 0
            await made.port.run(say("SRQ 0 4"))
            assert await made.port.run(query("A?")) == "ANSWER-TO-A?"
            assert await made.port.service_request() == 0x44

    run(main)


def test_a_request_that_comes_before_a_status_byte_is_kept() -> None:
    async def main() -> None:
        async with bench() as made:
            await made.port.run(say("SRQ 0 1"))
            await asyncio.sleep(0.01)
            assert await made.port.run(polled()) == 0
            assert await made.port.service_request() == 0x41

    run(main)


def test_a_late_answer_is_not_taken_for_the_next() -> None:
    async def main() -> None:
        async with bench() as made:
            with pytest.raises(Silent):
                await made.port.run(query("SLOW?", timeout_s=1.0))
            assert await made.port.run(query("A?")) == "ANSWER-TO-A?"
            assert made.meter.log.count(b"<cleared>") == 1
            task = asyncio.get_running_loop().create_task(made.port.run(query("SLOW?")))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert await made.port.run(query("B?")) == "ANSWER-TO-B?"

    run(main)


def test_trigger_and_clear_reach_the_instrument() -> None:
    def conversation() -> Conversation[None]:
        yield Trigger()
        yield Clear()

    async def main() -> None:
        async with bench() as made:
            await made.port.run(conversation())
            assert made.meter.log == [b"<triggered>", b"<cleared>"]

    run(main)


def test_an_instrument_that_is_unplugged_comes_back_with_a_new_opening() -> None:
    async def main() -> None:
        async with bench() as made:
            made.bus.detach(made.device, back_after_s=1.0)
            with pytest.raises(DeviceLost):
                await made.port.run(query("A?"))
            assert made.port.lost
            await made.port.aclose()
            await asyncio.sleep(1.5)
            await made.port.open()
            assert await made.port.run(query("A?")) == "ANSWER-TO-A?"

    run(main)


def test_an_answer_with_another_tag_is_refused() -> None:
    class Liar(UsbtmcDevice):
        def push(self, endpoint: int, data: bytes, *, after_s: float = 0.0) -> None:
            if data[:1] == b"\x02":
                data = usbtmc.answered(99, b"1\n", ends=True)
            super().push(endpoint, data, after_s=after_s)

    async def main() -> None:
        async with bench(Liar) as made:
            with pytest.raises(ProtocolError, match="answered with tag 99"):
                await made.port.run(query("A?"))

    run(main)


def test_what_is_no_usbtmc_is_refused() -> None:
    class Other(UsbtmcDevice):
        configuration = descriptors.configuration(descriptors.interface(0xFF, b"", _PIPES))

    async def main() -> None:
        with pytest.raises(EquipmentError, match="no USBTMC instrument"):
            async with bench(Other):
                pytest.fail("it opened")

    run(main)


@pytest.mark.parametrize("data", [b"", b"\x02\x01\xff" + bytes(9), bytes(11)])
def test_transfers_that_are_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        usbtmc.transfer(data)


def test_transfers_and_back() -> None:
    raw = usbtmc.answered(7, b"+1\n", ends=True)
    assert (len(raw), usbtmc.transfer(raw)) == (16, usbtmc.Transfer(2, 7, 3, 1, b"+1\n"))
    assert not usbtmc.transfer(usbtmc.written(255, b"x", ends=False)).ends
    assert [usbtmc.next_tag(tag) for tag in (0, 1, 254, 255)] == [1, 2, 255, 1]


def test_a_simulated_cell_has_its_smu_at_usbtmc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "station.toml"
    text = simulated_station_file().read_text("utf-8")
    text = text.replace("visa:USB0::0x05E6::0x2450::SIM{site}::INSTR", "usbtmc:05e6:2450:SIM{site}")
    file.write_text(text)
    assert code_of(["equip", "cycle", "fine-7", "--station", str(file), "--touchdowns", "3"]) == Exit.OK
    assert "3 of 3 cycles" in capsys.readouterr().out
