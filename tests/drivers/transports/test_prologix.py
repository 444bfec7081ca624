"""GPIB through a simulated adapter, in virtual time: on Ethernet and on a serial line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from drivers.errors import EquipmentError, ProtocolError, Silent, TransportError
from drivers.protocols.prologix import escaped, whole
from drivers.transports import Clear, Conversation, Port, Read, ReadStatus, Trigger, Write
from drivers.transports.prologix import PrologixPort
from drivers.transports.tcp import TcpStream
from drivers.transports.visa import VisaLibrary
from sim.gpib.adapter import UNKNOWN, EthernetAdapter, GpibAdapter, SerialAdapter
from sim.serial import machine as serial
from sim.serial.protocol_hardbin import known_to_pyserial
from sim.time import VirtualLoop, new_loop
from station.cli import code_of
from station.cli.codes import Exit
from station.ports import PortError, Ports
from station.surroundings import simulated_station_file
from tests.drivers.transports.visa_bench import Meter, query, say

Ask = Callable[[str], Port]


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """Run in virtual time; return how long it took there."""

    async def timed() -> float:
        await main()
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(timed())


@asynccontextmanager
async def bus(
    *addresses: str, line: str = "tcp", latency_s: float = 0.0
) -> AsyncIterator[tuple[list[Port], list[Meter]]]:
    """Open ports at one adapter, and the meters behind it."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    meters = [Meter(loop.clock) for _ in addresses]
    numbers = [int(primary) + 100 * int(secondary or 0) for primary, _, secondary in map(_parts, addresses)]
    devices = dict(zip(numbers, meters, strict=True))
    if line == "tcp":
        where = "tcp:adapter:1234"
        loop.hosts.plug("adapter", 1234, EthernetAdapter(loop.clock, devices, latency_s=latency_s))
    else:
        where = "serial:hardbin://test.prologix"
        known_to_pyserial()
        serial.plug("test.prologix", SerialAdapter(loop.clock, devices, latency_s=latency_s))
    ports = Ports(VisaLibrary("@py"), None)
    async with AsyncExitStack() as stack:
        stack.callback(serial.unplug, "test.prologix")
        opened = list[Port]()
        for address in addresses:
            port = ports.make(f"gpib-{address}", f"prologix:{where}/{address}", None)
            assert isinstance(port, PrologixPort)
            opened.append(await stack.enter_async_context(port))
        yield opened, meters


def _parts(address: str) -> tuple[str, str, str]:
    return address.partition(".")


def polled() -> Conversation[int]:
    reply = yield ReadStatus()
    assert isinstance(reply, int)
    return reply


@pytest.mark.parametrize("line", ["tcp", "serial"])
def test_two_devices_answer_at_one_adapter(line: str) -> None:
    async def main() -> None:
        async with bus("1", "7.2", line=line) as ((one, seven), _):
            for _ in range(2):
                assert await one.run(query("A?")) == "ANSWER-TO-A?"
                assert await seven.run(query("B?")) == "ANSWER-TO-B?"

    run(main)


def test_conversations_at_one_adapter_take_turns() -> None:
    async def main() -> None:
        async with bus("1", "2", "3") as (ports, _), asyncio.TaskGroup() as group:
            asked = [(n, group.create_task(port.run(query(f"Q{n}?")))) for n, port in enumerate(ports)]
        assert [task.result() for _, task in asked] == [f"ANSWER-TO-Q{n}?" for n, _ in asked]

    run(main)


def test_bytes_that_the_adapter_would_take_for_itself_arrive() -> None:
    async def main() -> None:
        async with bus("1") as ((port,), (meter,)):
            assert await port.run(query("++addr 5 +\x1b+")) == "ANSWER-TO-++addr 5 +\x1b+"
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
            assert meter.log == [b"++addr 5 +\x1b+", b"A?"]

    run(main)


def test_an_answer_that_takes_longer_than_the_adapter_waits_is_read_again() -> None:
    async def main() -> None:
        async with bus("1") as ((port,), _):
            assert await port.run(query("SLOW?", timeout_s=8.0)) == "SLOW-ANSWER"

    assert 5.0 < run(main) < 6.0


def test_a_late_answer_is_not_taken_for_the_next() -> None:
    async def main() -> None:
        async with bus("1") as ((port,), (meter,)):
            with pytest.raises(Silent):
                await port.run(query("SLOW?", timeout_s=1.0))
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
            assert b"<cleared>" in meter.log
            cancelled = asyncio.get_running_loop().create_task(port.run(query("SLOW?", timeout_s=8.0)))
            await asyncio.sleep(1.0)
            cancelled.cancel()
            await asyncio.wait([cancelled])
            assert cancelled.cancelled()
            assert await port.run(query("B?")) == "ANSWER-TO-B?"

    run(main)


def test_an_address_that_was_cut_off_while_it_was_said_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    write = TcpStream.write

    async def hangs(self: TcpStream, data: bytes) -> None:
        await write(self, data)
        if data == b"++addr 2\n":
            await asyncio.Event().wait()

    async def main() -> None:
        async with bus("1", "2") as ((one, two), (first, second)):
            await one.run(say("NOTHING"))
            with monkeypatch.context() as patched:
                patched.setattr(TcpStream, "write", hangs)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await two.run(say("NOTHING"))
            await one.run(say("NOTHING 1"))
            assert await two.run(query("B?")) == "ANSWER-TO-B?"
            assert first.log == [b"NOTHING", b"NOTHING 1"]
            assert second.log == [b"<cleared>", b"B?"]

    run(main)


@pytest.mark.parametrize("cut", [b"++addr 2", b"VOLT 12.5"])
def test_half_a_line_is_spoilt_and_not_done(cut: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    write = TcpStream.write

    async def stops(self: TcpStream, data: bytes) -> None:
        if not data.startswith(cut):
            await write(self, data)
            return
        await write(self, data[:6])
        await asyncio.Event().wait()

    async def main() -> None:
        async with bus("1", "2") as ((one, two), (first, second)):
            await one.run(say("NOTHING"))
            with monkeypatch.context() as patched:
                patched.setattr(TcpStream, "write", stops)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await two.run(say("VOLT 12.5"))
            assert await two.run(query("B?")) == "ANSWER-TO-B?"
            assert first.log == [b"NOTHING"]
            assert second.log == [*[b"VOLT 1++"] * (cut == b"VOLT 12.5"), b"<cleared>", b"B?"]

    run(main)


def test_trigger_clear_and_status_reach_the_device() -> None:
    def conversation() -> Conversation[None]:
        yield Trigger()
        yield Clear()
        yield Write(b"A?\n")
        yield Read()

    async def main() -> None:
        async with bus("4", "5") as ((four, five), (meter, other)):
            await four.run(conversation())
            assert meter.log == [b"<triggered>", b"<cleared>", b"A?"]
            assert not other.log
            assert await five.run(polled()) == 0

    run(main)


@pytest.mark.parametrize("line", ["tcp", "serial"])
@pytest.mark.parametrize("latency_s", [0.001, 0.003, 0.008, 0.016])
def test_a_wait_that_is_given_up_leaves_no_answer_and_loses_no_request(latency_s: float, line: str) -> None:
    async def given_up(port: Port) -> list[int]:
        try:
            async with asyncio.timeout(0.005):
                return [await port.service_request()]
        except TimeoutError:
            return []

    async def main() -> None:
        async with bus("22", line=line, latency_s=latency_s) as ((port,), (meter,)):
            for number in range(50):
                assert await given_up(port) == []
                assert await port.run(query(f"Q{number}?")) == f"ANSWER-TO-Q{number}?"
            for number in range(40):
                meter.request_service(0x41 + number % 8)
                got = await given_up(port)
                async with asyncio.timeout(5.0):
                    got = got or [await port.service_request()]
                assert got == [0x41 + number % 8]

    run(main)


def test_each_device_gets_its_own_service_requests_once_and_in_order() -> None:
    async def main() -> None:
        async with bus("1", "2") as ((one, two), _):
            await one.run(say("SRQ 100 1 2"))
            await two.run(say("SRQ 150 4"))
            assert await two.service_request() == 0x44
            assert [await one.service_request() for _ in range(2)] == [0x41, 0x42]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await one.service_request()
            assert await one.run(query("A?")) == "ANSWER-TO-A?"

    run(main)


def test_a_firmware_without_srq_is_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    command = GpibAdapter._command

    def deaf(self: GpibAdapter, words: list[str], send: Callable[[bytes], None]) -> None:
        command(self, ["nonsense"] if words == ["srq"] else words, send)

    monkeypatch.setattr(GpibAdapter, "_command", deaf)
    assert UNKNOWN

    async def main() -> None:
        async with bus("1") as ((port,), _):
            await port.run(say("SRQ 20 1"))
            assert await port.service_request() == 0x41

    run(main)


@pytest.mark.parametrize("line", ["tcp", "serial"])
def test_what_an_adapter_says_unasked_is_no_answer(line: str) -> None:
    async def main() -> None:
        async with bus("1", line=line) as ((port,), _):
            assert isinstance(port, PrologixPort)
            far = port._adapter.line
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
            assert port._adapter.strays == 0
            await far.write(b"++ver\n")  # somebody's question, whose answer nobody fetches
            await asyncio.sleep(1.0)
            assert await port.run(query("B?")) == "ANSWER-TO-B?"
            assert port._adapter.strays == 1

    run(main)


def test_adapter_closes_with_its_last_port_and_opens_again() -> None:
    async def main() -> None:
        async with bus("1", "2") as ((one, two), _):
            await one.aclose()
            assert await two.run(query("A?")) == "ANSWER-TO-A?"
            await two.aclose()
            with pytest.raises(TransportError, match="not open"):
                await two.run(query("A?"))
            await two.open()
            assert await two.run(query("B?")) == "ANSWER-TO-B?"

    run(main)


def test_what_is_no_adapter_is_refused() -> None:
    class Mute(EthernetAdapter):
        def on_data(self, connection: object, data: bytes) -> None:
            pass

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.hosts.plug("mute", 1234, Mute(loop.clock, {}))
        port = Ports(VisaLibrary("@py"), None).make("smu", "prologix:tcp:mute:1234/1", None)
        with pytest.raises(TransportError, match=r"no GPIB adapter answers to \+\+ver"):
            await port.open()

    run(main)


def test_one_address_is_one_port() -> None:
    async def main() -> None:
        async with bus("1") as ((port,), _):
            assert isinstance(port, PrologixPort)
            twin = PrologixPort("twin", port._adapter, 1)
            with pytest.raises(TransportError, match="another port has this GPIB address"):
                await twin.open()

    run(main)


def test_nonsense_for_a_status_byte_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def garbled(self: GpibAdapter, numbers: list[int], send: Callable[[bytes], None]) -> None:
        send(b"6x\r\n")

    monkeypatch.setattr(GpibAdapter, "_poll", garbled)

    async def main() -> None:
        async with bus("1") as ((port,), _):
            with pytest.raises(ProtocolError, match="spoll answered '6x"):
                await port.run(polled())

    run(main)


def test_an_adapter_that_is_gone_is_an_error_and_not_a_wait() -> None:
    async def main() -> None:
        async with bus("1") as ((port,), _):
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.hosts.unplug("adapter", 1234)
            for _ in range(2):
                with pytest.raises(EquipmentError):
                    await port.run(query("A?"))

    assert run(main) < 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prologix:tcp:adapter:1234/x", "'x' is no GPIB address"),
        ("prologix:tcp:adapter:1234/31", "0 to 30 are allowed"),
        ("prologix:visa:GPIB0::7::INSTR/7", "an adapter is at tcp"),
        ("prologix:adapter", "prologix:<tcp or serial port>/<address>"),
    ],
)
def test_ports_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises((PortError, ValueError), match=message):
        Ports(VisaLibrary("@py"), None).make("smu", text, None)


def test_a_block_of_binary_data_may_hold_line_ends() -> None:
    assert whole(b"+1\n")
    assert not whole(b"+1")
    assert not whole(b"#15\n\n\n")
    assert whole(b"#15\n\n\n\n\n\n")
    assert escaped(b"a+\n") == b"a\x1b+\x1b\n"


def test_a_simulated_cell_has_its_handler_behind_an_adapter(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "station.toml"
    text = simulated_station_file().read_text("utf-8")
    text = text.replace("visa:GPIB1::1::INSTR", "prologix:tcp:192.0.2.9:1234/1")
    text = text.replace("visa:TCPIP0::supply-{site}::inst0::INSTR", "prologix:serial:hardbin://gpib-{site}/5")
    file.write_text(text)
    assert code_of(["equip", "probe", "supply-1", "supply-16", "--station", str(file)]) == Exit.OK
    assert capsys.readouterr().out.count("E36312A") == 2
    assert code_of(["equip", "cycle", "handler", "--station", str(file), "--touchdowns", "3"]) == Exit.OK
    assert "3 of 3 cycles" in capsys.readouterr().out
