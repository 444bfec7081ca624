"""USB ports through PyUSB, over the simulator's backend, in virtual and in real time."""

import asyncio
from array import array
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
import usb.backend
import usb.core
import usb.util

from drivers.errors import DeviceLost, ProtocolError, Silent, TransportError
from drivers.transports import Clear, Control, Conversation, Pause, Read, ReadStatus, Step, Timestamp, Write
from drivers.transports.trace import muted
from drivers.transports.usb import UsbPort
from sim.clock import Clock, RealClock
from sim.time import VirtualLoop, new_loop
from sim.usb import descriptors
from sim.usb.backend import SimUsbBackend, UsbBus
from sim.usb.device import Handle, UsbDevice

T = TypeVar("T")
OUT, IN, EVENTS = 0x01, 0x82, 0x83
PIPES = (
    descriptors.endpoint(OUT, descriptors.BULK, 64),
    descriptors.endpoint(IN, descriptors.BULK, 64),
    descriptors.endpoint(EVENTS, descriptors.INTERRUPT, 8, 16),
)


class Echo(UsbDevice):
    """Sends back what it gets; a transfer may say after how many ms, or to stall, or to say nothing."""

    descriptor = descriptors.device(0x1209, 0x0002)
    configuration = descriptors.configuration(descriptors.interface(0xFF, b"", PIPES))

    def __init__(self, clock: Clock, serial: str = "E1") -> None:
        super().__init__(clock)
        self.strings = ("maker", "echo", serial)
        self.resets = 0

    def on_reset(self) -> None:
        super().on_reset()
        self.resets += 1

    def on_out(self, endpoint: int, data: bytes) -> None:
        match data.split():
            case [b"stall"]:
                self.stall(IN)
            case [b"nothing"]:
                pass
            case [b"after", ms]:
                self.push(IN, data, after_s=int(ms) / 1000)
            case _:
                self.push(IN, data)

    def on_control(self, request_type: int, request: int, value: int, index: int, data: bytes) -> bytes:
        if request != 7:
            return super().on_control(request_type, request, value, index, data)
        return bytes((value & 0xFF, index & 0xFF)) + data


class Bench:
    """A bus with an echo, and a port that leads to it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.bus = UsbBus(loop.clock if isinstance(loop, VirtualLoop) else RealClock(loop))
        self.echo = Echo(self.bus.clock)
        self.bus.attach(self.echo)
        self.port = self.port_to("E1")

    def port_to(self, serial: str | None, **more: int) -> UsbPort:
        backend = SimUsbBackend(self.bus)
        return UsbPort(f"usb:1209:0002:{serial}", 0x1209, 2, serial, backend=backend, **more)


def asked(text: bytes, timeout_s: float = 2.0) -> Conversation[bytes]:
    yield Write(text, OUT)
    reply = yield Read(timeout_s, IN)
    assert isinstance(reply, bytes)
    return reply


def step(one: Step) -> Conversation[object]:
    return (yield one)


def run(
    main: Callable[[Bench], Coroutine[Any, Any, T]],
    make: Callable[[], asyncio.AbstractEventLoop] = lambda: new_loop(None),
) -> T:
    async def whole() -> T:
        bench = Bench()
        try:
            return await main(bench)
        finally:
            await bench.port.aclose()

    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(whole())


@pytest.mark.parametrize("make", [lambda: new_loop(None), asyncio.new_event_loop], ids=["virtual", "real"])
def test_a_transfer_there_and_back(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main(bench: Bench) -> None:
        async with bench.port as port:
            assert await port.run(asked(b"hello")) == b"hello"
            assert port.configuration == Echo.configuration
            assert [pipe.address for pipe in port.interface.endpoints] == [OUT, IN, EVENTS]

    run(main, make)


def test_transfers_take_a_millisecond_each_and_answers_their_time() -> None:
    async def main(bench: Bench) -> float:
        async with bench.port as port:
            await port.run(asked(b"after 1500"))
            return asyncio.get_running_loop().time()

    assert run(main) == pytest.approx(1.502)


def test_silence_is_told_after_its_time_with_what_was_said_before() -> None:
    async def main(bench: Bench) -> float:
        async with bench.port as port:
            with pytest.raises(Silent, match="within 1.2 s, after .*nothing"):
                await port.run(asked(b"nothing", 1.2))
            assert await port.run(asked(b"next")) == b"next"
            return asyncio.get_running_loop().time()

    assert run(main) == pytest.approx(1.202, abs=1e-3)


def test_stall_is_cleared_and_told_inside_the_conversation() -> None:
    def careful() -> Conversation[bytes]:
        try:
            yield from asked(b"stall")
        except ProtocolError:
            return (yield from asked(b"again"))
        return b""

    async def main(bench: Bench) -> None:
        async with bench.port as port:
            assert await port.run(careful()) == b"again"
            bench.echo.stall(OUT)
            with pytest.raises(ProtocolError, match="pipe 01"):
                await port.run(asked(b"x"))
            bench.echo.stall(IN)
            await port.run(step(Clear()))
            assert await port.run(asked(b"well")) == b"well"

    run(main)


def test_unplugged_in_mid_read_and_found_again_at_another_address() -> None:
    async def main(bench: Bench) -> None:
        async with bench.port as port:
            asyncio.get_running_loop().call_later(1.0, lambda: bench.bus.detach(bench.echo, back_after_s=3.0))
            with pytest.raises(DeviceLost, match="the device is gone"):
                await port.run(asked(b"after 5000", 10.0))
            assert port.lost
            assert asyncio.get_running_loop().time() == pytest.approx(1.0)
            with pytest.raises(DeviceLost):
                await port.run(asked(b"x"))
        with pytest.raises(TransportError, match="no USB device 1209:0002 with serial number 'E1'"):
            await port.open()
        await asyncio.sleep(3)
        async with port:
            assert await port.run(asked(b"back")) == b"back"
        assert [one.address for one in bench.bus.attached] == [2]
        assert bench.echo.resets == 2

    run(main)


def test_devices_are_told_apart_by_serial_number() -> None:
    async def main(bench: Bench) -> None:
        other = Echo(bench.bus.clock, "E2")
        bench.bus.attach(other)
        other.push(EVENTS, b"\x02")
        port = bench.port_to("E2")
        async with bench.port, port:
            assert await port.interrupt() == b"\x02"
        any_port = bench.port_to(None)
        async with any_port:
            assert await any_port.run(asked(b"x")) == b"x"

    run(main)


def test_interface_in_use_is_refused_and_the_systems_driver_gives_way() -> None:
    async def main(bench: Bench) -> None:
        bench.bus.attached[0].kernel.add(0)
        async with bench.port:
            assert not bench.bus.attached[0].kernel
            with pytest.raises(TransportError, match="Resource busy"):
                await bench.port_to("E1").open()
            with pytest.raises(TransportError, match="Resource busy"):
                await bench.port_to("E1").open()
            assert await bench.port.run(asked(b"still ours")) == b"still ours"
            with pytest.raises(TransportError, match="open already"):
                await bench.port.open()
        with pytest.raises(ProtocolError, match="no interface 4"):
            await bench.port_to("E1", interface=4).open()

    run(main)


def test_a_device_without_the_interface_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back, close = list[Handle](), SimUsbBackend.close_device

    def closed(backend: SimUsbBackend, handle: Handle) -> None:
        given_back.append(handle)
        close(backend, handle)

    async def main(bench: Bench) -> None:
        with pytest.raises(ProtocolError) as caught:
            await bench.port_to("E1", interface=4).open()
        assert given_back and caught  # not by the collector, which the error still keeps from it

    monkeypatch.setattr(SimUsbBackend, "close_device", closed)
    run(main)


def test_interrupts_come_in_order_beside_a_long_read() -> None:
    async def main(bench: Bench) -> None:
        async with bench.port as port:
            long = asyncio.create_task(port.run(asked(b"after 4000", 9.0)))
            heard: list[bytes] = []
            for n in range(3):
                bench.echo.push(EVENTS, bytes((n,)), after_s=float(n))
            async for data in port.interrupts():
                heard.append(data)
                if len(heard) == 3:
                    break
            assert heard == [b"\0", b"\1", b"\2"]
            assert not long.done()
            assert await long == b"after 4000"
            assert [entry.endpoint for entry in port.trace.entries()].count(EVENTS) == 3

    run(main)


def test_unplugging_wakes_who_waits_for_an_interrupt() -> None:
    async def main(bench: Bench) -> float:
        async with bench.port as port:
            asyncio.get_running_loop().call_later(100.1, bench.bus.detach, bench.echo)
            with pytest.raises(DeviceLost):
                await port.interrupt()
            return asyncio.get_running_loop().time()

    assert run(main) == pytest.approx(100.1)


def test_cancelled_in_mid_transfer_the_port_is_usable_after_the_slice() -> None:
    async def main(bench: Bench) -> None:
        async with bench.port as port:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3.1):
                    await port.run(asked(b"after 8000", 30.0))
            assert 3.1 <= asyncio.get_running_loop().time() <= 3.6
            assert not port.lost
            assert await port.run(asked(b"next", 30.0)) == b"after 8000", "what was under way is not undone"
            assert await port.run(asked(b"x", 30.0)) == b"next"

    run(main)


def test_cancelled_conversation_is_closed() -> None:
    closed: list[bool] = []

    def watched() -> Conversation[None]:
        try:
            yield from asked(b"nothing", 30.0)
        finally:
            closed.append(True)

    async def main(bench: Bench) -> None:
        async with bench.port as port:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await port.run(watched())
            assert await port.run(asked(b"x")) == b"x"

    run(main)
    assert closed == [True]


def test_control_transfers_clock_pause_and_what_usb_has_not() -> None:
    async def main(bench: Bench) -> None:
        async with bench.port as port:
            assert await port.run(step(Control(0xC0, 7, 5, 6, length=2))) == b"\x05\x06"
            assert await port.run(step(Control(0x40, 7, 5, 6, b"data"))) == b""
            with pytest.raises(ProtocolError, match="Pipe error"):
                await port.run(step(Control(0xC0, 9, length=2)))
            await port.run(step(Pause(2.5)))
            assert await port.run(step(Timestamp())) == asyncio.get_running_loop().time() == 2.5
            with pytest.raises(TransportError, match="USB has no ReadStatus"):
                await port.run(step(ReadStatus()))
            with pytest.raises(TransportError, match="USB has no service requests"):
                await port.service_request()

    run(main)


def test_trace_is_a_dialogue_and_mutes() -> None:
    async def main(bench: Bench) -> str:
        async with bench.port as port:
            await port.run(asked(b"\x01\x02"))
            with muted():
                await port.run(asked(b"secret"))
            await port.run(step(Control(0x40, 7, 5, 6, b"\xff")))
            return port.trace.to_dialogue("assumed")

    assert run(main).splitlines()[1:] == [">x 01 02", "<x 01 02", ">control 40 07 0005 0006 FF"]


def test_port_that_is_not_open() -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(TransportError, match="is not open"):
            await bench.port.run(asked(b"x"))
        with pytest.raises(TransportError, match="is not open"):
            await bench.port.interrupt()

    run(main)


async def test_device_that_is_not_in_this_computer() -> None:
    with pytest.raises(TransportError, match="usb:ffff:ffff:none: (no USB device|cannot search)"):
        await UsbPort("usb:ffff:ffff:none", 0xFFFF, 0xFFFF, "none").open()


# -- the backend, as PyUSB sees it
def test_backend_has_what_pyusb_asks_of_one() -> None:
    wanted = {name for name in vars(usb.backend.IBackend) if not name.startswith("_")}
    assert wanted
    assert wanted <= set(dir(SimUsbBackend))


def test_pyusb_walks_and_prints_the_device() -> None:
    async def main(bench: Bench) -> str:
        device = usb.core.find(backend=SimUsbBackend(bench.bus), idVendor=0x1209)
        pipe = usb.util.find_descriptor(device[0][(0, 0)], bEndpointAddress=EVENTS)
        assert pipe.bInterval == 16
        text = str(device)
        usb.util.dispose_resources(device)
        return text

    assert "ENDPOINT 0x83: Interrupt IN" in run(main)


def test_longer_than_the_buffer_is_an_overflow_and_nothing_is_isochronous() -> None:
    async def main(bench: Bench) -> None:
        backend = SimUsbBackend(bench.bus)
        handle = backend.open_device(bench.bus.attached[0])
        bench.echo._out_s = -1.0
        bench.echo.pipe(IN).transfers.append((0.0, b"12345"))
        with pytest.raises(usb.core.USBError, match="Overflow"):
            backend.bulk_read(handle, IN, 0, array("B", bytes(4)), 10)
        with pytest.raises(NotImplementedError):
            backend.iso_read(handle, IN, 0, array("B"), 10)
        backend.reset_device(handle)
        assert bench.echo.resets == 2

    run(main)
