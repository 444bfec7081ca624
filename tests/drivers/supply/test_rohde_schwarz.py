"""HMP and NGx: the same words but for how trips are forgotten."""

from collections.abc import Callable

import pytest

from drivers.errors import EquipmentError, InstrumentError, Silent
from drivers.links.machine import PortMachine
from drivers.supply.rohde_schwarz_hmp import RohdeSchwarzHmp, RohdeSchwarzHmpOptions
from drivers.supply.rohde_schwarz_ngx import RohdeSchwarzNgx, RohdeSchwarzNgxOptions
from drivers.supply.selected import SelectedChannel
from tests.replay import ReplayPort, replayed


def hmp(port: ReplayPort, outputs: str = "1234", rise_s: float = 0.02) -> RohdeSchwarzHmp:
    return RohdeSchwarzHmp("vdd", port, RohdeSchwarzHmpOptions(outputs=outputs, rise_s=rise_s))


def ngx(port: ReplayPort, outputs: str = "123", rise_s: float = 0.02) -> RohdeSchwarzNgx:
    return RohdeSchwarzNgx("vdd", port, RohdeSchwarzNgxOptions(outputs=outputs, rise_s=rise_s))


Make = Callable[..., PortMachine]
FAMILIES = pytest.mark.parametrize(
    ("model", "make"), [("rohde_schwarz_hmp", hmp), ("rohde_schwarz_ngx", ngx)]
)


def first(machine: PortMachine, number: str = "1") -> SelectedChannel:
    channel = machine.channels[number]
    assert isinstance(channel, SelectedChannel)
    return channel


@FAMILIES
async def test_connect_switches_everything_off_and_the_master_on(model: str, make: Make) -> None:
    with replayed(f"{model}/connects") as port:
        machine = make(port)
        await machine.connect()
        await machine.aclose()
    assert (port.opened, port.closed) == (1, 1)


@FAMILIES
async def test_only_the_outputs_that_are_named_are_spoken_to(model: str, make: Make) -> None:
    with replayed(f"{model}/connects_two_outputs") as port:
        machine = make(port, "12")
        await machine.connect()
    assert sorted(machine.channels) == ["1", "2"]


@FAMILIES
async def test_another_model_is_refused(model: str, make: Make) -> None:
    with replayed(f"{model}/another_machine") as port, pytest.raises(EquipmentError, match="E36312A,"):
        await make(port).connect()


@FAMILIES
async def test_each_message_selects_its_output(model: str, make: Make) -> None:
    with replayed(f"{model}/powers") as port:
        vdd = first(make(port), "2")
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            assert await vdd.measure_current() == 1.8e-3
            assert await vdd.tripped() is None


@FAMILIES
async def test_protection_is_never_below_the_level(model: str, make: Make) -> None:
    with replayed(f"{model}/changes_level") as port:
        vdd = first(make(port))
        await vdd.switch_on(1.8, limit_a=0.25, ovp_v=2.2)
        await vdd.switch_on(3.3, limit_a=0.25, ovp_v=3.8)
        await vdd.switch_on(1.2, limit_a=0.25, ovp_v=1.5)
        await vdd.switch_off()


@FAMILIES
async def test_fuse_that_goes_is_the_device_s_doing(model: str, make: Make) -> None:
    with replayed(f"{model}/over_current_trips") as port:
        vdd = first(make(port))
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            assert await vdd.tripped() == "over-current"
        await vdd.clear_protection()
        assert await vdd.tripped() == ("over-current" if make is hmp else None)


@FAMILIES
async def test_another_level_does_not_forget_a_trip(model: str, make: Make) -> None:
    with replayed(f"{model}/trip_outlives_a_level") as port:
        vdd = first(make(port))
        async with vdd.powering(3.3, limit_a=0.25, ovp_v=3.8):
            assert await vdd.measure_current() == 0.0
            await vdd.switch_on(1.8, limit_a=0.25, ovp_v=2.2)
            assert await vdd.tripped() == "over-current"
    assert vdd.times_on == 1


@FAMILIES
async def test_over_voltage_is_forgotten_by_command(model: str, make: Make) -> None:
    with replayed(f"{model}/over_voltage_trips") as port:
        vdd = first(make(port))
        await vdd.switch_on(1.8, limit_a=0.25, ovp_v=2.2)
        assert await vdd.tripped() == "over-voltage"
        await vdd.clear_protection()
        assert await vdd.tripped() is None


@FAMILIES
async def test_output_that_does_not_rise_is_an_error_of_the_supply(model: str, make: Make) -> None:
    with replayed(f"{model}/rises_too_slowly") as port, pytest.raises(EquipmentError, match="instead of 1.8"):
        await first(make(port)).switch_on(1.8, limit_a=0.25, ovp_v=2.2)


@FAMILIES
async def test_refused_setting_never_reaches_the_output(model: str, make: Make) -> None:
    with replayed(f"{model}/refuses_a_level") as port, pytest.raises(InstrumentError) as refused:
        async with first(make(port)).powering(40.0, limit_a=0.25, ovp_v=6.0):
            pytest.fail("a refused level was powered")
    assert refused.value.code == -222


@FAMILIES
async def test_output_that_stays_on_is_told(model: str, make: Make) -> None:
    with replayed(f"{model}/stays_on") as port, pytest.raises(EquipmentError, match="still on"):
        async with first(make(port)).powering(1.8, limit_a=0.25, ovp_v=2.2):
            pass


@FAMILIES
async def test_silence_stays_silence_when_no_error_explains_it(model: str, make: Make) -> None:
    with replayed(f"{model}/answer_lost") as port, pytest.raises(Silent):
        await first(make(port)).switch_off()


@FAMILIES
async def test_no_reading_is_believed_after_the_power_has_gone(model: str, make: Make) -> None:
    with replayed(f"{model}/power_lost") as port:
        vdd = first(make(port))
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            with pytest.raises(EquipmentError, match="is off: no reading is believed"):
                await vdd.measure_current()
