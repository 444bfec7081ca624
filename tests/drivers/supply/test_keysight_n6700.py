import pytest

from drivers.errors import EquipmentError, InstrumentError, Silent
from drivers.supply.keysight_n6700 import KeysightN6700, KeysightN6700Channel, KeysightN6700Options
from tests.replay import ReplayPort, replayed

TWO_POLLS = KeysightN6700Options(rise_s=0.02)


def made(port: ReplayPort, options: KeysightN6700Options | None = None) -> KeysightN6700:
    return KeysightN6700("vdd", port, options or KeysightN6700Options())


def output(
    port: ReplayPort, number: str = "1", options: KeysightN6700Options | None = None
) -> KeysightN6700Channel:
    return made(port, options).channels[number]


async def test_connect_leaves_all_modules_safe() -> None:
    with replayed("keysight_n6700/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert sorted(machine.channels) == ["1", "2", "3", "4"]


async def test_only_slots_with_a_module_are_spoken_to() -> None:
    with replayed("keysight_n6700/connects_two_modules") as port:
        machine = made(port, KeysightN6700Options(outputs="13", four_wire=True))
        await machine.connect()
    assert sorted(machine.channels) == ["1", "3"]


async def test_another_model_is_refused() -> None:
    with (
        replayed("keysight_n6700/another_machine") as port,
        pytest.raises(EquipmentError, match="answers as .* E36312A,"),
    ):
        await made(port).connect()


async def test_powering_waits_for_the_level_in_the_same_hop() -> None:
    with replayed("keysight_n6700/powers") as port:
        vdd = output(port, "4")
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            assert port.hops == 1
            assert await vdd.measure_current() == 1.8e-3
            assert await vdd.tripped() is None


async def test_trip_is_the_device_s_doing_and_stays_until_cleared() -> None:
    with replayed("keysight_n6700/over_current_trips") as port:
        vdd = output(port)
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            assert await vdd.tripped() == "over-current"
        await vdd.clear_protection()
        assert await vdd.tripped() is None


@pytest.mark.parametrize("what", ["over_voltage", "over_temperature"])
async def test_each_protection_has_its_name(what: str) -> None:
    with replayed(f"keysight_n6700/{what}_trips") as port:
        vdd = output(port, options=TWO_POLLS)
        await vdd.switch_on(1.8, limit_a=0.25, ovp_v=2.2)
        assert await vdd.tripped() == what.replace("_", "-")


async def test_output_that_does_not_rise_is_an_error_of_the_supply() -> None:
    with (
        replayed("keysight_n6700/rises_too_slowly") as port,
        pytest.raises(EquipmentError, match=r"vdd\.1: 0\.00612 V instead of 1\.8 V"),
    ):
        await output(port, options=TWO_POLLS).switch_on(1.8, limit_a=0.25, ovp_v=2.2)


async def test_refused_setting_never_reaches_the_output() -> None:
    with replayed("keysight_n6700/refuses_a_level") as port, pytest.raises(InstrumentError) as refused:
        async with output(port).powering(30.0, limit_a=0.25, ovp_v=6.0):
            pytest.fail("a refused level was powered")
    assert refused.value.code == -222


async def test_output_that_stays_on_is_told() -> None:
    with replayed("keysight_n6700/stays_on") as port, pytest.raises(EquipmentError, match="still on"):
        async with output(port).powering(1.8, limit_a=0.25, ovp_v=2.2):
            pass


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keysight_n6700/answer_lost") as port, pytest.raises(Silent):
        await output(port).switch_off()


async def test_no_reading_is_believed_after_the_power_has_gone() -> None:
    with replayed("keysight_n6700/power_lost") as port:
        vdd = output(port)
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            with pytest.raises(EquipmentError, match="is off: no reading is believed"):
                await vdd.measure_current()


async def test_output_that_tripped_meanwhile_has_a_current_of_nothing() -> None:
    with replayed("keysight_n6700/tripped_while_measured") as port:
        vdd = output(port)
        async with vdd.powering(1.8, limit_a=0.25, ovp_v=2.2):
            assert await vdd.measure_current() == 0.0


async def test_four_wires_are_set_anew_before_it_is_switched_on() -> None:
    with replayed("keysight_n6700/powers_with_four_wires") as port:
        async with output(port, options=KeysightN6700Options(four_wire=True)).powering(
            1.8, limit_a=0.25, ovp_v=2.2
        ):
            pass
