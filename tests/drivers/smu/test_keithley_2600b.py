import math

import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.smu.keithley_2600b import Keithley2600B, Keithley2600BChannel, Keithley2600BOptions
from tests.replay import ReplayPort, replayed, written


def made(port: ReplayPort, options: Keithley2600BOptions | None = None) -> Keithley2600B:
    return Keithley2600B("smu-1", port, options or Keithley2600BOptions())


def channel(port: ReplayPort, letter: str = "a") -> Keithley2600BChannel:
    return made(port).channels[letter]


async def test_connect_leaves_both_channels_safe() -> None:
    with replayed("keithley_2600b/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert sorted(machine.channels) == ["a", "b"]
    assert (port.opened, port.closed) == (1, 1)


async def test_one_channel_with_options() -> None:
    options = Keithley2600BOptions(channels="a", nplc=0.1, four_wire=True, off="normal", min_gap_s=0.01)
    with replayed("keithley_2600b/connects_one_channel") as port:
        machine = made(port, options)
        await machine.connect()
    assert list(machine.channels) == ["a"]
    assert port.paused_s == pytest.approx(0.03)


async def test_machine_with_another_number_of_channels_is_refused() -> None:
    with (
        replayed("keithley_2600b/another_machine") as port,
        pytest.raises(EquipmentError, match="smu-1 at replay:.*answers as .* Model 2635B,"),
    ):
        await made(port).connect()


async def test_forcing_voltage_takes_one_message_a_verb() -> None:
    with replayed("keithley_2600b/leakage") as port:
        smu = channel(port, "b")
        async with smu.forcing_voltage(3.6, limit_a=1e-5):
            assert await smu.measure() == 123.4e-9
            assert not smu.in_compliance()
    assert smu.name == "smu-1.b"
    assert port.hops == 3


async def test_limit_shows_in_the_same_message() -> None:
    with replayed("keithley_2600b/at_the_limit") as port:
        smu = channel(port)
        async with smu.forcing_voltage(3.6, limit_a=1e-3):
            assert await smu.measure() == 1e-3
            assert smu.in_compliance()


async def test_forcing_current_measures_volts() -> None:
    with replayed("keithley_2600b/forces_current") as port:
        smu = channel(port)
        async with smu.forcing_current(-100e-6, limit_v=1.0):
            assert await smu.measure() == -0.6


async def test_output_is_off_while_the_function_changes() -> None:
    with replayed("keithley_2600b/changes_function") as port:
        smu = channel(port)
        await smu.force_voltage(1.0, limit_a=10e-3)
        await smu.force_current(2e-3, limit_v=5.0)
        assert await smu.measure() == 2.0
        await smu.switch_off()


async def test_refused_setting_never_reaches_the_output() -> None:
    with (
        replayed("keithley_2600b/refuses_a_level") as port,
        pytest.raises(InstrumentError, match="Parameter too big") as refused,
    ):
        async with channel(port).forcing_voltage(500.0, limit_a=1e-3):
            pytest.fail("a refused level was forced")
    assert refused.value.code == 1102


async def test_over_range_is_infinite() -> None:
    with replayed("keithley_2600b/over_range") as port:
        smu = channel(port)
        await smu.force_voltage(3.6, limit_a=1e-3)
        assert math.isinf(await smu.measure())


async def test_output_that_stays_on_is_told() -> None:
    with (
        replayed("keithley_2600b/stays_on") as port,
        pytest.raises(EquipmentError, match=r"smu-1\.a: .* still on"),
    ):
        async with channel(port).forcing_voltage(3.6, limit_a=1e-3):
            pass


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keithley_2600b/answer_lost") as port, pytest.raises(Silent):
        await channel(port).switch_off()


async def test_nothing_to_measure_before_something_is_forced() -> None:
    with pytest.raises(EquipmentError, match="forces nothing"), replayed("keithley_2600b/leakage") as port:
        await channel(port).measure()


async def test_output_goes_off_before_what_follows_a_refusal() -> None:
    with replayed("keithley_2600b/forces_after_a_refusal") as port:
        smu = channel(port)
        await smu.force_voltage(1.0, limit_a=10e-3)
        with pytest.raises(InstrumentError):
            await smu.force_voltage(500.0, limit_a=10e-3)
        await smu.force_voltage(2.0, limit_a=10e-3)
        assert await smu.measure() == 2e-3


async def test_machine_climbs_by_itself_and_flags_each_reading() -> None:
    with replayed("keithley_2600b/sweeps_into_the_limit") as port:
        smu = made(port).channels["a"]
        async with smu.forcing_voltage(0.0, limit_a=1.5e-3):
            swept = await smu.sweep([0.0, 1.0, 2.0])
            assert [reading.value for reading in swept] == pytest.approx([0.0, 1e-3, 1.5e-3])
            assert [reading.at_limit for reading in swept] == [False, False, True]
            assert smu.readings() == swept
            assert smu.in_compliance()
    assert port.hops == 3


async def test_line_is_climbed_by_its_ends() -> None:
    with replayed("keithley_2600b/sweeps_a_line") as port:
        smu = made(port).channels["a"]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            swept = await smu.sweep_linear(0.0, 2.0, 3)
    assert [reading.value for reading in swept] == pytest.approx([0.0, 1e-3, 2e-3])


TRIGGERED = Keithley2600BOptions(trigger_in=1, trigger_out=2, trigger_wait_s=0.5)


async def test_trigger_lines_are_set_at_connect() -> None:
    with replayed("keithley_2600b/connects_trigger_lines") as port:
        await made(port, TRIGGERED).connect()


async def test_each_step_of_a_triggered_sweep_waits_for_an_edge() -> None:
    with replayed("keithley_2600b/sweeps_by_trigger") as port:
        smu = made(port, TRIGGERED).channels["a"]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            assert len(await smu.sweep([1.0, 2.0], triggered=True)) == 2


async def test_sweep_is_given_up_if_no_edge_comes() -> None:
    with replayed("keithley_2600b/sweep_without_trigger") as port, pytest.raises(Silent):
        smu = made(port, TRIGGERED).channels["a"]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            await smu.sweep([1.0, 2.0], triggered=True)


@pytest.mark.parametrize(
    ("dialogue", "told"),
    [
        ("sweep_refused", "Parameter too big"),
        ("sweep_incomplete", "is 1.00000e\\+00 after a sweep of 2 levels"),
        ("sweep_too_hot", "too hot: no reading is believed"),
    ],
)
async def test_sweep_that_went_wrong_is_given_up(dialogue: str, told: str) -> None:
    with replayed(f"keithley_2600b/{dialogue}") as port, pytest.raises(EquipmentError, match=told):
        smu = made(port).channels["a"]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            await smu.sweep([1.0, 500.0] if dialogue == "sweep_refused" else [1.0, 2.0])
    assert smu.readings() == ()


async def test_sweep_waits_for_no_line_that_the_station_file_does_not_name() -> None:
    smu = made(written("")).channels["a"]
    smu._function = "VOLT"
    with pytest.raises(EquipmentError, match="names no `trigger_in`"):
        await smu.sweep([1.0], triggered=True)


@pytest.mark.parametrize("levels", [[], [0.0] * 2501])
async def test_sweep_has_as_many_levels_as_a_machine_keeps(levels: list[float]) -> None:
    smu = made(written("")).channels["a"]
    smu._function = "VOLT"
    with pytest.raises(ValueError, match=f"a sweep of {len(levels)} levels: 1 to 2500 are possible"):
        await smu.sweep(levels)
    with pytest.raises(ValueError, match="a line of 1 points: 2 to 2500 are possible"):
        await smu.sweep_linear(0.0, 1.0, 1)


async def test_burst_comes_out_of_the_buffer_as_a_block() -> None:
    with replayed("keithley_2600b/burst") as port:
        smu = made(port).channels["a"]
        async with smu.forcing_voltage(2.0, limit_a=10e-3):
            readings = await smu.burst(3)
    assert [reading.value for reading in readings] == pytest.approx([2e-3] * 3)
    assert not any(reading.at_limit for reading in readings)


async def test_no_reading_of_a_block_that_is_short_is_believed() -> None:
    with replayed("keithley_2600b/burst_cut_short") as port:
        smu = made(port).channels["a"]
        await smu.force_voltage(2.0, limit_a=10e-3)
        with pytest.raises(ProtocolError, match="short of its length"):
            await smu.burst(3)


async def test_block_that_does_not_come_is_silence() -> None:
    with replayed("keithley_2600b/burst_lost") as port:
        smu = made(port).channels["a"]
        await smu.force_voltage(2.0, limit_a=10e-3)
        with pytest.raises(Silent):
            await smu.burst(3)


async def test_open_interlock_keeps_high_voltage_off() -> None:
    with (
        replayed("keithley_2600b/interlock_open") as port,
        pytest.raises(InstrumentError, match="interlock") as refused,
    ):
        async with made(port).channels["a"].forcing_voltage(100.0, limit_a=1e-3):
            pytest.fail("100 V behind an open interlock")
    assert refused.value.code == 802


async def test_no_reading_is_believed_after_the_power_has_gone() -> None:
    with replayed("keithley_2600b/power_lost") as port:
        smu = made(port).channels["a"]
        async with smu.forcing_voltage(3.6, limit_a=1e-3):
            with pytest.raises(EquipmentError, match="is off: no reading is believed"):
                await smu.measure()


async def test_nothing_comes_out_after_a_power_that_went_while_it_was_off() -> None:
    with replayed("keithley_2600b/power_lost_while_off") as port:
        for smu in made(port).channels.values():
            with pytest.raises(EquipmentError, match="lost its power meanwhile"):
                async with smu.forcing_voltage(3.6, limit_a=1e-3):
                    pytest.fail("wires and terminals are not as they were set")
