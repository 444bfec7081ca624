"""Driver, VISA port, PyVISA, its simulated library and models that measure or switch, in virtual time."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from drivers.counter.keysight_53230a import Keysight53230A, Keysight53230AOptions
from drivers.dmm.keysight_34465a import Keysight34465A, Keysight34465AOptions
from drivers.dmm.keysight_34970a import Keysight34970A, Keysight34970AOptions
from drivers.errors import EquipmentError, Silent
from drivers.generator.keysight_33500b import Keysight33500B, Keysight33500BOptions
from drivers.relays.keithley_707b import Keithley707B, Keithley707BOptions
from drivers.roles import Counter, Dmm, Generator, Machine, Relays, Scanner, Scope, Thermal
from drivers.scope.keysight_infiniivision import KeysightInfiniiVision, KeysightInfiniiVisionOptions
from drivers.thermal.ers_ac3 import ErsAc3, ErsAc3Options
from drivers.thermal.intest_thermostream import InTestThermoStream, InTestThermoStreamOptions
from drivers.transports import Port
from drivers.uninterrupted import NotUndoneError
from sim.counter import keysight_53230a
from sim.dmm import keysight_34465a, keysight_34970a
from sim.faults import parse
from sim.generator import keysight_33500b
from sim.instrument import Instrument
from sim.relays import keithley_707b
from sim.scope import keysight_infiniivision
from sim.thermal import ers_ac3, intest_thermostream
from sim.time import VirtualLoop
from tests.drivers.test_instruments_on_a_bus import bus, connected, faults, in_virtual_time
from tests.simulated.instruments import Resistor


@dataclass(frozen=True)
class Kind:
    """A driver and the machine that it talks to."""

    make: Callable[[Port], Machine]
    model: Callable[..., Instrument]
    knobs: frozenset[str]

    @asynccontextmanager
    async def connected(self, loop: VirtualLoop, fault: str = "") -> AsyncGenerator[Machine, None]:
        """The driver, connected to its machine over a simulated bus."""
        model = self.model(loop.clock, faults(fault, self.knobs))
        async with bus(model) as port, connected(self.make(port)) as machine:
            yield machine


KINDS = {
    "keysight_34465a": Kind(
        lambda port: Keysight34465A("dmm", port, Keysight34465AOptions()),
        lambda clock, faults: keysight_34465a.Keysight34465A(clock, {"": Resistor(1e-3, 1.8)}, faults),
        keysight_34465a.Keysight34465A.knobs,
    ),
    "keysight_34970a": Kind(
        lambda port: Keysight34970A("daq", port, Keysight34970AOptions(switches=frozenset({"201"}))),
        keysight_34970a.Keysight34970A,
        keysight_34970a.Keysight34970A.knobs,
    ),
    "keysight_infiniivision": Kind(
        lambda port: KeysightInfiniiVision("scope", port, KeysightInfiniiVisionOptions()),
        keysight_infiniivision.KeysightInfiniiVision,
        keysight_infiniivision.KeysightInfiniiVision.knobs,
    ),
    "keysight_33500b": Kind(
        lambda port: Keysight33500B("clock", port, Keysight33500BOptions()),
        keysight_33500b.Keysight33500B,
        keysight_33500b.Keysight33500B.knobs,
    ),
    "keysight_53230a": Kind(
        lambda port: Keysight53230A("counter", port, Keysight53230AOptions()),
        lambda clock, faults: keysight_53230a.Keysight53230A(clock, faults, interval_s=1e-6),
        keysight_53230a.Keysight53230A.knobs,
    ),
    "intest_thermostream": Kind(
        lambda port: InTestThermoStream("air", port, InTestThermoStreamOptions()),
        intest_thermostream.InTestThermoStream,
        intest_thermostream.InTestThermoStream.knobs,
    ),
    "ers_ac3": Kind(
        lambda port: ErsAc3("chuck", port, ErsAc3Options()),
        ers_ac3.ErsAc3,
        ers_ac3.ErsAc3.knobs,
    ),
    "keithley_707b": Kind(
        lambda port: Keithley707B("matrix", port, Keithley707BOptions()),
        keithley_707b.Keithley707B,
        keithley_707b.Keithley707B.knobs,
    ),
}
ALL = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@ALL
def test_mute_machine_is_given_up_in_time(kind: Kind) -> None:
    async def body(loop: VirtualLoop) -> None:
        with pytest.raises(Silent):
            async with kind.connected(loop, "mute"):
                pytest.fail("a mute machine connected")

    assert in_virtual_time(body) < 6.0


@ALL
def test_made_safe_within_its_bound(kind: Kind) -> None:
    async def body(loop: VirtualLoop) -> None:
        async with kind.connected(loop) as machine:
            for resource in machine.channels.values():
                began = loop.time()
                await resource.make_safe()
                assert loop.time() - began < 0.3

    in_virtual_time(body)


@ALL
@pytest.mark.parametrize("fault", ["drop_reply@every=9", "scpi_error=-221@every=9"])
def test_safe_state_is_reached_past_one_fault(kind: Kind, fault: str) -> None:
    if fault.partition("=")[0] not in kind.knobs:
        return  # a machine without an error queue

    async def body(loop: VirtualLoop) -> None:
        async with kind.connected(loop, fault) as machine:
            resource = next(iter(machine.channels.values()))
            for _ in range(12):
                await resource.make_safe()

    in_virtual_time(body)


def test_generator_that_cannot_be_switched_off_is_told_in_time() -> None:
    async def body(loop: VirtualLoop) -> None:
        async with KINDS["keysight_33500b"].connected(loop, "stuck_on") as machine:
            source = machine.channels["1"]
            assert isinstance(source, Generator)
            began = loop.time()
            with pytest.raises(NotUndoneError, match="still on"):
                async with source.driving():
                    pass
            assert loop.time() - began < 2.0

    in_virtual_time(body)


def test_relays_that_stick_are_told_and_never_taken_for_closed() -> None:
    async def body(loop: VirtualLoop) -> None:
        async with KINDS["keithley_707b"].connected(loop, "stuck=1A01") as machine:
            matrix = machine.channels[""]
            assert isinstance(matrix, Relays)
            with pytest.raises(EquipmentError, match="1A01 was closed and is open"):
                async with matrix.closed({"1A01", "1A02"}):
                    pytest.fail("a path was used that is not there")
            assert await matrix.state() == frozenset()

    in_virtual_time(body)


def thermal(machine: Machine) -> Thermal:
    found = machine.channels[""]
    assert isinstance(found, Thermal)
    return found


@pytest.mark.parametrize(("name", "within_s"), [("intest_thermostream", 200.0), ("ers_ac3", 3000.0)])
def test_thermal_controllers_reach_their_temperature(name: str, within_s: float) -> None:
    async def body(loop: VirtualLoop) -> None:
        async with KINDS[name].connected(loop) as machine:
            air = thermal(machine)
            await air.set(85.0, window_k=1.0, soak_s=30.0)
            async with air.flowing():
                assert await air.reach(within_s) == pytest.approx(85.0, abs=1.0)
            assert not (await air.status()).active

    in_virtual_time(body)


@pytest.mark.parametrize("name", ["intest_thermostream", "ers_ac3"])
def test_temperature_that_does_not_come_is_told_and_no_device_is_judged(name: str) -> None:
    async def body(loop: VirtualLoop) -> None:
        async with KINDS[name].connected(loop, "slow_soak=1000") as machine:
            air = thermal(machine)
            await air.set(85.0)
            with pytest.raises(EquipmentError, match="not at temperature after 600 s"):
                async with air.flowing():
                    await air.reach(600.0)
            assert not (await air.status()).active

    in_virtual_time(body)


@pytest.mark.parametrize("name", ["intest_thermostream", "ers_ac3"])
def test_power_that_goes_while_it_heats_is_told(name: str) -> None:
    async def body(loop: VirtualLoop) -> None:
        async with KINDS[name].connected(loop, "power_cycle@every=60") as machine:
            air = thermal(machine)
            await air.set(85.0)
            with pytest.raises(EquipmentError, match="no longer works|Timeout"):
                async with air.flowing():
                    await air.reach(600.0)

    in_virtual_time(body)


async def dmm_reads(loop: VirtualLoop, fault: str = "") -> tuple[float, ...]:
    async with KINDS["keysight_34465a"].connected(loop, fault) as machine:
        dmm = machine.channels[""]
        assert isinstance(dmm, Dmm)
        await dmm.configure("dc_voltage", full_scale=10.0)
        return await dmm.read(5)


@pytest.mark.parametrize(
    "fault", ["", "drop_srq", "dup_srq=2", "late_srq=300", "spurious_stb=4", "drop_srq late_srq=300"]
)
def test_service_requests_may_go_wrong_in_any_way(fault: str) -> None:
    async def body(loop: VirtualLoop) -> None:
        assert await dmm_reads(loop, fault) == pytest.approx([1.8] * 5)

    assert in_virtual_time(body) < 4.0


def test_trigger_that_never_comes_is_given_up_and_the_meter_goes_on() -> None:
    async def body(loop: VirtualLoop) -> None:
        async with KINDS["keysight_34465a"].connected(loop, "no_trigger@once") as machine:
            dmm = machine.channels[""]
            assert isinstance(dmm, Dmm)
            await dmm.configure("dc_voltage", full_scale=10.0)
            await dmm.trigger("external")
            with pytest.raises(Silent):
                await dmm.read(timeout_s=2.0)
            assert await dmm.read() == pytest.approx([1.8])

    in_virtual_time(body)


def test_one_port_serves_others_while_the_meter_waits() -> None:
    """The port is free between the start of a measurement and its end."""

    async def body(loop: VirtualLoop) -> None:
        async with KINDS["keysight_34465a"].connected(loop) as machine:
            dmm = machine.channels[""]
            assert isinstance(dmm, Dmm)
            await dmm.configure("dc_voltage", full_scale=10.0, nplc=100.0)
            reading = loop.create_task(dmm.read(2))
            await asyncio.sleep(0.5)
            began = loop.time()
            await machine.identify()
            assert loop.time() - began < 0.01
            assert await reading == pytest.approx([1.8, 1.8])

    in_virtual_time(body)


@pytest.mark.parametrize(("seconds", "comes"), [(3, True), (9.5, True), (12, False)])
def test_the_head_of_a_thermostream_has_its_time_and_no_more(seconds: float, comes: bool) -> None:
    async def life(loop: VirtualLoop) -> None:
        async with KINDS["intest_thermostream"].connected(loop, f"slow_head={seconds}") as machine:
            air = machine.channels[""]
            assert isinstance(air, Thermal)
            await air.set(85.0)
            if comes:
                async with air.flowing():
                    assert await air.reach(120.0) == pytest.approx(85.0, abs=1.0)
                return
            with pytest.raises(EquipmentError, match="the head is up"):
                async with air.flowing():
                    pytest.fail("air flows past the device")

    in_virtual_time(life)


@pytest.mark.parametrize(
    "name", ["keysight_34465a", "keysight_34970a", "keysight_53230a", "keysight_infiniivision"]
)
def test_a_meter_that_lost_its_power_measures_nothing(name: str) -> None:
    """What was set before is gone: whatever it reads then is no reading."""
    kind = KINDS[name]

    async def life(loop: VirtualLoop) -> None:
        model = kind.model(loop.clock, faults("", kind.knobs))
        async with bus(model) as port, connected(kind.make(port)) as machine:
            assert await _measured(machine) is not None
            model.faults.turn(parse("it.power_cycle@once"))
            with pytest.raises(EquipmentError, match="lost its power meanwhile"):
                await _measured(machine)

    in_virtual_time(life)


async def _measured(machine: Machine) -> object:
    (role, *_) = machine.channels.values()
    match role:
        case Dmm():
            return await role.measure()
        case Scanner():
            return await role.scan("dc_voltage", {"101"})
        case Counter():
            return await role.interval(timeout_s=3.0)
        case Scope():
            await role.set_channel(1, full_scale_v=4.0)
            await role.arm_single()
            await role.wait_trigger(1.0)
            return await role.waveform(1)
    raise AssertionError(role)
