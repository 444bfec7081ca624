import math

import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.roles import Reading
from drivers.smu.keysight_b2900 import KeysightB2900, KeysightB2900Channel, KeysightB2900Options
from tests.replay import ReplayPort, replayed, written


def made(port: ReplayPort, options: KeysightB2900Options | None = None) -> KeysightB2900:
    return KeysightB2900("smu-1", port, options or KeysightB2900Options())


def channel(port: ReplayPort, number: str = "1") -> KeysightB2900Channel:
    return made(port).channels[number]


async def test_connect_leaves_both_channels_safe() -> None:
    with replayed("keysight_b2900/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert sorted(machine.channels) == ["1", "2"]
    assert (port.opened, port.closed) == (1, 1)


async def test_options_are_set_at_connect() -> None:
    options = KeysightB2900Options(channels="1", nplc=0.1, four_wire=True, low="float", min_gap_s=0.01)
    with replayed("keysight_b2900/connects_one_channel") as port:
        await made(port, options).connect()
    assert port.paused_s == pytest.approx(0.03)


async def test_model_with_one_channel_is_refused_where_two_are_wired() -> None:
    with (
        replayed("keysight_b2900/another_machine") as port,
        pytest.raises(EquipmentError, match="smu-1 at replay:.* B2901A, which is another model"),
    ):
        await made(port).connect()


async def test_forcing_voltage_takes_one_hop_a_verb() -> None:
    with replayed("keysight_b2900/leakage") as port:
        smu = channel(port)
        async with smu.forcing_voltage(3.6, limit_a=1e-5):
            assert await smu.measure() == 123.4e-9
            assert not smu.in_compliance()
    assert port.hops == 3


async def test_limit_shows_in_the_same_hop() -> None:
    with replayed("keysight_b2900/at_the_limit") as port:
        smu = channel(port)
        async with smu.forcing_voltage(3.6, limit_a=1e-3):
            await smu.measure()
            assert smu.readings() == (Reading(1e-3, at_limit=True),)


async def test_second_channel_forces_current_and_measures_volts() -> None:
    with replayed("keysight_b2900/second_channel_forces_current") as port:
        smu = channel(port, "2")
        async with smu.forcing_current(-100e-6, limit_v=1.0):
            assert await smu.measure() == -0.6


async def test_output_is_off_while_the_function_changes() -> None:
    with replayed("keysight_b2900/changes_function") as port:
        smu = channel(port)
        await smu.force_voltage(1.0, limit_a=10e-3)
        await smu.force_current(2e-3, limit_v=5.0)
        assert await smu.measure() == 2.0
        await smu.switch_off()


async def test_refused_setting_never_reaches_the_output() -> None:
    with replayed("keysight_b2900/refuses_a_level") as port, pytest.raises(InstrumentError) as refused:
        async with channel(port).forcing_voltage(500.0, limit_a=1e-3):
            pytest.fail("a refused level was forced")
    assert refused.value.code == -222


async def test_output_that_stays_on_is_told() -> None:
    with replayed("keysight_b2900/stays_on") as port, pytest.raises(EquipmentError, match="still on"):
        async with channel(port).forcing_voltage(3.6, limit_a=1e-3):
            pass


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keysight_b2900/answer_lost") as port, pytest.raises(Silent):
        await channel(port).switch_off()


async def test_over_range_is_infinite() -> None:
    with replayed("keysight_b2900/over_range") as port:
        smu = channel(port)
        await smu.force_voltage(3.6, limit_a=1e-3)
        assert math.isinf(await smu.measure())


async def test_trigger_climbs_a_list_and_flags_each_reading() -> None:
    with replayed("keysight_b2900/sweeps_into_the_limit") as port:
        smu = channel(port)
        async with smu.forcing_voltage(0.0, limit_a=1.5e-3):
            swept = await smu.sweep([0.0, 1.0, 2.0])
    assert [reading.value for reading in swept] == pytest.approx([0.0, 1e-3, 1.5e-3])
    assert [reading.at_limit for reading in swept] == [False, False, True]
    assert port.hops == 3


async def test_line_is_climbed_by_its_ends() -> None:
    with replayed("keysight_b2900/sweeps_a_line") as port:
        smu = channel(port)
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            swept = await smu.sweep_linear(0.0, 2.0, 3)
    assert [reading.value for reading in swept] == pytest.approx([0.0, 1e-3, 2e-3])


TRIGGERED = KeysightB2900Options(trigger_in=1, trigger_out=2, trigger_wait_s=0.5)


async def test_trigger_pins_are_set_at_connect() -> None:
    with replayed("keysight_b2900/connects_trigger_lines") as port:
        await made(port, TRIGGERED).connect()


async def test_each_step_of_a_triggered_sweep_waits_for_an_edge() -> None:
    with replayed("keysight_b2900/sweeps_by_trigger") as port:
        smu = made(port, TRIGGERED).channels["1"]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            assert len(await smu.sweep([1.0, 2.0], triggered=True)) == 2


async def test_sweep_is_given_up_if_no_edge_comes() -> None:
    with replayed("keysight_b2900/sweep_without_trigger") as port, pytest.raises(Silent):
        smu = made(port, TRIGGERED).channels["1"]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            await smu.sweep([1.0, 2.0], triggered=True)


@pytest.mark.parametrize(
    ("dialogue", "told"),
    [
        ("sweep_refused", "Data out of range"),
        ("sweep_incomplete", "brought 12 bytes for 2 readings"),
        ("sweep_too_hot", "status 0x20: no reading is believed"),
    ],
)
async def test_sweep_that_went_wrong_is_given_up(dialogue: str, told: str) -> None:
    levels = [1.0, 500.0] if dialogue == "sweep_refused" else [1.0, 2.0]
    with replayed(f"keysight_b2900/{dialogue}") as port, pytest.raises(EquipmentError, match=told):
        smu = channel(port)
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            await smu.sweep(levels)
    assert smu.readings() == ()


async def test_burst_takes_the_measured_half_of_each_entry() -> None:
    with replayed("keysight_b2900/burst") as port:
        smu = channel(port)
        async with smu.forcing_voltage(2.0, limit_a=10e-3):
            readings = await smu.burst(3)
    assert [reading.value for reading in readings] == pytest.approx([2e-3] * 3)


async def test_no_reading_of_a_block_that_is_short_is_believed() -> None:
    with replayed("keysight_b2900/burst_cut_short") as port:
        smu = channel(port)
        await smu.force_voltage(2.0, limit_a=10e-3)
        with pytest.raises(ProtocolError, match="short of its length"):
            await smu.burst(3)


async def test_nothing_to_measure_before_something_is_forced() -> None:
    with pytest.raises(EquipmentError, match="forces nothing"):
        await channel(written("")).measure()


async def test_open_interlock_keeps_high_voltage_off() -> None:
    with (
        replayed("keysight_b2900/interlock_open") as port,
        pytest.raises(InstrumentError, match="interlock") as refused,
    ):
        async with channel(port).forcing_voltage(100.0, limit_a=1e-3):
            pytest.fail("100 V behind an open interlock")
    assert refused.value.code == 802


async def test_no_reading_is_believed_after_the_power_has_gone() -> None:
    with replayed("keysight_b2900/power_lost") as port:
        smu = channel(port)
        async with smu.forcing_voltage(3.6, limit_a=1e-3):
            with pytest.raises(EquipmentError, match="is off: no reading is believed"):
                await smu.measure()


async def test_nothing_comes_out_after_a_power_that_went_while_it_was_off() -> None:
    with replayed("keysight_b2900/power_lost_while_off") as port:
        for smu in made(port).channels.values():
            with pytest.raises(EquipmentError, match="lost its power meanwhile"):
                async with smu.forcing_voltage(3.6, limit_a=1e-3):
                    pytest.fail("wires and terminals are not as they were set")
