import math
from typing import Literal

import pytest

from drivers.errors import EquipmentError, InstrumentError, Silent
from drivers.roles import Reading
from drivers.smu.keithley_2450 import Keithley2450, Keithley2450Channel, Keithley2450Options, _climbing
from drivers.smu.stairs import listed, straight
from tests.replay import ReplayPort, replayed, written


def made(port: ReplayPort, options: Keithley2450Options | None = None) -> Keithley2450:
    return Keithley2450("smu-1", port, options or Keithley2450Options())


def output(port: ReplayPort) -> Keithley2450Channel:
    return made(port).channels[""]


async def test_connect_leaves_it_known_and_safe() -> None:
    with replayed("keithley_2450/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert (port.opened, port.closed) == (1, 1)


async def test_options_are_set_at_connect() -> None:
    options = Keithley2450Options(nplc=0.1, four_wire=True, terminals="rear", off="normal", min_gap_s=0.01)
    with replayed("keithley_2450/connects_rear_four_wire") as port:
        await made(port, options).connect()
    assert port.paused_s == pytest.approx(0.04)


async def test_identity_is_read() -> None:
    with (
        replayed("keithley_2450/another_machine") as port,
        pytest.raises(EquipmentError, match="smu-1 at replay:.*answers as .* MODEL 2400,"),
    ):
        await made(port).connect()


async def test_other_command_set_is_refused() -> None:
    with (
        replayed("keithley_2450/another_language") as port,
        pytest.raises(EquipmentError, match="speaks TSP"),
    ):
        await made(port).connect()


async def test_forcing_voltage_takes_one_hop_a_verb() -> None:
    with replayed("keithley_2450/leakage") as port:
        smu = output(port)
        async with smu.forcing_voltage(3.6, limit_a=1e-5):
            assert await smu.measure() == 123.4e-9
            assert not smu.in_compliance()
    assert port.hops == 3


async def test_limit_shows_in_the_same_hop() -> None:
    with replayed("keithley_2450/at_the_limit") as port:
        smu = output(port)
        async with smu.forcing_voltage(3.6, limit_a=1e-3):
            assert await smu.measure() == 1e-3
            assert smu.in_compliance()


async def test_forcing_current_measures_volts() -> None:
    with replayed("keithley_2450/forces_current") as port:
        smu = output(port)
        async with smu.forcing_current(-100e-6, limit_v=1.0):
            assert await smu.measure() == -0.6


async def test_output_is_off_while_the_function_changes() -> None:
    with replayed("keithley_2450/changes_function") as port:
        smu = output(port)
        await smu.force_voltage(1.0, limit_a=10e-3)
        await smu.force_current(2e-3, limit_v=5.0)
        assert await smu.measure() == 2.0
        await smu.switch_off()


async def test_refused_setting_never_reaches_the_output() -> None:
    with replayed("keithley_2450/refuses_a_level") as port:
        smu = output(port)
        with pytest.raises(InstrumentError, match="error -222: Data out of range") as refused:
            async with smu.forcing_voltage(500.0, limit_a=1e-3):
                pytest.fail("a refused level was forced")
    assert refused.value.code == -222


async def test_error_queue_is_read_to_its_end() -> None:
    with (
        replayed("keithley_2450/two_errors_queued") as port,
        pytest.raises(InstrumentError, match="Settings conflict.*; Data out of range") as refused,
    ):
        await output(port).force_voltage(500.0, limit_a=1e-3)
    assert refused.value.code == -221


async def test_over_range_is_infinite_and_no_reading_is_nan() -> None:
    for dialogue, check in (("over_range", math.isinf), ("no_reading", math.isnan)):
        with replayed(f"keithley_2450/{dialogue}") as port:
            smu = output(port)
            await smu.force_voltage(3.6, limit_a=1e-3)
            assert check(await smu.measure())


async def test_output_that_stays_on_is_told() -> None:
    with (
        replayed("keithley_2450/stays_on") as port,
        pytest.raises(EquipmentError, match="smu-1: .* still on"),
    ):
        async with output(port).forcing_voltage(3.6, limit_a=1e-3):
            pass


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keithley_2450/answer_lost") as port, pytest.raises(Silent):
        await output(port).switch_off()


async def test_nothing_to_measure_before_something_is_forced() -> None:
    with pytest.raises(EquipmentError, match="forces nothing"), replayed("keithley_2450/leakage") as port:
        await output(port).measure()


async def test_setting_must_be_finite() -> None:
    with pytest.raises(ValueError, match="finite"), replayed("keithley_2450/leakage") as port:
        await output(port).force_voltage(math.nan, limit_a=1e-3)


async def test_output_goes_off_before_what_follows_a_refusal() -> None:
    with replayed("keithley_2450/forces_after_a_refusal") as port:
        smu = output(port)
        await smu.force_voltage(1.0, limit_a=10e-3)
        with pytest.raises(InstrumentError):
            await smu.force_voltage(500.0, limit_a=10e-3)
        await smu.force_voltage(2.0, limit_a=10e-3)
        assert await smu.measure() == 2e-3


@pytest.mark.parametrize("model", ["2460", "2470"])
async def test_sisters_are_known_by_their_names(model: Literal["2460", "2470"]) -> None:
    with replayed(f"keithley_2450/connects_{model}") as port:
        await made(port, Keithley2450Options(model=model)).connect()


async def test_sister_in_the_place_of_a_2450_is_refused() -> None:
    port = written("> *IDN?\n< KEITHLEY INSTRUMENTS,MODEL 2460,04461802,1.7.12b")
    with pytest.raises(EquipmentError, match="MODEL 2460, which is another model"):
        await made(port).connect()


async def test_sisters_force_what_a_2450_cannot() -> None:
    with replayed("keithley_2450/forces_5_a_2460") as port:
        smu = output(port)
        async with smu.forcing_current(5.0, limit_v=6.0):
            assert await smu.measure() == 5.0
    with replayed("keithley_2450/forces_1000_v_2470") as port:
        smu = output(port)
        async with smu.forcing_voltage(1000.0, limit_a=1e-3):
            assert await smu.measure() == 1e-6


async def test_machine_climbs_by_itself_and_flags_each_reading() -> None:
    with replayed("keithley_2450/sweeps_into_the_limit") as port:
        smu = output(port)
        async with smu.forcing_voltage(0.0, limit_a=1.5e-3):
            swept = await smu.sweep([0.0, 1.0, 2.0])
            assert swept == (Reading(0.0, False), Reading(1e-3, False), Reading(1.5e-3, True))
            assert smu.readings() == swept
    assert port.hops == 3


async def test_line_is_climbed_by_its_ends() -> None:
    with replayed("keithley_2450/sweeps_a_line") as port:
        smu = output(port)
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            swept = await smu.sweep_linear(0.0, 2.0, 3)
    assert swept == (Reading(0.0, False), Reading(1e-3, False), Reading(2e-3, False))


@pytest.mark.parametrize(
    ("dialogue", "told"),
    [
        ("sweep_refused", "Data out of range"),
        ("sweep_incomplete", "answered 4 numbers"),
        ("sweep_too_hot", "too hot: no reading is believed"),
    ],
)
async def test_sweep_that_went_wrong_is_given_up(dialogue: str, told: str) -> None:
    levels = [1.0, 500.0] if dialogue == "sweep_refused" else [0.0, 1.0, 2.0]
    with replayed(f"keithley_2450/{dialogue}") as port, pytest.raises(EquipmentError, match=told):
        smu = output(port)
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            await smu.sweep(levels)
    assert smu.readings() == ()


def test_long_list_comes_in_parts() -> None:
    said = [setting for message in _climbing("VOLT", listed([0.5] * 250)) for setting in message]
    assert [text.partition(" ")[0] for text in said] == [
        ":SOUR:LIST:VOLT",
        ":SOUR:LIST:VOLT:APP",
        ":SOUR:LIST:VOLT:APP",
        ":SOUR:SWE:VOLT:LIST",
    ]
    assert [text.count("0.5") for text in said] == [100, 100, 50, 0]


async def test_lines_of_triggers_are_set_up_at_connect() -> None:
    with replayed("keithley_2450/connects_trigger_lines") as port:
        await made(port, Keithley2450Options(trigger_in=1, trigger_out=2)).connect()


def test_a_line_cannot_be_waited_at_and_told_at() -> None:
    with pytest.raises(ValueError, match="a line does the one or the other"):
        Keithley2450Options(trigger_in=3, trigger_out=3)


async def test_each_level_waits_for_its_edge_and_the_output_stays_on() -> None:
    with replayed("keithley_2450/sweeps_by_trigger") as port:
        smu = made(port, Keithley2450Options(trigger_in=1, trigger_out=2)).channels[""]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            swept = await smu.sweep([1.0, 2.0], triggered=True)
    assert swept == (Reading(1e-3, False), Reading(2e-3, False))


async def test_a_line_is_a_list_where_each_level_waits() -> None:
    with replayed("keithley_2450/sweeps_a_line_by_trigger") as port:
        smu = made(port, Keithley2450Options(trigger_in=3)).channels[""]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            swept = await smu.sweep_linear(0.0, 2.0, 3, triggered=True)
    assert [reading.value for reading in swept] == [0.0, 1e-3, 2e-3]


async def test_readings_may_be_told_of_without_waiting() -> None:
    with replayed("keithley_2450/sweep_tells_of_each_reading") as port:
        smu = made(port, Keithley2450Options(trigger_out=2)).channels[""]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            assert len(await smu.sweep([1.0, 2.0])) == 2


async def test_edge_that_does_not_come_gives_the_sweep_up() -> None:
    with replayed("keithley_2450/sweep_without_trigger") as port, pytest.raises(Silent):
        smu = made(port, Keithley2450Options(trigger_in=1)).channels[""]
        async with smu.forcing_voltage(0.0, limit_a=10e-3):
            await smu.sweep([1.0, 2.0], triggered=True)


def test_the_ends_of_a_line_are_exact() -> None:
    assert straight(0.0, 0.3, 4).levels == pytest.approx((0.0, 0.1, 0.2, 0.3))
    assert straight(0.1, 0.7, 7).levels[-1] == 0.7


async def test_model_without_a_trigger_line_sweeps_without_one() -> None:
    smu = output(written(""))
    smu._function = "VOLT"
    with pytest.raises(EquipmentError, match="names no `trigger_in`"):
        await smu.sweep([1.0], triggered=True)


async def test_burst_comes_out_of_the_buffer() -> None:
    with replayed("keithley_2450/burst") as port:
        smu = output(port)
        async with smu.forcing_voltage(2.0, limit_a=10e-3):
            assert await smu.burst(3) == (Reading(2e-3, False),) * 3


async def test_burst_that_is_lost_leaves_one_reading_a_measurement() -> None:
    with replayed("keithley_2450/burst_lost") as port:
        smu = output(port)
        async with smu.forcing_voltage(2.0, limit_a=10e-3):
            with pytest.raises(Silent):
                await smu.burst(3)


async def test_open_interlock_keeps_high_voltage_off() -> None:
    with (
        replayed("keithley_2450/interlock_open") as port,
        pytest.raises(InstrumentError, match="interlock") as refused,
    ):
        async with output(port).forcing_voltage(100.0, limit_a=1e-3):
            pytest.fail("100 V behind an open interlock")
    assert refused.value.code == 802


async def test_interlock_that_opens_brings_no_reading() -> None:
    with replayed("keithley_2450/interlock_opens") as port:
        smu = output(port)
        async with smu.forcing_voltage(100.0, limit_a=1e-3):
            with pytest.raises(InstrumentError, match="interlock"):
                await smu.measure()


async def test_no_reading_is_believed_after_the_power_has_gone() -> None:
    with replayed("keithley_2450/power_lost") as port:
        smu = output(port)
        async with smu.forcing_voltage(3.6, limit_a=1e-3):
            with pytest.raises(EquipmentError, match="is off: no reading is believed"):
                await smu.measure()


async def test_nothing_comes_out_after_a_power_that_went_while_it_was_off() -> None:
    with replayed("keithley_2450/power_lost_while_off") as port:
        for smu in made(port).channels.values():
            with pytest.raises(EquipmentError, match="lost its power meanwhile"):
                async with smu.forcing_voltage(3.6, limit_a=1e-3):
                    pytest.fail("wires and terminals are not as they were set")


async def test_no_burst_is_believed_after_the_power_has_gone() -> None:
    with replayed("keithley_2450/burst_with_the_output_off") as port:
        smu = output(port)
        async with smu.forcing_voltage(2.0, limit_a=0.01):
            with pytest.raises(EquipmentError, match="is off: no reading is believed"):
                await smu.burst(3)
