"""The MPSSE driver against its dialogues, and through PyUSB against the simulated chip."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from drivers.dio.ftdi_mpsse import FtdiMpsse, FtdiMpsseOptions
from drivers.errors import DeviceLost, EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.protocols.mpsse import Code, Command, Commands, Unknown, clock, payload_of
from drivers.roles import I2c, Spi
from drivers.transports import Port
from drivers.transports.usb import UsbPort
from sim.dio import ftdi_mpsse
from sim.dio.i2c import Bus
from sim.dio.spi import Register
from sim.faults import Faults, parse
from sim.time import VirtualLoop, new_loop
from sim.usb.backend import SimUsbBackend, UsbBus
from tests.replay import replayed

T = TypeVar("T")
TWO = FtdiMpsseOptions(outputs=frozenset({"D0", "D1"}), resting_high=frozenset({"D1"}))


def made(port: Port, options: FtdiMpsseOptions = TWO) -> FtdiMpsse:
    return FtdiMpsse("lines", port, options)


@pytest.mark.parametrize("name", ["connects", "empty_packets"])
async def test_connects_with_outputs_at_rest(name: str) -> None:
    with replayed(f"ftdi_mpsse/{name}") as port:
        lines = made(port)
        await lines.connect()
        await lines.aclose()
    assert lines.resting == {"D0": False, "D1": True}
    assert (await lines.identify()).maker == "FTDI"
    assert (port.opened, port.closed) == (1, 1)


SPI = FtdiMpsseOptions(outputs=frozenset({"D0", "D1", "D3"}), resting_high=frozenset({"D3"}), spi_select="D3")


def device(lines: FtdiMpsse) -> Spi:
    spi = lines.channels["spi"]
    assert isinstance(spi, Spi)
    return spi


async def test_a_device_on_spi_is_selected_while_bytes_are_shifted() -> None:
    with replayed("ftdi_mpsse/spi") as port:
        lines = made(port, SPI)
        await lines.connect()
        assert await device(lines).exchange(b"\x01\x02\x03") == b"\x00\x00\x01"
        assert await device(lines).exchange(b"\xfa\xaa") == b"\x02\x03"
    assert port.hops == 3


async def test_a_byte_that_is_lost_on_spi_is_told_and_nothing_said_again() -> None:
    with replayed("ftdi_mpsse/spi_out_of_step") as port:
        lines = made(port, SPI)
        await lines.connect()
        with pytest.raises(ProtocolError, match="out of step: 1 bytes shifted in, 2 came"):
            await device(lines).exchange(b"\x7f")
        for data in (b"", bytes(4097)):
            with pytest.raises(EquipmentError, match="1 to 4096 at a time"):
                await device(lines).exchange(data)


@pytest.mark.parametrize(
    ("outputs", "high", "says"),
    [
        ("D1 D3", "D3", "D0, D1 and it must be outputs"),
        ("D0 D1 D2 D3", "D3", "D2 must be an input"),
        ("D0 D1 D3", "", "it must rest high"),
        ("D0 D1 D3", "D0 D3", "D0 must rest low in mode 0"),
    ],
)
def test_spi_lines_that_cannot_be_meant(outputs: str, high: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        FtdiMpsseOptions(
            outputs=frozenset(outputs.split()), resting_high=frozenset(high.split()), spi_select="D3"
        )


def in_mode(mode: Any) -> FtdiMpsseOptions:
    high = {"D3", "D0"} if mode in (2, 3) else {"D3"}
    return FtdiMpsseOptions(outputs=SPI.outputs, resting_high=frozenset(high), spi_select="D3", spi_mode=mode)


@pytest.mark.parametrize("mode", [1, 2, 3])
async def test_each_mode_of_spi_has_its_clock(mode: int) -> None:
    with replayed(f"ftdi_mpsse/spi_mode_{mode}") as port:
        lines = made(port, in_mode(mode))
        await lines.connect()
        assert await device(lines).exchange(b"\x01\x02\x03") == b"\x00\x00\x01"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resting_high": {"D3"}, "spi_mode": 2}, "D0 must rest high in mode 2"),
        ({"resting_high": {"D0", "D3"}, "spi_mode": 1}, "D0 must rest low in mode 1"),
        ({"resting_high": {"D3"}, "spi_mode": 1, "spi_hz": 25e6}, "spi_hz 2.5e.07: at most 2e7 in mode 1"),
    ],
)
def test_a_mode_of_spi_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        FtdiMpsseOptions(outputs=SPI.outputs, spi_select="D3", **options)


BUS = FtdiMpsseOptions(
    outputs=frozenset({"D0", "D1"}),
    resting_high=frozenset({"D0", "D1"}),
    i2c={"memory": 0x50, "ghost": 0x51},
    i2c_hz=1e6,
)


def at(lines: FtdiMpsse, name: str) -> I2c:
    found = lines.channels[name]
    assert isinstance(found, I2c)
    return found


async def test_a_memory_on_i2c_is_written_and_read() -> None:
    with replayed("ftdi_mpsse/i2c") as port:
        lines = made(port, BUS)
        await lines.connect()
        assert await at(lines, "memory").exchange(b"\x10\x5a\xc3") == b""
        assert await at(lines, "memory").exchange(b"\x10", 3) == b"\x5a\xc3\xff"
        for data, count in ((b"", 0), (bytes(200), 57), (b"", -1)):
            with pytest.raises(EquipmentError, match="1 to 256 at a time"):
                await at(lines, "memory").exchange(data, count)
    assert port.hops == 3


async def test_what_does_not_take_its_address_is_told_and_may_be_asked_for() -> None:
    with replayed("ftdi_mpsse/i2c_nobody") as port:
        lines = made(port, BUS)
        await lines.connect()
        with pytest.raises(InstrumentError, match="lines.ghost did not take its address 0x51") as caught:
            await at(lines, "ghost").exchange(b"\x00")
        assert caught.value.code == 0
        assert not await at(lines, "ghost").answers()
        assert await at(lines, "memory").answers()


async def test_a_byte_that_is_not_taken_ends_the_transaction() -> None:
    with replayed("ftdi_mpsse/i2c_refused") as port:
        lines = made(port, BUS)
        await lines.connect()
        with pytest.raises(InstrumentError, match="lines.memory did not take byte 1"):
            await at(lines, "memory").exchange(b"\x10\x5a")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resting_high": {"D0"}}, "D0 and D1 must be outputs that rest high"),
        ({"outputs": {"D0", "D1", "D2"}}, "D2 must be an input"),
        ({"outputs": {"D0", "D1", "D3"}, "spi_select": "D3"}, "an engine does the one or the other"),
        ({"i2c": {"a.b": 0x50}}, "letters, digits and _"),
    ],
)
def test_an_i2c_bus_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    told: dict[str, Any] = {"outputs": BUS.outputs, "resting_high": BUS.resting_high, "i2c": BUS.i2c}
    if "spi_select" in options:
        told["resting_high"] = {"D3"}
    with pytest.raises(ValueError, match=says):
        FtdiMpsseOptions(**{**told, **options})


@pytest.mark.parametrize(("hz", "divisor"), [(30e6, 0), (1e6, 29), (7e6, 4), (458.0, 65502)])
def test_clock_is_never_faster_than_asked(hz: float, divisor: int) -> None:
    assert clock(hz) == b"\x8a\x86" + divisor.to_bytes(2, "little")
    assert 30e6 / (divisor + 1) <= hz


async def test_a_pulse_is_one_hop() -> None:
    with replayed("ftdi_mpsse/drives_a_pulse") as port:
        lines = made(port)
        await lines.connect()
        await lines.pulse("D0", high=True, width_s=0.02)
    assert (port.hops, port.paused_s) == (2, 0.02)


async def test_an_answer_out_of_step_is_asked_for_again() -> None:
    with replayed("ftdi_mpsse/out_of_step") as port:
        lines = made(port)
        await lines.connect()
    assert lines.resynchronised == 1


async def test_a_chip_that_stays_out_of_step_is_given_up() -> None:
    with (
        replayed("ftdi_mpsse/never_in_step") as port,
        pytest.raises(ProtocolError, match="two answers out of step"),
    ):
        await made(port).connect()


async def test_a_bridge_without_the_engine_is_refused() -> None:
    with (
        replayed("ftdi_mpsse/engine_does_not_start") as port,
        pytest.raises(ProtocolError, match="answered  to a command that it cannot know"),
    ):
        await made(port).connect()


async def test_a_line_that_is_stuck_is_found() -> None:
    with (
        replayed("ftdi_mpsse/line_stuck") as port,
        pytest.raises(EquipmentError, match="lines: D0 does not follow"),
    ):
        await made(port).connect()


async def test_only_outputs_are_driven() -> None:
    with replayed("ftdi_mpsse/connects") as port:
        lines = made(port)
        await lines.connect()
        with pytest.raises(EquipmentError, match="no output D2; there are: D0, D1: nothing was driven"):
            await lines.write({"D2": True})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"outputs": ["D8"]}, "D0 to D7 and C0 to C7"),
        ({"resting_high": ["D1"]}, "only lines of outputs"),
        ({"channel": 3}, "channel 3: 1 or 2"),
        ({"packet": 8}, "packet 8: 64 or 512"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    sets: dict[str, Any] = {key: frozenset(v) if isinstance(v, list) else v for key, v in options.items()}
    with pytest.raises(ValueError, match=says):
        FtdiMpsseOptions(**sets)


# -- codec
def test_commands_are_found_however_they_are_cut() -> None:
    data = bytes((0x85, 0x80, 1, 2, 0xAB, 0x81))
    whole = Commands.of(data)
    assert whole == [
        Command(Code.LOOP_OFF),
        Command(Code.SET_LOW, b"\1\2"),
        Unknown(0xAB),
        Command(Code.READ_LOW),
    ]
    cut = Commands()
    assert [one for byte in data for one in cut.feed(bytes((byte,)))] == whole


def test_each_packet_has_its_status() -> None:
    transfer = b"\x32\x60" + bytes(62) + b"\x32\x60ab"
    assert payload_of(transfer, 64) == bytes(62) + b"ab"
    assert payload_of(b"\x32\x60", 64) == b""


# -- with the simulated chip
def virtually(life: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(life)


@asynccontextmanager
async def wired(
    *faults: str, options: FtdiMpsseOptions = TWO, mode: int = 0
) -> AsyncGenerator[tuple[FtdiMpsse, ftdi_mpsse.FtdiMpsse], None]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    bus = UsbBus(loop.clock)
    wanted = tuple(parse(f"it.{text}") for text in faults)
    chip = ftdi_mpsse.FtdiMpsse(bus, faults=Faults("it", ftdi_mpsse.FtdiMpsse.knobs, wanted, "mpsse"))
    chip.register, chip.i2c = Register(mode), Bus(options.i2c.values())
    bus.attach(chip)
    lines = made(UsbPort("usb:lines", 0x0403, 0x6014, "FT0001", backend=SimUsbBackend(bus)), options)
    await lines.connect()
    try:
        yield lines, chip
    finally:
        await lines.aclose()


def test_levels_reach_the_pins_and_come_back() -> None:
    async def life() -> None:
        async with wired() as (lines, chip):
            assert not chip.lines.high("D0")
            await lines.write({"D0": True})
            assert chip.lines.high("D0")
            chip.lines.drive("C7", high=False)
            found = await lines.read()
            assert (found["D0"], found["C7"], found["C6"]) == (True, False, True)
            await lines.make_safe()
            assert not chip.lines.high("D0")

    virtually(life())


def test_an_edge_is_waited_for() -> None:
    async def life() -> None:
        async with wired() as (lines, chip):
            loop = asyncio.get_running_loop()
            began = loop.time()
            loop.call_later(0.5, lambda: chip.lines.drive("C0", high=False))
            at = await lines.wait_edge("C0", high=False, timeout_s=1.0)
            assert 0.5 <= at - began <= 0.51
            with pytest.raises(Silent, match="C0 did not go high within 0.1 s"):
                await lines.wait_edge("C0", high=True, timeout_s=0.1)

    virtually(life())


def test_unplugged_and_back_it_must_be_connected_anew() -> None:
    async def life() -> None:
        async with wired("usb_detach=200@every=8") as (lines, _):
            with pytest.raises(DeviceLost):
                for _ in range(8):
                    await lines.read()
            await lines.aclose()
            await asyncio.sleep(0.3)
            await lines.connect()
            assert (await lines.read())["D1"]

    virtually(life())


@pytest.mark.parametrize("fault", ["desync@every=3", "empty_packet@every=2"])
def test_what_the_driver_makes_good_by_itself(fault: str) -> None:
    async def life() -> None:
        async with wired(fault) as (lines, chip):
            for high in (True, False) * 4:
                await lines.write({"D0": high})
                assert chip.lines.high("D0") is high
                assert (await lines.read())["D0"] is high

    virtually(life())


def test_a_stuck_line_of_the_simulated_chip_is_found() -> None:
    async def life() -> None:
        async with wired("stuck=D0@after=4") as (lines, _):
            with pytest.raises(EquipmentError, match="D0"):
                for high in (True, False) * 4:
                    await lines.write({"D0": high})

    virtually(life())


@pytest.mark.parametrize("mode", range(4))
@pytest.mark.parametrize("of_device", range(4))
def test_a_register_is_understood_in_its_own_mode_only(mode: int, of_device: int) -> None:
    async def life() -> None:
        async with wired(options=in_mode(mode), mode=of_device) as (lines, _):
            said = b"\xa5\x3c\x00\x00"
            heard = await device(lines).exchange(said)
            assert (heard[2:] == said[:2]) is (mode == of_device)

    virtually(life())


@pytest.mark.parametrize("size", [1, 2, 16])
def test_memories_on_i2c_keep_what_they_are_told_each_for_itself(size: int) -> None:
    async def life() -> None:
        async with wired(options=BUS) as (lines, chip):
            data = bytes(range(7, 7 + size))
            await at(lines, "memory").exchange(b"\x20" + data)
            await at(lines, "ghost").exchange(b"\x20" + data[::-1])
            assert await at(lines, "memory").exchange(b"\x20", size) == data
            assert await at(lines, "memory").exchange(b"", 2) == b"\xff\xff", "from where it stands"
            assert await at(lines, "ghost").exchange(b"\x20", size) == data[::-1]
            assert bytes(chip.i2c.memories[0x50].cells[0x20 : 0x20 + size]) == data
            assert (await lines.read())["D1"], "the bus is idle"

    virtually(life())


def test_a_memory_that_refuses_is_told_and_the_bus_goes_on() -> None:
    async def life() -> None:
        async with wired("nack@after=3@once", options=BUS) as (lines, _):
            await at(lines, "memory").exchange(b"\x00\x01")
            with pytest.raises(InstrumentError, match="its address"):
                await at(lines, "memory").exchange(b"\x00\x02")
            assert await at(lines, "memory").exchange(b"\x00", 1) == b"\x01"

    virtually(life())


async def test_lines_are_read() -> None:
    with replayed("ftdi_mpsse/reads") as port:
        lines = made(port)
        await lines.connect()
        high = await lines.read()
    assert [line for line in high if not high[line]] == ["D0", "D4", "C7"]
