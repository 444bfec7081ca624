"""Driver, VISA port, PyVISA, its simulated library and the machine models, end to end in virtual time."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import TypeAlias, TypeVar

import pytest

from drivers.errors import EquipmentError, Silent
from drivers.roles import Machine, Resource, Smu, Supply
from drivers.smu.keithley_2450 import Keithley2450, Keithley2450Options
from drivers.smu.keithley_2600b import Keithley2600B, Keithley2600BOptions
from drivers.smu.keysight_b2900 import KeysightB2900, KeysightB2900Options
from drivers.supply.keysight_e36300 import KeysightE36300, KeysightE36300Options
from drivers.supply.keysight_n6700 import KeysightN6700, KeysightN6700Options
from drivers.supply.rohde_schwarz_hmp import RohdeSchwarzHmp, RohdeSchwarzHmpOptions
from drivers.supply.rohde_schwarz_ngx import RohdeSchwarzNgx, RohdeSchwarzNgxOptions
from drivers.transports.visa import VisaLibrary, VisaPort
from sim.faults import Faults, parse
from sim.instrument import Instrument
from sim.smu import keithley_2450, keithley_2600b, keysight_b2900
from sim.supply import keysight_e36300, keysight_n6700
from sim.supply.instrument import SupplyInstrument
from sim.supply.rohde_schwarz import HmpSupply, NgxSupply
from sim.time import VirtualLoop, new_loop
from sim.visa.worlds import register, unregister
from station.engine.safe_state import BOUNDS_S
from tests.simulated.instruments import Resistor

M = TypeVar("M", bound=Machine)
Make: TypeAlias = Callable[[VirtualLoop, Resistor, str], AbstractAsyncContextManager[Machine]]

ADDRESS = "GPIB0::26::INSTR"
_worlds = count(1)


@asynccontextmanager
async def bus(instrument: Instrument) -> AsyncGenerator[VisaPort, None]:
    """A port to one machine in a world of its own."""
    world = f"instruments-{next(_worlds)}"
    register(world)[ADDRESS] = instrument
    library = VisaLibrary(f"{world}@hardbin")
    try:
        yield VisaPort("visa:bus", ADDRESS, library)
    finally:
        library.close()
        unregister(world)


def faults(text: str, knobs: frozenset[str]) -> Faults:
    return Faults("it", knobs, tuple(parse(f"it.{word}") for word in text.split()), "bus")


@asynccontextmanager
async def connected(machine: M) -> AsyncGenerator[M, None]:
    try:
        await machine.connect()
        yield machine
    finally:
        await machine.aclose()


def in_virtual_time(body: Callable[[VirtualLoop], Awaitable[None]]) -> float:
    """Run `body` on a virtual loop and return how long it took there."""
    loop = new_loop(None)
    try:

        async def run() -> float:
            await body(loop)
            return loop.time()

        return loop.run_until_complete(run())
    finally:
        loop.close()


@asynccontextmanager
async def smu_2600b(
    loop: VirtualLoop, load: Resistor, fault: str = ""
) -> AsyncGenerator[Keithley2600B, None]:
    model = keithley_2600b.Keithley2600B(
        loop.clock, {"a": load}, faults(fault, keithley_2600b.Keithley2600B.knobs)
    )
    async with bus(model) as port, connected(Keithley2600B("smu", port, Keithley2600BOptions())) as machine:
        yield machine


@asynccontextmanager
async def smu_2450(loop: VirtualLoop, load: Resistor, fault: str = "") -> AsyncGenerator[Keithley2450, None]:
    model = keithley_2450.Keithley2450(
        loop.clock, {"": load}, faults(fault, keithley_2450.Keithley2450.knobs)
    )
    async with bus(model) as port, connected(Keithley2450("smu", port, Keithley2450Options())) as machine:
        yield machine


@asynccontextmanager
async def smu_b2900(
    loop: VirtualLoop, load: Resistor, fault: str = ""
) -> AsyncGenerator[KeysightB2900, None]:
    model = keysight_b2900.KeysightB2900(
        loop.clock, {"1": load}, faults(fault, keysight_b2900.KeysightB2900.knobs)
    )
    async with bus(model) as port, connected(KeysightB2900("smu", port, KeysightB2900Options())) as machine:
        yield machine


@asynccontextmanager
async def supply(loop: VirtualLoop, load: Resistor, fault: str = "") -> AsyncGenerator[KeysightE36300, None]:
    model = keysight_e36300.KeysightE36300(
        loop.clock, {"1": load}, faults(fault, keysight_e36300.KeysightE36300.knobs)
    )
    async with bus(model) as port, connected(KeysightE36300("vdd", port, KeysightE36300Options())) as machine:
        yield machine


def test_2600b_reads_a_leakage_in_the_time_of_a_reading() -> None:
    load = Resistor(36e6)

    async def body(loop: VirtualLoop) -> None:
        async with smu_2600b(loop, load) as machine, machine.channels["a"].forcing_voltage(3.6, limit_a=1e-5):
            began = loop.time()
            assert await machine.channels["a"].measure() == pytest.approx(100e-9)
            assert loop.time() - began == pytest.approx(0.021)

    in_virtual_time(body)
    assert load.history == [3.6, None]


def test_2450_forces_current_into_a_diode_s_place() -> None:
    load = Resistor(6000.0)

    async def body(loop: VirtualLoop) -> None:
        async with smu_2450(loop, load) as machine, machine.channels[""].forcing_current(-1e-4, limit_v=1.0):
            assert await machine.channels[""].measure() == pytest.approx(-0.6)
            assert not machine.channels[""].in_compliance()

    in_virtual_time(body)
    assert load.history[-1] is None


@pytest.mark.parametrize("rise_s", [0.1, 0.8])
def test_supply_that_stays_on_is_told_within_its_bound(rise_s: float) -> None:
    role_s = next(bound_s for role, _, bound_s in BOUNDS_S if role is Supply)

    async def body(loop: VirtualLoop) -> None:
        model = keysight_e36300.KeysightE36300(
            loop.clock, {"1": Resistor(1000.0)}, faults("stuck_on=lie", keysight_e36300.KeysightE36300.knobs)
        )
        box = KeysightE36300Options(rise_s=rise_s)
        async with bus(model) as port, connected(KeysightE36300("vdd", port, box)) as machine:
            vdd = machine.channels["1"]
            await vdd.switch_on(3.3, limit_a=0.1, ovp_v=3.8)
            began = loop.time()
            with pytest.raises(EquipmentError, match=r"still at 3\.3 V"):
                await vdd.make_safe()
            assert rise_s < loop.time() - began < role_s + vdd.slow_s

    in_virtual_time(body)


def test_e36300_powers_within_its_rise_time() -> None:
    load = Resistor(1000.0)

    async def body(loop: VirtualLoop) -> None:
        async with supply(loop, load) as machine:
            vdd = machine.channels["1"]
            began = loop.time()
            async with vdd.powering(1.8, limit_a=0.1, ovp_v=2.2):
                assert 0.01 < loop.time() - began < 0.03
                assert await vdd.measure_voltage() == pytest.approx(1.8)
                assert await vdd.measure_current() == pytest.approx(1.8e-3)

    in_virtual_time(body)
    assert load.history == [0.0, 1.8, None]


@asynccontextmanager
async def modular(loop: VirtualLoop, load: Resistor, fault: str = "") -> AsyncGenerator[KeysightN6700, None]:
    model = keysight_n6700.KeysightN6700(
        loop.clock, {"1": load}, faults(fault, keysight_n6700.KeysightN6700.knobs)
    )
    async with bus(model) as port, connected(KeysightN6700("vdd", port, KeysightN6700Options())) as machine:
        yield machine


@asynccontextmanager
async def hmp(loop: VirtualLoop, load: Resistor, fault: str = "") -> AsyncGenerator[RohdeSchwarzHmp, None]:
    model = HmpSupply(loop.clock, {"1": load}, faults(fault, HmpSupply.knobs))
    options = RohdeSchwarzHmpOptions()
    async with bus(model) as port, connected(RohdeSchwarzHmp("vdd", port, options)) as machine:
        yield machine


@asynccontextmanager
async def ngx(loop: VirtualLoop, load: Resistor, fault: str = "") -> AsyncGenerator[RohdeSchwarzNgx, None]:
    model = NgxSupply(loop.clock, {"1": load}, faults(fault, NgxSupply.knobs))
    options = RohdeSchwarzNgxOptions()
    async with bus(model) as port, connected(RohdeSchwarzNgx("vdd", port, options)) as machine:
        yield machine


def e36300_of(port: VisaPort) -> Machine:
    return KeysightE36300("vdd", port, KeysightE36300Options(four_wire=True))


def n6700_of(port: VisaPort) -> Machine:
    return KeysightN6700("vdd", port, KeysightN6700Options(four_wire=True))


@pytest.mark.parametrize(
    ("simulated", "made"),
    [(keysight_e36300.KeysightE36300, e36300_of), (keysight_n6700.KeysightN6700, n6700_of)],
)
def test_supply_that_lost_its_power_while_it_was_off_senses_with_four_wires_again(
    simulated: type[SupplyInstrument], made: Callable[[VisaPort], Machine]
) -> None:
    async def body(loop: VirtualLoop) -> None:
        model = simulated(loop.clock, {"1": Resistor(1000.0)}, faults("", simulated.knobs))
        async with bus(model) as port, connected(made(port)) as machine:
            vdd = machine.channels["1"]
            assert isinstance(vdd, Supply)
            model.faults.turn(parse("it.power_cycle@once"))
            async with vdd.powering(1.8, limit_a=0.1, ovp_v=2.2):
                assert (model.outputs[1].four_wire, model.outputs[2].four_wire) == (True, False)
                assert await vdd.measure_current() == pytest.approx(1.8e-3)

    in_virtual_time(body)


@pytest.mark.parametrize(("make", "messages"), [(hmp, 10), (ngx, 8)])
def test_supply_whose_master_switch_went_off_with_its_power_is_told(make: Make, messages: int) -> None:
    load = Resistor(1000.0)

    async def body(loop: VirtualLoop) -> None:
        async with make(loop, load, f"power_cycle@after={messages}@once") as machine:
            vdd = machine.channels["1"]
            assert isinstance(vdd, Supply)
            with pytest.raises(EquipmentError, match=r"0 V instead of 1\.8 V"):
                async with vdd.powering(1.8, limit_a=0.1, ovp_v=2.2):
                    pytest.fail("nothing comes out")

    in_virtual_time(body)
    assert set(load.history) <= {0.0, None}


MACHINES: list[Make] = [
    smu_2600b,
    smu_2450,
    smu_b2900,
    supply,
    modular,
    hmp,
    ngx,
]


async def drive(resource: Resource) -> None:
    """Have a volt at an output, without a block that would undo it."""
    match resource:
        case Smu():
            await resource.force_voltage(1.0, limit_a=0.1)
        case Supply():
            await resource.switch_on(1.0, limit_a=0.1, ovp_v=2.0)


@pytest.mark.parametrize("make", MACHINES)
def test_mute_machine_is_given_up_in_time(make: Make) -> None:
    async def body(loop: VirtualLoop) -> None:
        with pytest.raises(Silent):
            async with make(loop, Resistor(1000.0), "mute"):
                pytest.fail("a mute machine connected")

    assert in_virtual_time(body) < 3.0


@pytest.mark.parametrize("make", MACHINES)
def test_made_safe_within_its_bound(make: Make) -> None:
    load = Resistor(1000.0)

    async def body(loop: VirtualLoop) -> None:
        async with make(loop, load, "") as machine:
            resource = next(iter(machine.channels.values()))
            await drive(resource)
            began = loop.time()
            await resource.make_safe()
            assert loop.time() - began < 0.3

    in_virtual_time(body)
    assert [volts for volts in load.history if volts != 0.0] == [1.0, None]


@pytest.mark.parametrize(("make", "after"), [(smu_2600b, 4), (smu_2450, 4), (smu_2450, 5), (smu_b2900, 5)])
def test_no_output_drives_after_a_power_that_went_while_it_was_off(make: Make, after: int) -> None:
    """Before the settings (4) or between them and the switch (5): wires are not as they were set."""
    load = Resistor(1000.0)

    async def body(loop: VirtualLoop) -> None:
        async with make(loop, load, f"power_cycle@after={after}@once") as machine:
            for resource in (*machine.channels.values(), *machine.channels.values()):
                with pytest.raises(EquipmentError, match="lost its power meanwhile"):
                    await drive(resource)
                await switch_off(resource)
            assert set(load.history) <= {0.0, None}
            await machine.aclose()
            await machine.connect()
            await drive(next(iter(machine.channels.values())))
            assert load.history[-1] == 1.0

    in_virtual_time(body)


@pytest.mark.parametrize("make", MACHINES)
def test_output_that_cannot_be_switched_off_is_told_in_time(make: Make) -> None:
    async def body(loop: VirtualLoop) -> None:
        async with make(loop, Resistor(1000.0), "stuck_on") as machine:
            resource = next(iter(machine.channels.values()))
            await drive(resource)
            began = loop.time()
            with pytest.raises(EquipmentError, match="still on"):
                await resource.make_safe()
            assert loop.time() - began < 2.0

    in_virtual_time(body)


@pytest.mark.parametrize("make", MACHINES)
@pytest.mark.parametrize("fault", ["drop_reply@every=9", "scpi_error=-221@every=9"])
def test_safe_state_is_reached_past_one_fault(make: Make, fault: str) -> None:
    async def body(loop: VirtualLoop) -> None:
        async with make(loop, Resistor(1000.0), fault) as machine:
            resource = next(iter(machine.channels.values()))
            for _ in range(12):
                await resource.make_safe()

    in_virtual_time(body)


@pytest.mark.parametrize("make", MACHINES)
@pytest.mark.parametrize(
    ("fault", "error"), [("drop_reply@every=9", "Silent"), ("scpi_error=-221@every=9", "InstrumentError")]
)
def test_fault_costs_the_verb_that_meets_it_and_not_the_next(make: Make, fault: str, error: str) -> None:
    async def body(loop: VirtualLoop) -> None:
        async with make(loop, Resistor(1000.0), fault) as machine:
            resource = next(iter(machine.channels.values()))
            outcomes = [await outcome(switch_off(resource)) for _ in range(12)]
        assert error in outcomes
        assert set(outcomes) == {error, "done"}

    in_virtual_time(body)


@pytest.mark.parametrize(("gap_s", "heard"), [(0.02, True), (0.01, False)])
def test_slow_machine_hears_whoever_leaves_it_its_time(gap_s: float, heard: bool) -> None:
    async def body(loop: VirtualLoop) -> None:
        knobs = keithley_2450.Keithley2450.knobs
        model = keithley_2450.Keithley2450(loop.clock, {}, faults("min_gap=20", knobs))
        options = Keithley2450Options(min_gap_s=gap_s)
        async with bus(model) as port:
            machine = Keithley2450("smu", port, options)
            met = await outcome(machine.connect())
            await machine.aclose()
        assert met == ("done" if heard else "Silent")

    in_virtual_time(body)


async def switch_off(resource: Resource) -> None:
    match resource:
        case Smu() | Supply():
            await resource.switch_off()


async def outcome(work: Awaitable[None]) -> str:
    try:
        await work
    except EquipmentError as error:
        return type(error).__name__
    return "done"
