"""The simulated VISA library as PyVISA's own Resource classes use it, on the ordinary loop's clock."""

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
import pyvisa
from pyvisa.constants import EventMechanism, EventType
from pyvisa.resources import MessageBasedResource

from sim.clock import RealClock
from sim.instrument import Instrument
from sim.visa import worlds

SRQ = EventType.service_request
NAMES = {
    "GPIB0::22::INSTR": "GPIBInstrument",
    "USB0::0x2A8D::0x0101::MY0001::0::INSTR": "USBInstrument",
    "TCPIP0::192.0.2.5::inst0::INSTR": "TCPIPInstrument",
    "TCPIP0::192.0.2.5::5025::SOCKET": "TCPIPSocket",
    "ASRL3::INSTR": "SerialInstrument",
}


class Dmm(Instrument):
    """Answers, slowly answers, sends blocks, asks for service."""

    condition_bits = 0

    def handle(self, message: bytes) -> None:
        match message.split():
            case [b"*IDN?"]:
                self.respond(b"SIM,DMM,0,1.0\n")
            case [b"SLOW?"]:
                self.respond(b"9\n", after_s=60)
            case [b"SOON?"]:
                self.respond(b"1\n", after_s=0.01)
            case [b"DATA?", count]:
                body = struct.pack(f">{int(count)}f", *(i * 0.5 for i in range(int(count))))
                self.respond(b"#%d%d" % (len(str(len(body))), len(body)) + body)
            case [b"SRQ", *statuses]:
                for status in statuses:
                    self.request_service(int(status))

    def status(self) -> int:
        return self.condition_bits


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def world(loop: asyncio.AbstractEventLoop) -> Iterator[dict[str, Instrument]]:
    world = worlds.register("test-backend")
    for name in NAMES:
        world[name] = Dmm(RealClock(loop))
    yield world
    worlds.unregister("test-backend")


@pytest.fixture
def manager(world: dict[str, Instrument]) -> Iterator[pyvisa.ResourceManager]:
    manager = pyvisa.ResourceManager("test-backend@hardbin")
    yield manager
    manager.close()


@pytest.fixture
def dmm(manager: pyvisa.ResourceManager) -> MessageBasedResource:
    return opened(manager, "GPIB0::22")


def opened(manager: pyvisa.ResourceManager, name: str) -> MessageBasedResource:
    resource = manager.open_resource(name, read_termination="\n", write_termination="\n")
    assert isinstance(resource, MessageBasedResource)
    return resource


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(pyvisa.VisaIOError) as raised:
        call()
    return raised.value.abbreviation


@pytest.mark.parametrize(("name", "resource_class"), NAMES.items())
def test_each_kind_of_name_opens_with_pyvisas_own_class(
    manager: pyvisa.ResourceManager, name: str, resource_class: str
) -> None:
    with opened(manager, name) as resource:
        assert type(resource).__name__ == resource_class
        assert resource.query("*IDN?") == "SIM,DMM,0,1.0"
        assert resource.resource_name == name


def test_names_are_found_in_any_spelling_and_listed(manager: pyvisa.ResourceManager) -> None:
    with opened(manager, "usb::0x2a8d::0x0101::my0001") as resource:
        assert resource.query("*IDN?") == "SIM,DMM,0,1.0"
    assert manager.list_resources("GPIB?*") == ("GPIB0::22::INSTR",)
    assert len(manager.list_resources()) == 4, "a socket is no INSTR"
    assert len(manager.list_resources("?*")) == 5


def test_names_that_are_none_and_instruments_that_are_not_there(
    manager: pyvisa.ResourceManager, world: dict[str, Instrument]
) -> None:
    assert error_of(lambda: manager.open_resource("GPIB0::9")) == "VI_ERROR_RSRC_NFOUND"
    assert error_of(lambda: manager.open_resource("nonsense")) == "VI_ERROR_INV_RSRC_NAME"
    world["GPIB0::22::INSTR"].unplug()
    assert error_of(lambda: manager.open_resource("GPIB0::22")) == "VI_ERROR_RSRC_NFOUND"


def test_worlds_are_apart(manager: pyvisa.ResourceManager) -> None:
    worlds.register("test-other")
    other = pyvisa.ResourceManager("test-other@hardbin")
    try:
        assert other.list_resources("?*") == ()
        with pytest.raises(ValueError, match="exists already"):
            worlds.register("test-other")
    finally:
        other.close()
        worlds.unregister("test-other")
    assert manager.list_resources("GPIB?*")


@pytest.mark.parametrize("chunk", [999, 1000, 20480])
def test_a_block_comes_in_chunks(dmm: MessageBasedResource, chunk: int) -> None:
    dmm.read_termination = None
    dmm.chunk_size = chunk
    block = dmm.query_binary_values("DATA? 50000", datatype="f", is_big_endian=True)
    assert len(block) == 50000
    assert block[-1] == 24999.5


def test_a_termination_character_ends_a_read_and_the_rest_stays(dmm: MessageBasedResource) -> None:
    dmm.write("DATA? 4")  # 0, 0.5, 1, 1.5
    dmm.read_termination = "?"
    assert dmm.read_raw() == b"#216\x00\x00\x00\x00?"
    dmm.read_termination = None
    assert dmm.read_raw() == b"\x00\x00\x00?\x80\x00\x00?\xc0\x00\x00"


def test_a_stream_has_no_end_and_waits_for_its_line_end(manager: pyvisa.ResourceManager) -> None:
    with opened(manager, "TCPIP0::192.0.2.5::5025::SOCKET") as socket:
        socket.timeout = 5
        socket.write_raw(b"*IDN?")
        assert error_of(socket.read) == "VI_ERROR_TMO", "a message without its line end is none"
        socket.write_raw(b"\n")
        assert socket.read() == "SIM,DMM,0,1.0"
        socket.write("DATA? 2")
        assert error_of(socket.read) == "VI_ERROR_TMO", "no line end in the answer either"


def test_what_a_stream_cannot_do(manager: pyvisa.ResourceManager) -> None:
    with opened(manager, "TCPIP0::192.0.2.5::5025::SOCKET") as socket:
        assert error_of(socket.read_stb) == "VI_ERROR_NSUP_OPER"
        assert error_of(socket.assert_trigger) == "VI_ERROR_NSUP_OPER"
        assert error_of(lambda: socket.enable_event(SRQ, EventMechanism.queue)) == "VI_ERROR_INV_EVENT"


def test_a_closed_socket_takes_its_answers_with_it(manager: pyvisa.ResourceManager) -> None:
    with opened(manager, "TCPIP0::192.0.2.5::5025::SOCKET") as socket:
        socket.write("SOON?")
    with opened(manager, "TCPIP0::192.0.2.5::5025::SOCKET") as socket:
        assert socket.query("*IDN?") == "SIM,DMM,0,1.0"


def test_message_available_when_it_is_due_not_when_it_was_made(dmm: MessageBasedResource) -> None:
    dmm.write("SLOW?")
    assert dmm.read_stb() == 0
    dmm.clear()
    dmm.write("*IDN?")
    assert dmm.read_stb() == 0x10
    assert dmm.read() == "SIM,DMM,0,1.0"
    assert dmm.read_stb() == 0


def test_status_bytes_come_once_and_in_order(dmm: MessageBasedResource) -> None:
    dmm.write("SRQ 1 2 1")
    assert [dmm.read_stb() for _ in range(4)] == [0x41, 0x42, 0x41, 0]


def test_service_requests_through_the_queue(dmm: MessageBasedResource) -> None:
    dmm.write("SRQ 1")
    dmm.enable_event(SRQ, EventMechanism.queue)
    assert dmm.wait_on_event(SRQ, 0, capture_timeout=True).timed_out, "it was asked before anybody listened"
    dmm.write("SRQ 2")
    assert dmm.wait_on_event(SRQ, 1000).event.event_type is SRQ
    dmm.write("SRQ 4")
    dmm.discard_events(SRQ, EventMechanism.queue)
    assert dmm.wait_on_event(SRQ, 0, capture_timeout=True).timed_out
    dmm.disable_event(SRQ, EventMechanism.queue)
    assert error_of(lambda: dmm.wait_on_event(SRQ, 0)) == "VI_ERROR_NENABLED"


def test_service_requests_through_a_handler(dmm: MessageBasedResource) -> None:
    assert error_of(lambda: dmm.enable_event(SRQ, EventMechanism.handler)) == "VI_ERROR_HNDLR_NINSTALLED"
    seen: list[EventType] = []
    handler = dmm.wrap_handler(lambda resource, event, user: seen.append(event.event_type))
    user = dmm.install_handler(SRQ, handler)
    dmm.enable_event(SRQ, EventMechanism.handler)
    dmm.write("SRQ 1 2")
    assert seen == [SRQ, SRQ]
    dmm.disable_event(SRQ, EventMechanism.handler)
    dmm.uninstall_handler(SRQ, handler, user)
    dmm.write("SRQ 1")
    assert len(seen) == 2


def test_a_timeout_is_as_long_as_it_says_and_clear_forgets_the_answer(dmm: MessageBasedResource) -> None:
    dmm.timeout = 1
    assert error_of(lambda: dmm.query("SLOW?")) == "VI_ERROR_TMO"
    dmm.clear()
    dmm.timeout = 10_000
    assert dmm.query("*IDN?") == "SIM,DMM,0,1.0"
    assert dmm.query("SOON?") == "1"


def test_terminate_ends_a_read_and_clear_forgets_an_abort_that_hit_nobody(
    manager: pyvisa.ResourceManager, dmm: MessageBasedResource
) -> None:
    dmm.timeout = float("+inf")
    dmm.write("SLOW?")
    abort = threading.Timer(0.02, manager.visalib.terminate, (dmm.session, None, 0))
    abort.start()
    assert error_of(dmm.read) == "VI_ERROR_ABORT"
    abort.join()
    manager.visalib.terminate(dmm.session, None, pyvisa.typing.VISAJobID(0))
    dmm.clear()
    assert dmm.query("*IDN?") == "SIM,DMM,0,1.0"


def test_an_instrument_that_is_unplugged(world: dict[str, Instrument], dmm: MessageBasedResource) -> None:
    dmm.timeout = 60_000
    unplug = threading.Timer(0.02, world["GPIB0::22::INSTR"].unplug)
    unplug.start()
    assert error_of(lambda: dmm.query("SLOW?")) == "VI_ERROR_CONN_LOST"
    unplug.join()
    for call in (lambda: dmm.write("*IDN?"), dmm.read_stb, dmm.clear):
        assert error_of(call) == "VI_ERROR_CONN_LOST"


def test_a_closed_session_is_invalid(manager: pyvisa.ResourceManager, dmm: MessageBasedResource) -> None:
    session = dmm.session
    dmm.close()
    assert error_of(lambda: manager.visalib.write(session, b"*IDN?")) == "VI_ERROR_INV_OBJECT"
    assert error_of(lambda: manager.visalib.close(session)) == "VI_ERROR_INV_OBJECT"
    with pytest.raises(pyvisa.errors.InvalidSession):
        dmm.query("*IDN?")
