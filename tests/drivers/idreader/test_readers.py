"""Readers of codes, by lines and by keys, against their dialogues; the keyboard on the simulated bus too."""

import asyncio
from typing import Any

import pytest

from drivers.errors import DeviceLost, ProtocolError
from drivers.idreader import keyboard
from drivers.idreader.keyboard import KeyboardReader, KeyboardReaderOptions
from drivers.idreader.text_line import TextLineOptions, TextLineReader
from drivers.protocols.codes import LONGEST, Keyboard, Lines, Typed, typing
from drivers.transports.usb import UsbPort
from sim.faults import Faults, parse
from sim.idreader import keyboard as simulated
from sim.time import VirtualLoop, new_loop
from sim.usb.backend import SimUsbBackend, UsbBus
from tests.replay import ReplayPort, ReplayStream, replayed, replayed_stream


def by_lines(line: ReplayStream, **options: Any) -> TextLineReader:
    told: dict[str, Any] = {"trigger": "LON\r", "read_s": 0.05} | options
    return TextLineReader("reader", line, TextLineOptions(**told))


@pytest.mark.parametrize("chunk", [1, 4096])
async def test_a_code_is_read(chunk: int) -> None:
    with replayed_stream("text_line/reads", chunk=chunk) as line:
        reader = by_lines(line)
        await reader.connect()
        assert await reader.read() == "SE1-000042"
        await reader.make_safe()
        await reader.aclose()
    assert (await reader.identify()).model == "code reader that sends lines"


async def test_no_code_is_no_code() -> None:
    with replayed_stream("text_line/no_read") as line:
        assert await by_lines(line).read() is None


async def test_a_late_code_belongs_to_nobody() -> None:
    with replayed_stream("text_line/late") as line:
        reader = by_lines(line, stop="LOFF\r")
        assert await reader.read() is None
        assert await reader.read() == "SE1-000042"
    assert reader.dropped == 1


async def test_a_code_counts_once_for_each_trigger() -> None:
    with replayed_stream("text_line/double_read") as line:
        reader = by_lines(line)
        assert await reader.read() == "SE1-000042"
        assert await reader.read() == "SE1-000042"
    assert reader.dropped == 1


async def test_what_is_around_a_code_is_taken_away() -> None:
    with replayed_stream("text_line/wrapped") as line:
        assert await by_lines(line, trigger="T\r", prefix="<", suffix=">").read() == "A1"
    with replayed_stream("text_line/wrapped") as line:
        reader = by_lines(line, trigger="T\r", prefix="[")
        assert await reader.read() is None
    assert reader.dropped == 1


@pytest.mark.parametrize(("options", "says"), [({"ends": ""}, "needs an end"), ({"stop": "ä"}, "only ASCII")])
def test_options_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TextLineOptions(**options)


def test_a_line_without_end_is_no_code() -> None:
    with pytest.raises(ProtocolError, match="without the end"):
        Lines(b"\r\n").feed(b"x" * (LONGEST + 1))


# -- keys
class TypingPort(ReplayPort):
    """Gives the reports of a dialogue as those of an interrupt pipe."""

    async def interrupt(self) -> bytes:
        await asyncio.sleep(0)
        while not self.script.next_is("hear"):
            self.script.moved.clear()
            await self.script.moved.wait()
        return self.script.pop("hear", "wait for a report").data


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialogue has no time of its own: nothing was typed before the code was asked for."""
    monkeypatch.setattr(keyboard, "QUIET_S", -1.0)


@pytest.mark.parametrize(
    ("name", "code", "dropped"), [("reads", "A-1", 0), ("other_key", "b", 1), ("nothing", None, 0)]
)
async def test_keys_become_a_code(impatient: None, name: str, code: str | None, dropped: int) -> None:
    del impatient
    with replayed(f"keyboard/{name}") as port:
        port.__class__ = TypingPort
        reader = KeyboardReader("reader", port, KeyboardReaderOptions(read_s=0.05))
        await reader.connect()
        assert await reader.read() == code
        await reader.aclose()
    assert reader.dropped == dropped
    assert (await reader.identify()).model == "code reader that types"


async def test_a_keyboard_is_a_usb_device() -> None:
    with replayed("keyboard/nothing") as port:
        reader = KeyboardReader("reader", port, KeyboardReaderOptions())
        await reader.connect()
        with pytest.raises(ProtocolError, match="a keyboard is a USB device"):
            await reader.read()


async def test_a_reader_that_does_not_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyboard, "MOST_WAITING", 0)
    with replayed("keyboard/nothing") as port:
        reader = KeyboardReader("reader", port, KeyboardReaderOptions())
        await reader.connect()
        with pytest.raises(ProtocolError, match="without a rest"):
            await reader.read()


@pytest.mark.parametrize("code", ["abcXYZ019", "]C1 01-23_4", "https://x.y/?a=b&c=~%"])
def test_what_is_typed_is_read(code: str) -> None:
    board = Keyboard()
    assert [one for report in typing(code) if (one := board.feed(report)) is not None] == [Typed(code)]


def test_two_keys_that_overlap_and_a_control_key() -> None:
    board = Keyboard()
    reports = ("00 00 04 00 00 00 00 00", "00 00 04 05 00 00 00 00", "00 00 05 28 00 00 00 00")
    assert [board.feed(bytes.fromhex(one)) for one in reports] == [None, None, Typed("ab")]
    board.feed(bytes(8))
    board.feed(bytes.fromhex("01 00 06 00 00 00 00 00"))
    assert board.feed(bytes.fromhex("00 00 28 00 00 00 00 00")) == Typed(None)
    with pytest.raises(ProtocolError, match="report of 3 bytes"):
        board.feed(b"abc")


@pytest.mark.parametrize(
    ("fault", "code"), [("", "P1"), ("double_read", "P1"), ("no_read", None), ("noise", None)]
)
def test_the_simulated_keyboard(fault: str, code: str | None) -> None:
    async def life() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        bus = UsbBus(loop.clock)
        wanted = (parse(f"it.{fault}"),) if fault else ()
        machine = simulated.KeyboardReader(
            bus, faults=Faults("it", simulated.KeyboardReader.knobs, wanted, "keys")
        )
        bus.attach(machine)
        port = UsbPort("usb:reader", 0x1209, 3, "K0001", backend=SimUsbBackend(bus))
        reader = KeyboardReader("reader", port, KeyboardReaderOptions(prefix="P", read_s=1.0))
        await reader.connect()
        machine.scan("PX")  # before anybody asked: it is nobody's
        loop.call_later(0.9, machine.scan, "P" + (code or "P1"))
        assert await reader.read() == code
        await reader.aclose()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


def test_a_simulated_keyboard_that_reads_by_itself_is_told() -> None:
    async def life() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        bus = UsbBus(loop.clock)
        machine = simulated.KeyboardReader(
            bus, faults=Faults("it", simulated.KeyboardReader.knobs, (), "keys")
        )
        bus.attach(machine)
        port = UsbPort("usb:reader", 0x1209, 3, "K0001", backend=SimUsbBackend(bus))
        reader = KeyboardReader("reader", port, KeyboardReaderOptions())
        await reader.connect()
        for number in range(100):
            loop.call_later(0.2 * number, machine.scan, "P1")
        with pytest.raises(ProtocolError, match="without a rest"):
            await reader.read()
        assert reader.dropped == keyboard.MOST_WAITING
        await reader.aclose()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


def test_a_keyboard_that_was_unplugged_is_connected_anew() -> None:
    async def life() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        bus = UsbBus(loop.clock)
        wanted = (parse("it.usb_detach@once"),)
        machine = simulated.KeyboardReader(
            bus, faults=Faults("it", simulated.KeyboardReader.knobs, wanted, "keys")
        )
        bus.attach(machine)
        port = UsbPort("usb:reader", 0x1209, 3, "K0001", backend=SimUsbBackend(bus))
        reader = KeyboardReader("reader", port, KeyboardReaderOptions(read_s=2.0))
        await reader.connect()
        loop.call_later(0.9, machine.scan, "P1")
        with pytest.raises(DeviceLost):
            await reader.read()
        await reader.aclose()
        await asyncio.sleep(1.0)
        await reader.connect()
        loop.call_later(0.9, machine.scan, "P2")
        assert await reader.read() == "P2"
        await reader.aclose()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


async def test_what_was_typed_before_it_was_asked_for_belongs_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyboard, "QUIET_S", 0.05)
    with replayed("keyboard/reads") as port:
        port.__class__ = TypingPort
        reader = KeyboardReader("reader", port, KeyboardReaderOptions(read_s=0.05))
        await reader.connect()
        assert await reader.read() is None
    assert reader.dropped == 1
