"""The assembled cell: every machine answers through the real libraries, and what cannot be is refused."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
import pyvisa
import serial
import usb.core

import sim
from drivers.card.ccid import CcidReader
from drivers.errors import DutError
from drivers.handler.binon import BinonHandler
from drivers.handler.exatron import ExatronHandler
from drivers.protocols import se1
from drivers.protocols.se1_table import ATR
from drivers.roles import Card, CardReply, Handler, Machine, Smu, Supply
from drivers.smu.keithley_2450 import Keithley2450
from drivers.smu.keithley_2600b import Keithley2600B
from drivers.supply.keysight_e36300 import KeysightE36300
from drivers.transports.serial import SerialStream
from drivers.transports.usb import UsbPort
from drivers.transports.visa import VisaLibrary, VisaPort
from sim.dut.wishes import KNOBS
from sim.faults import FaultError
from sim.machines import MODELS
from sim.world import Placed, World, WorldError
from station import config

T = TypeVar("T")

STATION = Path(sim.__path__[0]) / "station.toml"
EXATRON = Path(sim.__path__[0]) / "exatron.toml"
EPOCH = 1_800_000_000.0

SMU = Placed("smu-1", "keithley_2600b", "visa:GPIB0::1::INSTR")
READER = Placed("reader-1", "ccid", "usb:1209:0001:R1")
HANDLER = Placed("handler", "binon", "visa:GPIB1::1::INSTR")


def world(
    file: Path = STATION,
    *,
    sites: int | None = 2,
    devices: int = 8,
    faults: tuple[str, ...] = ("dut.population=ideal",),
    seed: int = 1,
) -> tuple[World, config.StationConfig]:
    cell = config.load(file, sites=sites)
    made = World(
        cell.equipment, cell.sites, lot="L1017", devices=devices, seed=seed, faults=faults, epoch=EPOCH
    )
    return made, cell


def lived(made: World, life: Callable[[], Awaitable[T]]) -> T:
    """Run something on the world's loop, with its machines on their buses."""

    async def main() -> T:
        made.start()
        try:
            return await life()
        finally:
            made.close()

    with asyncio.Runner(loop_factory=made.loop_factory) as runner:
        return runner.run(main())


def driver(made: World, library: VisaLibrary, placed: config.Placed) -> Machine:
    """Make the driver that the station would make."""
    kind, _, rest = made.port(placed.port).partition(":")
    if kind == "serial":
        options = msgspec.convert(dict(placed.options), ExatronHandler.Options)
        return ExatronHandler(placed.name, SerialStream(placed.name, rest, ExatronHandler.line), options)
    if kind == "usb":
        vendor, product, number = rest.split(":")
        port = UsbPort(placed.name, int(vendor, 16), int(product, 16), number, backend=made.usb_backend)
        return CcidReader(placed.name, port, CcidReader.Options())
    session = VisaPort(placed.name, rest, library)
    match placed.driver:
        case "binon":
            table = {"sites": [1, 2], **placed.options}
            return BinonHandler(placed.name, session, msgspec.convert(table, BinonHandler.Options))
        case "keithley_2450":
            return Keithley2450(placed.name, session, Keithley2450.Options())
        case "keithley_2600b":
            return Keithley2600B(placed.name, session, Keithley2600B.Options())
        case _:
            return KeysightE36300(placed.name, session, KeysightE36300.Options())


@asynccontextmanager
async def connected(made: World, cell: config.StationConfig) -> AsyncGenerator[dict[str, Machine], None]:
    library = VisaLibrary(made.visa_library)
    machines = {placed.name: driver(made, library, placed) for placed in cell.equipment}
    try:
        for machine in machines.values():
            await machine.connect()
        yield machines
    finally:
        for machine in machines.values():
            await machine.aclose()
        library.close()


async def off_loop(function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, function)


def test_pyvisa_finds_every_instrument() -> None:
    made, _ = world()

    def ask() -> dict[str, str]:
        manager = pyvisa.ResourceManager(made.visa_library)
        answers = dict[str, str]()
        for name in manager.list_resources():
            with manager.open_resource(name) as resource:
                assert isinstance(resource, pyvisa.resources.MessageBasedResource)
                if "GPIB1" not in name:
                    answers[name] = resource.query("*IDN?").strip()
        manager.close()
        return answers

    answers = lived(made, lambda: off_loop(ask))
    assert len(answers) == 6
    assert "Model 2636B" in answers["TCPIP0::smu-2::inst0::INSTR"]
    assert "MODEL 2450" in answers["USB0::0x05E6::0x2450::SIM1::0::INSTR"]
    assert "E36312A" in answers["TCPIP0::supply-2::inst0::INSTR"]


def test_pyusb_finds_the_readers() -> None:
    made, _ = world()

    def look() -> list[str]:
        found = usb.core.find(find_all=True, idVendor=0x1209, backend=made.usb_backend)
        return sorted(device.serial_number for device in found)

    assert lived(made, lambda: off_loop(look)) == ["R1", "R2"]


def test_pyserial_reaches_the_handler() -> None:
    made, cell = world(EXATRON, sites=None)
    port = next(placed.port for placed in cell.equipment if placed.name == "handler")

    def listen() -> bytes:
        with serial.serial_for_url(made.port(port).partition(":")[2], baudrate=9600, timeout=30) as line:
            return bytes(line.read_until(b"\r"))

    assert lived(made, lambda: off_loop(listen))


@pytest.mark.parametrize(("file", "sites"), [(STATION, 16), (EXATRON, 1)])
def test_drivers_connect_to_every_machine(file: Path, sites: int) -> None:
    made, cell = world(file, sites=None)

    async def identities() -> list[str]:
        async with connected(made, cell) as machines:
            return [(await machine.identify()).maker for machine in machines.values()]

    makers = lived(made, identities)
    assert len(makers) == 4 * sites + 1 and all(makers[1:])


def test_a_device_can_be_measured_through_drivers() -> None:
    made, cell = world()

    async def measure() -> tuple[float, float, float]:
        async with connected(made, cell) as machines:
            handler, smu, supply = (
                machines["handler"].channels[""],
                machines["smu-1"].channels["a"],
                machines["supply-1"].channels["1"],
            )
            assert isinstance(handler, Handler) and isinstance(smu, Smu) and isinstance(supply, Supply)
            await handler.start_lot("L1017")
            touchdowns = handler.touchdowns()
            assert (await anext(touchdowns)).sites == {1, 2}
            async with smu.forcing_current(-100e-6, limit_v=2.0):
                drop_v = await smu.measure()
            async with smu.forcing_voltage(3.6, limit_a=10e-6):
                leakage_a = await smu.measure()
            async with supply.powering(3.3, limit_a=0.08, ovp_v=3.8):
                idle_a = await supply.measure_current()
            await handler.sort({1: 1, 2: 5})
            assert (await anext(touchdowns)).sites == {1, 2}
            await touchdowns.aclose()
            return drop_v, leakage_a, idle_a

    drop_v, leakage_a, idle_a = lived(made, measure)
    die = made.lot.die(1)
    assert drop_v == pytest.approx(-die.drop_v[0], abs=1e-3)
    assert leakage_a == pytest.approx(die.leakage_a[0], abs=1e-10)
    assert idle_a == pytest.approx(die.idle_a, abs=2e-5)
    assert made.simulated_s > 3.0
    assert [(t.contacts, t.hard_bin) for t in made.truth()[:2]] == [(1, 1), (1, 5)]


async def met(made: World, cell: config.StationConfig) -> list[CardReply | str]:
    """Power the devices of both sites and ask each who it is."""
    async with connected(made, cell) as machines:
        handler = machines["handler"].channels[""]
        assert isinstance(handler, Handler)
        await handler.start_lot("L1017")
        touchdowns = handler.touchdowns()
        await anext(touchdowns)
        answers = [await introduced(machines, site) for site in (1, 2)]
        await handler.sort({1: 1, 2: 5})
        await anext(touchdowns)
        await touchdowns.aclose()
        return answers


async def introduced(machines: dict[str, Machine], site: int) -> CardReply | str:
    supply = machines[f"supply-{site}"].channels["1"]
    (card,) = machines[f"reader-{site}"].channels.values()
    assert isinstance(supply, Supply) and isinstance(card, Card)
    async with supply.powering(3.3, limit_a=0.08, ovp_v=3.8):
        try:
            assert await card.power_on() == ATR
            await card.transmit(se1.select())
            return await card.transmit(se1.command("GET UID"))
        except DutError as error:
            return str(error)


def test_chips_tell_the_uid_that_the_truth_has() -> None:
    made, cell = world(devices=4)
    answers = lived(made, lambda: met(made, cell))
    truth = made.truth()
    assert [a.data[2:] for a in answers if isinstance(a, CardReply)] == [truth[0].uid, truth[1].uid]
    assert not truth[0].sealed and not truth[0].personalised


@pytest.mark.parametrize(
    "fault", ["dut.dead=1", "dut.mute=1", "chip.mute_after=1@once", "dut.dead_regulator=1"]
)
def test_a_device_that_does_not_speak_is_a_device_error(fault: str) -> None:
    made, cell = world(faults=("dut.population=ideal", fault))
    silent, speaks = lived(made, lambda: met(made, cell))
    assert isinstance(silent, str) and isinstance(speaks, CardReply)
    assert [bool(t.reasons) for t in made.truth()[:2]] == [True, False]
    assert made.truth()[0].reasons == (fault.partition(".")[2].partition("=")[0],)


@pytest.mark.parametrize(
    ("fault", "reasons"), [("reader-1.mute@once", [True, False]), ("handler.dup_srq", [True] * 2)]
)
def test_a_fault_that_struck_is_a_reason_for_the_devices_there(fault: str, reasons: list[bool]) -> None:
    made, cell = world(faults=("dut.population=ideal", fault))
    lived(made, lambda: met(made, cell))
    name = fault.partition("@")[0]
    truth = made.truth()[:2]
    assert [t.reasons == (name,) for t in truth] == reasons
    assert all(t.good for t in truth)


def test_the_same_arguments_give_the_same_run() -> None:
    def once() -> tuple[list[CardReply | str], float]:
        made, cell = world(faults=("socket.dirt@p=0.3",))
        return lived(made, lambda: met(made, cell)), made.simulated_s

    assert once() == once()


def test_two_worlds_do_not_meet() -> None:
    first, _ = world()
    second, _ = world()
    assert first.visa_library != second.visa_library
    assert first.port("serial:hardbin://handler") != second.port("serial:hardbin://handler")
    assert first.port("visa:GPIB0::1::INSTR") == "visa:GPIB0::1::INSTR"


def test_a_world_lives_once_and_in_order() -> None:
    made, _ = world()
    with pytest.raises(RuntimeError, match="loop_factory"):
        made.start()
    with pytest.raises(RuntimeError, match="loop_factory"):
        _ = made.clock

    async def twice() -> None:
        with pytest.raises(RuntimeError, match="once"):
            made.start()

    lived(made, twice)
    made.close()


def test_the_clock_begins_at_the_epoch() -> None:
    made, _ = world()

    async def later() -> float:
        await asyncio.sleep(3600)
        return made.clock.unix()

    assert lived(made, later) == pytest.approx(EPOCH + 3600)
    assert made.simulated_s == pytest.approx(3600)


def test_nothing_was_tested_yet() -> None:
    truth = world(devices=3)[0].truth()
    assert [(t.index, t.good, t.contacts, t.hard_bin) for t in truth] == [
        (n, True, 0, None) for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("equipment", "sites", "message"),
    [
        (
            [Placed("dmm", "hp_34401a", "visa:GPIB0::9::INSTR")],
            {},
            "'hp_34401a' has no simulator; .*keithley_2450",
        ),
        (
            [Placed("smu-1", "keithley_2450", "usb:05e6:2450:1")],
            {},
            "keithley_2450 is at visa:..., not at 'usb:",
        ),
        ([Placed("smu-1", "keithley_2450", "visa:GPIB")], {}, "'GPIB' is no VISA resource name"),
        ([Placed("reader", "ccid", "usb:1209")], {}, "a USB port is usb:<vendor>:<product>:<serial>"),
        ([Placed("handler", "exatron", "serial:/dev/ttyUSB0")], {}, "is serial:hardbin://<end>, not"),
        ([Placed("handler", "binon", HANDLER.port, {"profile": "nope"})], {}, "'handler': profile 'nope'"),
        ([Placed("handler", "binon", HANDLER.port, {"fields": {"bin_width": 9}})], {}, "bin_width 9"),
        ([HANDLER, Placed("other", "exatron", "serial:hardbin://x")], {}, "one handler is allowed"),
        ([SMU], {1: {"io.IO": "smu-1.c"}}, "channel 'c' is not one of its channels; they are: 'a', 'b'"),
        ([HANDLER], {1: {"io.IO": "handler"}}, "they are: none"),
        ([SMU], {1: {"chip": "smu-1.a"}}, "forces voltages, it cannot serve"),
        ([READER], {1: {"vdd": "reader-1.0"}}, "reads chips, it cannot serve"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(
    equipment: list[Placed], sites: dict[int, dict[str, str]], message: str
) -> None:
    with pytest.raises(WorldError, match=message):
        World(equipment, sites, lot="L1", devices=1, seed=1, epoch=EPOCH)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("smu-9.trip", "no such machine; there are: chip, dut, fine-1, .*smu-2, socket"),
        ("smu-1.melt", "smu-1 has no fault 'melt'; it has: "),
        ("smu-1.min_gap=long", "min_gap=long: a number is needed"),
        ("handler.late_srq=inf", "a number is needed"),
        ("handler.jam=x48", "a number is needed"),
        ("reader-1.truncate=-1", "a number is needed"),
        ("dut.melt", "dut has no fault 'melt'"),
        ("handler", "write machine.knob"),
        ("smu-1.trip@p=2", "after @ write"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(fault: str, message: str) -> None:
    with pytest.raises(FaultError, match=message):
        world(faults=(fault,))


@pytest.mark.parametrize("devices", [-1, 10**7])
def test_a_lot_that_cannot_be_is_refused(devices: int) -> None:
    with pytest.raises(ValueError, match="a simulated lot has 0 to"):
        world(devices=devices)


def test_every_knob_is_in_the_reference() -> None:
    reference = Path(__file__).parents[2] / "docs" / "reference"
    page = (reference / "simulator.md").read_text()
    for driver, model in MODELS.items():
        own = (reference / "equipment" / f"{driver}.md").read_text()
        missing = {knob for knob in model.knobs if f".{knob}`" not in page and f"`{knob}" not in own}
        assert not missing, driver
    for machine, knobs in KNOBS.items():
        missing = {knob for knob in knobs if f"`{knob}`" not in page and f"`{machine}.{knob}" not in page}
        assert not missing, machine
