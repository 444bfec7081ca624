import pytest

from drivers.errors import EquipmentError, InstrumentError, Silent
from drivers.generator.keysight_33500b import Keysight33500B, Keysight33500BChannel, Keysight33500BOptions
from tests.replay import ReplayPort, replayed, written


def made(port: ReplayPort, options: Keysight33500BOptions | None = None) -> Keysight33500B:
    return Keysight33500B("clock", port, options or Keysight33500BOptions())


def output(port: ReplayPort) -> Keysight33500BChannel:
    return made(port).channels["1"]


async def test_connect_leaves_both_outputs_off() -> None:
    with replayed("keysight_33500b/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert sorted(machine.channels) == ["1", "2"]


async def test_load_is_told_at_connect() -> None:
    with replayed("keysight_33500b/connects_one_channel") as port:
        await made(port, Keysight33500BOptions(channels="1", load="50_ohm")).connect()


async def test_another_model_is_refused() -> None:
    with replayed("keysight_33500b/another_machine") as port, pytest.raises(EquipmentError, match="33120A"):
        await made(port).connect()


async def test_clock_is_on_within_the_block_only() -> None:
    with replayed("keysight_33500b/drives_a_clock") as port:
        clock = output(port)
        await clock.waveform("square", frequency_hz=4e6, amplitude_vpp=3.3, offset_v=1.65)
        async with clock.driving():
            assert port.hops == 2
    assert port.hops == 3


async def test_each_shape_has_the_settings_that_it_knows() -> None:
    with replayed("keysight_33500b/shapes") as port:
        source = output(port)
        await source.waveform("sine", frequency_hz=1e3, amplitude_vpp=1.0)
        await source.waveform("ramp", frequency_hz=100.0, amplitude_vpp=1.0)
        await source.waveform("pulse", frequency_hz=1e3, amplitude_vpp=1.0, duty=0.1)
    with pytest.raises(ValueError, match="a sine has no duty"):
        await output(written("")).waveform("sine", frequency_hz=1e3, amplitude_vpp=1.0, duty=0.1)


async def test_samples_are_played() -> None:
    with replayed("keysight_33500b/plays_samples") as port:
        samples = [0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.0, -1.0]
        await output(port).arbitrary(samples, rate_hz=1e6, amplitude_vpp=2.0)


@pytest.mark.parametrize("samples", [[0.0] * 7, [0.0] * 8 + [1.1], [0.0] * 65537, [float("nan")] * 8])
async def test_samples_that_cannot_be_played_are_never_sent(samples: list[float]) -> None:
    port = written("")
    with pytest.raises(ValueError, match="samples: 8 to 65536"):
        await output(port).arbitrary(samples, rate_hz=1e6, amplitude_vpp=2.0)
    assert port.hops == 0


async def test_bursts_come_at_the_word_of_the_station() -> None:
    with replayed("keysight_33500b/bursts") as port:
        source = output(port)
        await source.burst(10)
        async with source.driving():
            await source.trigger()
        await source.burst(None)
        with pytest.raises(InstrumentError, match="Trigger ignored"):
            await source.trigger()


async def test_refused_setting_is_told() -> None:
    with replayed("keysight_33500b/refuses_a_level") as port, pytest.raises(InstrumentError) as refused:
        await output(port).waveform("sine", frequency_hz=1e3, amplitude_vpp=30.0)
    assert refused.value.code == -222


async def test_output_that_stays_on_is_told() -> None:
    with replayed("keysight_33500b/stays_on") as port, pytest.raises(EquipmentError, match="still on"):
        async with output(port).driving():
            pass


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keysight_33500b/answer_lost") as port, pytest.raises(Silent):
        await output(port).switch_off()


async def test_power_that_went_while_it_drove_is_told() -> None:
    with (
        replayed("keysight_33500b/power_lost") as port,
        pytest.raises(EquipmentError, match="lost its power meanwhile"),
    ):
        async with output(port).driving():
            pass


async def test_nothing_comes_out_after_a_power_that_went_before() -> None:
    told = (
        '> *ESR?;:SYST:ERR?\n< 128;+0,"No error"\n> :OUTP1 OFF;:OUTP1?;*ESR?;:SYST:ERR?\n< 0;0;+0,"No error"'
    )
    port = written(told)
    with pytest.raises(EquipmentError, match="lost its power meanwhile"):
        async with output(port).driving():
            pytest.fail("a waveform was used that is not there")
    port.script.assert_finished()


async def test_power_that_went_is_lost_for_all_outputs_until_the_machine_is_set_up() -> None:
    with replayed("keysight_33500b/power_lost_between_blocks") as port:
        machine = made(port)
        first, second = machine.channels.values()
        await first.make_safe()
        await first.waveform("sine", frequency_hz=1e3, amplitude_vpp=3.3)
        for channel in (first, second):
            with pytest.raises(EquipmentError, match="lost its power meanwhile"):
                async with channel.driving():
                    pytest.fail("the load is not as it was set")
        await port.run(machine._setting_up())
