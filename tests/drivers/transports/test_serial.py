"""Serial lines: a pseudo-terminal through pySerial's own driver; the simulator's lines in virtual time."""

import asyncio
import os
import tty
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import pytest
import serial

from drivers.errors import DeviceLost, TransportError
from drivers.transports.serial import SerialSettings, SerialStream
from drivers.transports.trace import muted
from drivers.transports.worker import Worker
from sim.clock import Clock, RealClock
from sim.faults import Faults, parse
from sim.serial.machine import LINE_KNOBS, SerialMachine, at_end, plug, unplug
from sim.serial.protocol_hardbin import known_to_pyserial
from sim.time import VirtualLoop, new_loop

T = TypeVar("T")
_worlds = count(1)
SETTINGS = SerialSettings(9600)
BYTE_S = 10 / 9600


@dataclass
class Pty:
    """Both ends of a pseudo-terminal."""

    far: int
    near: int

    @property
    def path(self) -> str:
        return os.ttyname(self.near)

    def close(self) -> None:
        for fd in (self.far, self.near):
            with suppress(OSError):
                os.close(fd)


@pytest.fixture
def pty() -> Iterator[Pty]:
    far, near = os.openpty()
    tty.setraw(far)
    tty.setraw(near)
    line = Pty(far, near)
    yield line
    line.close()


class Echo(SerialMachine):
    """Says OK and what it was told, each time bytes come in."""

    def __init__(self, clock: Clock, *faults: str) -> None:
        known = tuple(parse(fault) for fault in faults)
        super().__init__(clock, Faults("echo", LINE_KNOBS, known, "seed"))
        self.heard: list[tuple[float, bytes]] = []

    def on_data(self, data: bytes) -> None:
        self.heard.append((self.clock.time(), data))
        self.send(b"OK " + data, after_s=0.5)


def clock_here() -> Clock:
    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, VirtualLoop) else RealClock(loop)


@contextmanager
def echo(*faults: str) -> Iterator[tuple[Echo, SerialStream]]:
    """Put an echo at a line of a world of its own."""
    known_to_pyserial()
    end = f"serial-{next(_worlds)}.echo"
    machine = Echo(clock_here(), *faults)
    plug(end, machine)
    yield machine, SerialStream("serial:echo", f"hardbin://{end}", SETTINGS)
    unplug(end)


def virtually(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(main())


async def all_of(stream: SerialStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.receive()
    return data


# -- a pseudo-terminal
async def test_pty_both_ways_and_more_than_the_system_buffers(pty: Pty) -> None:
    async with SerialStream("serial:pty", pty.path, SerialSettings(115200)) as stream:
        os.write(pty.far, b"hello\n")
        assert await all_of(stream, 6) == b"hello\n"
        data = bytes(range(256)) * 400
        heard = bytearray()
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def take() -> None:
            heard.extend(os.read(pty.far, 65536))
            if len(heard) >= len(data):
                done.set()

        loop.add_reader(pty.far, take)
        await stream.write(data)
        await done.wait()
        loop.remove_reader(pty.far)
        assert bytes(heard) == data


async def test_pty_whose_other_end_is_gone_is_lost(pty: Pty) -> None:
    async with SerialStream("serial:pty", pty.path, SETTINGS) as stream:
        os.write(pty.far, b"last words")
        assert await all_of(stream, 10) == b"last words"
        pty.close()
        with pytest.raises(DeviceLost, match="serial:pty: the line is gone"):
            await stream.receive()
        with pytest.raises(DeviceLost, match="gone"):
            await stream.write(b"x")


async def test_cancelled_receive_loses_nothing(pty: Pty) -> None:
    async with SerialStream("serial:pty", pty.path, SETTINGS) as stream:
        waiting = asyncio.create_task(stream.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        os.write(pty.far, b"later")
        assert await all_of(stream, 5) == b"later"


async def test_cancelled_write_leaves_the_line_usable(pty: Pty) -> None:
    async with SerialStream("serial:pty", pty.path, SETTINGS) as stream:
        stuck = asyncio.create_task(stream.write(bytes(1 << 20)))
        await asyncio.sleep(0)
        assert not stuck.done()
        stuck.cancel()
        await asyncio.wait([stuck])
        assert stuck.cancelled()
        os.set_blocking(pty.far, False)
        with suppress(BlockingIOError):
            while os.read(pty.far, 65536):
                pass
        await stream.write(b"x")
        assert os.read(pty.far, 10)[-1:] == b"x"


async def test_open_says_what_is_missing_or_taken(pty: Pty) -> None:
    with pytest.raises(TransportError, match="cannot open /dev/none"):
        await SerialStream("serial:none", "/dev/none", SETTINGS).open()
    with pytest.raises(TransportError, match="protocol 'nobody' not known"):
        await SerialStream("serial:none", "nobody://x", SETTINGS).open()
    async with SerialStream("serial:pty", pty.path, SETTINGS) as stream:
        with pytest.raises(TransportError, match="open already"):
            await stream.open()
        with pytest.raises(TransportError, match="cannot open"):
            await SerialStream("serial:again", pty.path, SETTINGS).open()
    await stream.open()
    await stream.aclose()


async def test_closing_ends_the_wait_of_a_reader(pty: Pty) -> None:
    stream = SerialStream("serial:pty", pty.path, SETTINGS)
    await stream.open()
    waiting = asyncio.create_task(stream.receive())
    await asyncio.sleep(0)
    with pytest.raises(TransportError, match="two readers"):
        await stream.receive()
    await stream.aclose()
    with pytest.raises(DeviceLost, match="closed"):
        await waiting
    await stream.aclose()


async def test_closing_ends_the_wait_of_a_writer_and_frees_the_lines_number(pty: Pty) -> None:
    stream, again = (SerialStream("serial:pty", pty.path, SETTINGS) for _ in range(2))
    await stream.open()
    stuck = asyncio.create_task(stream.write(bytes(1 << 20)))
    await asyncio.sleep(0)
    await stream.aclose()
    async with again:  # has the number that the other one's line had
        with pytest.raises(DeviceLost, match="closed"):
            await stuck
        os.write(pty.far, b"heard")
        assert await all_of(again, 5) == b"heard"


async def test_a_writer_that_waits_for_room_hears_that_the_line_is_gone(pty: Pty) -> None:
    async with SerialStream("serial:pty", pty.path, SETTINGS) as stream:
        stuck = asyncio.create_task(stream.write(bytes(1 << 20)))
        await asyncio.sleep(0)
        pty.close()
        with pytest.raises(DeviceLost, match="gone"):
            await stuck


async def test_trace_keeps_both_directions_unless_muted(pty: Pty) -> None:
    async with SerialStream("serial:pty", pty.path, SETTINGS) as stream:
        await stream.write(b"A\n")
        with muted():
            await stream.write(b"secret\n")
        os.write(pty.far, b"B\n")
        await stream.receive()
        assert [(entry.mark, entry.data) for entry in stream.trace.entries()] == [
            (">", b"A\n"),
            ("<", b"B\n"),
        ]


def test_real_line_is_refused_in_virtual_time(pty: Pty) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="leads outside"):
            await SerialStream("serial:pty", pty.path, SETTINGS).open()

    virtually(main)


# -- the simulator's line
def test_bytes_take_their_time_both_ways() -> None:
    async def main() -> tuple[bytes, float, list[tuple[float, bytes]]]:
        with echo() as (machine, stream):
            async with stream:
                await stream.write(b"0123456789")
                return await stream.receive(), asyncio.get_running_loop().time(), machine.heard

    data, now, heard = virtually(main)
    assert data == b"OK 0123456789"
    ((arrived, told),) = heard
    assert arrived == pytest.approx(10 * BYTE_S)
    assert told == b"0123456789"
    assert now == pytest.approx((10 + 13) * BYTE_S + 0.5)
    assert virtually(main) == (data, now, heard)


def test_line_settings_change_the_pace() -> None:
    async def main() -> float:
        with echo() as (machine, _):
            slow = SerialSettings(1200, bits=7, parity="E", stop=2)
            stream = SerialStream("serial:slow", f"hardbin://{end_of(machine)}", slow)
            async with stream:
                await stream.write(b"x")
                await stream.receive()
                return machine.heard[0][0]

    assert virtually(main) == pytest.approx(11 / 1200)


def end_of(machine: SerialMachine) -> str:
    return next(end for n in range(1000) if at_end(end := f"serial-{n}.echo") is machine)


def test_what_is_sent_while_nobody_listens_is_lost() -> None:
    async def main() -> bytes:
        with echo() as (machine, stream):
            machine.send(b"unheard")
            await asyncio.sleep(1)
            async with stream:
                machine.send(b"heard")
                return await stream.receive()

    assert virtually(main) == b"heard"


def test_machine_that_is_unplugged_and_comes_back() -> None:
    async def main() -> bytes:
        with echo() as (machine, stream):
            end = end_of(machine)
            async with stream:
                asyncio.get_running_loop().call_later(3, unplug, end)
                with pytest.raises(DeviceLost, match="device disconnected"):
                    await stream.receive()
                with pytest.raises(DeviceLost):
                    await stream.write(b"x")
            with pytest.raises(TransportError, match="could not open port"):
                await stream.open()
            plug(end, Echo(clock_here()))
            async with stream:
                await stream.write(b"again")
                return await stream.receive()

    assert virtually(main) == b"OK again"


def test_simulated_line_in_real_time() -> None:
    async def main() -> bytes:
        with echo() as (_, stream):
            async with stream:
                await stream.write(b"x")
                return await stream.receive()

    assert asyncio.run(main()) == b"OK x"


def test_faults_of_the_line() -> None:
    async def said(*faults: str) -> list[bytes]:
        with echo(*faults) as (machine, stream):
            async with stream:
                machine.send(b"ABCDEF")
                await asyncio.sleep(1)
                machine.send(b"next")
                pieces: list[bytes] = []
                with suppress(TimeoutError):
                    async with asyncio.timeout(5):
                        while True:
                            pieces.append(await stream.receive())
                return pieces

    assert virtually(lambda: said("echo.drop_tx@once")) == [b"next"]
    assert virtually(lambda: said("echo.chunk=4@once")) == [b"ABCDEF", b"next"]
    (noisy, clean) = virtually(lambda: said("echo.noise@once"))
    assert clean == b"next"
    assert sum((a ^ b).bit_count() for a, b in zip(noisy, b"ABCDEF", strict=True)) == 1


def test_pieces_of_a_chunked_answer_come_one_by_one() -> None:
    async def main() -> list[bytes]:
        with echo("echo.chunk=2") as (machine, stream):
            async with stream:
                machine.send(b"ABCDE")
                return [await stream.receive() for _ in range(3)]

    assert virtually(main) == [b"AB", b"CD", b"E"]


def test_an_end_is_taken_once_and_busy_while_open() -> None:
    async def main() -> None:
        with echo() as (machine, stream):
            end = end_of(machine)
            with pytest.raises(ValueError, match="is taken"):
                plug(end, machine)
            async with stream:
                with pytest.raises(TransportError, match="busy"):
                    await SerialStream("serial:2", f"hardbin://{end}", SETTINGS).open()

    virtually(main)


def test_blocking_reads_of_pyserial_wait_in_virtual_time() -> None:
    async def main() -> tuple[bytes, bytes, float]:
        with echo() as (machine, _):
            line = serial.serial_for_url(f"hardbin://{end_of(machine)}", baudrate=9600, timeout=30)
            worker = Worker("blocking")
            line.write(b"abc")
            whole = await worker.call(line.read, 6)
            nothing = await worker.call(line.read, 1)
            await worker.aclose(line.close)
            return whole, nothing, asyncio.get_running_loop().time()

    whole, nothing, now = virtually(main)
    assert (whole, nothing) == (b"OK abc", b"")
    assert now == pytest.approx(30 + 0.5 + 9 * BYTE_S)


def test_blocking_read_is_cancelled_through_pyserial() -> None:
    async def main() -> float:
        with echo() as (machine, _):
            line = serial.serial_for_url(f"hardbin://{end_of(machine)}", timeout=None)
            worker = Worker("blocking", abort=line.cancel_read)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(7):
                    await worker.call(line.read, 1)
            await worker.aclose(line.close)
            return asyncio.get_running_loop().time()

    assert virtually(main) == pytest.approx(7)
