import pytest

from drivers.errors import EquipmentError, InstrumentError, Silent
from drivers.supply.keysight_e36300 import KeysightE36300, KeysightE36300Options
from drivers.supply.listed import ListedChannel
from tests.replay import ReplayPort, replayed

TWO_POLLS = KeysightE36300Options(rise_s=0.02)


def made(port: ReplayPort, options: KeysightE36300Options | None = None) -> KeysightE36300:
    return KeysightE36300("vdd", port, options or KeysightE36300Options())


def first(port: ReplayPort, options: KeysightE36300Options | None = None) -> ListedChannel:
    return made(port, options).channels["1"]


async def test_connect_leaves_all_outputs_safe() -> None:
    with replayed("keysight_e36300/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert sorted(machine.channels) == ["1", "2", "3"]
    assert (port.opened, port.closed) == (1, 1)


async def test_four_wire_sense_is_set_at_connect() -> None:
    with replayed("keysight_e36300/connects_four_wire") as port:
        await made(port, KeysightE36300Options(four_wire=True, min_gap_s=0.001)).connect()
    assert port.paused_s == pytest.approx(0.008)


async def test_another_model_is_refused() -> None:
    with (
        replayed("keysight_e36300/another_machine") as port,
        pytest.raises(EquipmentError, match="vdd at replay:.*answers as .* E36233A,"),
    ):
        await made(port).connect()


async def test_powering_waits_for_the_level_in_the_same_hop() -> None:
    with replayed("keysight_e36300/powers") as port:
        vdd = first(port)
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            assert port.hops == 1
            assert await vdd.measure_current() == 1.8e-3
            assert await vdd.measure_voltage() == 1.8
            assert await vdd.tripped() is None
    assert port.hops == 5


async def test_protection_is_never_below_the_level() -> None:
    with replayed("keysight_e36300/changes_level") as port:
        vdd = first(port)
        await vdd.switch_on(1.8, limit_a=0.25, ovp_v=2.2)
        await vdd.switch_on(3.3, limit_a=0.25, ovp_v=3.8)
        await vdd.switch_on(1.2, limit_a=0.25, ovp_v=1.5)
        await vdd.switch_off()


async def test_lower_level_is_waited_for_too() -> None:
    with replayed("keysight_e36300/falls_slowly") as port:
        vdd = first(port)
        await vdd.switch_on(3.3, limit_a=0.25, ovp_v=3.8)
        await vdd.switch_on(1.8, limit_a=0.25, ovp_v=3.8)
        assert await vdd.measure_current() == 1.8e-3


async def test_output_that_does_not_fall_is_an_error_of_the_supply() -> None:
    with replayed("keysight_e36300/falls_too_slowly") as port:
        vdd = first(port, TWO_POLLS)
        await vdd.switch_on(3.3, limit_a=0.25, ovp_v=3.8)
        with pytest.raises(EquipmentError, match=r"vdd\.1: 3\.2\d* V instead of 1\.8 V"):
            await vdd.switch_on(1.8, limit_a=0.25, ovp_v=3.8)


async def test_trip_is_the_device_s_doing_and_stays_until_cleared() -> None:
    with replayed("keysight_e36300/over_current_trips") as port:
        vdd = first(port, TWO_POLLS)
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            assert await vdd.tripped() == "over-current"
        assert await vdd.tripped() == "over-current"
        await vdd.clear_protection()
        assert await vdd.tripped() is None


async def test_over_voltage_has_its_own_name() -> None:
    with replayed("keysight_e36300/over_voltage_trips") as port:
        vdd = first(port, TWO_POLLS)
        await vdd.switch_on(1.8, limit_a=0.25, ovp_v=2.2)
        assert await vdd.tripped() == "over-voltage"


async def test_output_that_does_not_rise_is_an_error_of_the_supply() -> None:
    with (
        replayed("keysight_e36300/rises_too_slowly") as port,
        pytest.raises(EquipmentError, match=r"vdd\.1: 0\.00648 V instead of 1\.8 V"),
    ):
        await first(port, TWO_POLLS).switch_on(1.8, limit_a=0.25, ovp_v=2.2)


async def test_refused_setting_never_reaches_the_output() -> None:
    with replayed("keysight_e36300/refuses_a_level") as port, pytest.raises(InstrumentError) as refused:
        async with first(port).powering(30.0, limit_a=0.25, ovp_v=6.0):
            pytest.fail("a refused level was powered")
    assert refused.value.code == -222


async def test_output_that_stays_on_is_told() -> None:
    with replayed("keysight_e36300/stays_on") as port, pytest.raises(EquipmentError, match="still on"):
        async with first(port).powering(1.8, limit_a=0.25, ovp_v=2.2):
            pass


async def test_safe_means_that_no_voltage_is_left() -> None:
    with replayed("keysight_e36300/says_that_it_is_off") as port:
        vdd = first(port, TWO_POLLS)
        await vdd.switch_on(1.8, limit_a=0.25, ovp_v=2.2)
        with pytest.raises(EquipmentError, match="still at 1.8 V"):
            await vdd.make_safe()


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keysight_e36300/answer_lost") as port, pytest.raises(Silent):
        await first(port).switch_off()


async def test_no_reading_is_believed_after_the_power_has_gone() -> None:
    with replayed("keysight_e36300/power_lost") as port:
        vdd = first(port)
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            with pytest.raises(EquipmentError, match="is off: no reading is believed"):
                await vdd.measure_current()


async def test_four_wires_are_set_anew_before_it_is_switched_on() -> None:
    with replayed("keysight_e36300/powers_with_four_wires") as port:
        async with first(port, KeysightE36300Options(four_wire=True)).powering(1.8, limit_a=0.25, ovp_v=2.2):
            pass
