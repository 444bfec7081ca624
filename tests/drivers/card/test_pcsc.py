"""PC/SC: the driver against its dialogues, the port against a simulated service, and a virtual reader."""

import asyncio
import importlib.util
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from drivers.card.pcsc import PcscOptions, PcscReader
from drivers.errors import DeviceLost, DutError, InstrumentError, ProtocolError, TransportError
from drivers.protocols.pcsc import Answer
from drivers.roles import Apdu, Reset, Stopped
from drivers.transports import Conversation, Port, Trigger
from drivers.transports.pcsc import PcscPort
from sim.card.pcsc import SimulatedPcsc
from sim.faults import NO_FAULTS, Faults, parse
from tests.replay import replayed, written
from tests.simulated.ccid import Chip
from tests.simulated.pcsc import READER
from tests.stepclock import StepClock

SELECT = Apdu(bytes.fromhex("00A4040000"))
PLUGIN = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")


def made(port: Port) -> PcscReader:
    return PcscReader("reader", port, PcscOptions())


async def test_a_chip_is_powered_asked_and_reset() -> None:
    with replayed("pcsc/exchange") as port:
        reader = made(port)
        await reader.connect()
        assert (await reader.power_on()).hex() == "3b848131fe455345313098"
        answer = await reader.run((SELECT, Reset(cold=True)))
        assert [reply.data.hex() for reply in answer.replies] == ["0102", "3b848131fe455345313098"]
        assert answer.stopped is Stopped.END
        await reader.power_off()
        await reader.aclose()
    assert (await reader.identify()).model == port.name


async def test_t0_fetches_its_answers() -> None:
    with replayed("pcsc/t0_get_response") as port:
        reader = made(port)
        await reader.connect()
        assert await reader.power_on() == b"\x3b\x00"
        reply = await reader.transmit(bytes.fromhex("00CA000002AABB"))
    assert (reply.data, reply.status) == (b"\1\2\3", 0x9000)


@pytest.mark.parametrize(
    ("name", "says", "silent"),
    [("card_absent", "no card makes contact", False), ("mute_chip", "no answer to reset", True)],
)
async def test_a_chip_that_does_not_take_part(name: str, says: str, silent: bool) -> None:
    with replayed(f"pcsc/{name}") as port:
        reader = made(port)
        await reader.connect()
        with pytest.raises(DutError, match=says) as caught:
            await reader.power_on()
    assert caught.value.silent is silent


@pytest.mark.parametrize("name", ["removed_in_the_exchange", "broken_off", "without_status_word"])
async def test_a_failed_exchange_leaves_the_chip_alone(name: str) -> None:
    with replayed(f"pcsc/{name}") as port:
        reader = made(port)
        await reader.connect()
        await reader.power_on()
        assert (await reader.run((SELECT, SELECT))).stopped is Stopped.LINK
        assert await reader.run((SELECT,)) == (await reader.run((SELECT,)))
        with pytest.raises(DutError, match="no answer to 00 a4 04 00"):
            await reader.transmit(SELECT.command)


async def test_a_reader_that_somebody_else_has() -> None:
    with replayed("pcsc/somebody_else_has_it") as port:
        reader = made(port)
        await reader.connect()
        with pytest.raises(InstrumentError, match="somebody else uses the reader"):
            await reader.power_on()


async def test_a_script_stops_at_a_status_word_and_at_its_time() -> None:
    with replayed("pcsc/exchange") as port:
        reader = made(port)
        await reader.connect()
        await reader.power_on()
        answer = await reader.run((Apdu(SELECT.command, expect=(0x6A82,)),))
        assert (answer.stopped, answer.replies[0].status) == (Stopped.STATUS_WORD, 0x9000)
        port.script.left.clear()
    with replayed("pcsc/exchange") as port:
        reader = made(port)
        await reader.connect()
        await reader.power_on()
        answer = await reader.run((Apdu(SELECT.command, budget_s=-1.0),))
        assert (answer.stopped, answer.replies) == (Stopped.TIME, ())
        port.script.left.clear()


def test_an_answer_without_status() -> None:
    with pytest.raises(ProtocolError, match="answer of 3 bytes"):
        Answer.decode(b"abc")


# -- the port
def service(given: dict[str, str], *faults: str) -> SimulatedPcsc:
    wanted = tuple(parse(f"reader.{text}") for text in faults)
    knobs = Faults("reader", SimulatedPcsc.knobs, wanted, "pcsc") if wanted else NO_FAULTS
    return SimulatedPcsc(StepClock(), {READER: Chip(given)}, faults=knobs)


async def test_the_port_speaks_to_the_service_on_its_thread() -> None:
    port = PcscPort("pcsc:reader", READER, library=service({"answer": "0A 90 00"}))
    reader = made(port)
    with pytest.raises(TransportError, match="is not open"):
        await reader.power_off()
    with pytest.raises(TransportError, match="was never open"):
        port.trace.entries()
    await reader.connect()
    with pytest.raises(TransportError, match="is open already"):
        await port.open()
    assert (await reader.power_on()).startswith(b"\x3b")
    assert (await reader.transmit(SELECT.command)).data == b"\n"
    assert "<x 00 00 00 00 01 3B" in port.trace.to_dialogue("assumed")
    assert "A4" not in port.trace.to_dialogue("assumed"), "what goes to a chip is not recorded"
    with pytest.raises(TransportError, match="no service requests"):
        await port.service_request()
    with pytest.raises(TransportError, match="has no Trigger"):
        await port.run(_trigger())
    await reader.aclose()
    await reader.aclose()


def _trigger() -> Conversation[None]:
    yield Trigger()


async def test_a_service_that_does_not_run_and_a_reader_that_is_not_there() -> None:
    with pytest.raises(TransportError, match="no PC/SC service answers .0x8010001e."):
        await PcscPort("pcsc:r", READER, library=service({}, "service_stopped")).open()
    with pytest.raises(TransportError, match="no reader 'Other'; there are: 'Simulated Reader 00 00'"):
        await PcscPort("pcsc:r", "Other", library=service({})).open()


async def test_a_port_that_does_not_open_lets_go_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    library, released = service({}), list[int]()
    monkeypatch.setattr(library, "SCardReleaseContext", released.append)
    with pytest.raises(TransportError, match="no reader"):
        await PcscPort("pcsc:r", "Other", library=library).open()
    assert len(released) == 1


async def test_without_pyscard_the_port_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr("drivers.transports.pcsc.import_module", absent)
    with pytest.raises(DeviceLost, match="pip install pyscard"):
        await PcscPort("pcsc:r", READER).open()


# -- a virtual reader
class VirtualChip(threading.Thread):
    """A chip that connects to vpcd: two bytes of length, then a command or a word of one byte."""

    ATR = bytes.fromhex("3B848131FE455345313098")

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.commands: list[bytes] = []
        self.line = _reached(port)

    def run(self) -> None:
        with closing(self.line), suppress(ConnectionResetError):  # the daemon is gone with what it was sent
            while (message := self._message()) is not None:
                if message == b"\4":
                    self._tell(self.ATR)
                elif len(message) > 1:
                    self.commands.append(message)
                    self._tell(message[-1:] + b"\x90\x00")

    def _message(self) -> bytes | None:
        head = self._bytes(2)
        return None if head is None else self._bytes(struct.unpack(">H", head)[0])

    def _bytes(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            if not (piece := self.line.recv(size - len(data))):
                return None
            data += piece
        return data

    def _tell(self, data: bytes) -> None:
        self.line.sendall(struct.pack(">H", len(data)) + data)


def _reached(port: int) -> socket.socket:
    """Connect to vpcd, which listens a moment after pcscd has started."""
    waiting = threading.Event()
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=None)
        except ConnectionRefusedError:
            waiting.wait(0.05)
    raise AssertionError(f"no vpcd at port {port}")


def _missing() -> str:
    if importlib.util.find_spec("smartcard") is None:
        return "pyscard is not installed"
    if shutil.which("pcscd") is None and not Path("/usr/sbin/pcscd").exists():
        return "pcscd is not installed"
    if not PLUGIN.exists():
        return "vpcd is not installed"
    if Path("/run/pcscd/pcscd.comm").exists():
        return "a pcscd of this machine runs already"
    return ""


def _free_port() -> int:
    """Return a port below those that the system gives out: a client there might reach itself."""
    for number in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", number))
            return number
    raise AssertionError("no free port")


@pytest.fixture
def virtual_chip(tmp_path: Path) -> Iterator[VirtualChip]:
    """Pcscd with one virtual reader, and a chip in it."""
    if missing := _missing():
        pytest.skip(missing)
    port = _free_port()
    (tmp_path / "vpcd").write_text(
        f'FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:{port:#x}\nLIBPATH {PLUGIN}\nCHANNELID {port:#x}\n'
    )
    command = shutil.which("pcscd") or "/usr/sbin/pcscd"
    with subprocess.Popen(
        [command, "-f", "-c", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as daemon:
        try:
            chip = VirtualChip(port)
            chip.start()
            yield chip
            chip.line.shutdown(socket.SHUT_RDWR)
            chip.join()
        finally:
            daemon.terminate()


def test_a_chip_in_a_virtual_reader(virtual_chip: VirtualChip) -> None:
    async def life() -> None:
        reader = made(PcscPort("pcsc:virtual", "Virtual PCD 00 00"))
        await reader.connect()
        assert await _powered(reader) == VirtualChip.ATR
        answer = await reader.run((SELECT, Reset(), Apdu(bytes.fromhex("00B0000005"))))
        assert [reply.data for reply in answer.replies] == [b"\0", VirtualChip.ATR, b"\5"]
        assert answer.stopped is Stopped.END
        await reader.aclose()

    asyncio.run(life())
    assert virtual_chip.commands == [SELECT.command, bytes.fromhex("00B0000005")]


async def _powered(reader: PcscReader) -> bytes:
    """Power on; pcscd sees a new card within a second."""
    for _ in range(50):
        try:
            return await reader.power_on()
        except DutError:
            await asyncio.sleep(0.1)
    raise AssertionError("pcscd does not see the card")


async def test_power_without_an_answer_to_reset_is_a_mute_chip() -> None:
    port = written(">control 80 03 0000 0000\n<x 00 00 00 00\n>control 80 01 0000 0000\n<x 00 00 00 00 01\n")
    reader = made(port)
    await reader.connect()
    with pytest.raises(DutError, match="no answer to reset") as caught:
        await reader.power_on()
    assert caught.value.silent
