import math

import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.scope.keysight_infiniivision import (
    KeysightInfiniiVision,
    KeysightInfiniiVisionOptions,
    KeysightInfiniiVisionScope,
)
from tests.replay import ReplayPort, replayed, written
from tests.virtually import virtually

BYTES = KeysightInfiniiVisionOptions(points=100)


def made(port: ReplayPort, options: KeysightInfiniiVisionOptions | None = None) -> KeysightInfiniiVision:
    return KeysightInfiniiVision("scope", port, options or BYTES)


def scope(
    port: ReplayPort, options: KeysightInfiniiVisionOptions | None = None
) -> KeysightInfiniiVisionScope:
    return made(port, options).channels[""]


async def recorded(device: KeysightInfiniiVisionScope) -> None:
    await device.set_channel(1, full_scale_v=4.0, offset_v=1.0, probe=10.0)
    await device.set_time(1e-3)
    await device.set_trigger(1, level_v=1.0)
    await device.arm_single()
    await device.wait_trigger(1.0)


@pytest.mark.parametrize("dialogue", ["connects", "connects_dsox1102g"])
async def test_connect_leaves_it_waiting_for_nothing(dialogue: str) -> None:
    with replayed(f"keysight_infiniivision/{dialogue}") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()


async def test_another_maker_is_refused() -> None:
    with replayed("keysight_infiniivision/another_machine") as port, pytest.raises(EquipmentError):
        await made(port).connect()


def test_edge_is_recorded_and_comes_back_in_volts() -> None:
    async def record() -> None:
        with replayed("keysight_infiniivision/records_an_edge") as port:
            device = scope(port)
            await recorded(device)
            waveform = await device.waveform(1)
        assert (waveform.start_s, waveform.step_s) == (-5e-4, 1e-5)
        assert waveform.volts == (0.0,) * 50 + (2.0,) * 50
        assert not waveform.clipped

    virtually(record())


def test_words_have_more_digits() -> None:
    async def record() -> None:
        with replayed("keysight_infiniivision/records_words") as port:
            device = scope(port, KeysightInfiniiVisionOptions(points=100, samples="word"))
            await recorded(device)
            assert (await device.waveform(1)).volts == (0.0,) * 50 + (2.0,) * 50

    virtually(record())


def test_signal_that_left_the_screen_is_flagged() -> None:
    async def record() -> None:
        with replayed("keysight_infiniivision/clipped") as port:
            device = scope(port)
            await recorded(device)
            waveform = await device.waveform(1)
        assert waveform.clipped
        assert math.isinf(waveform.volts[0])

    virtually(record())


def test_trigger_that_never_comes_is_given_up() -> None:
    async def wait() -> None:
        with replayed("keysight_infiniivision/no_trigger") as port:
            device = scope(port)
            await device.arm_single()
            with pytest.raises(Silent, match="scope: no trigger within -1 s"):
                await device.wait_trigger(-1.0)

    virtually(wait())


def test_no_sample_of_a_block_that_is_short_is_believed() -> None:
    async def record() -> None:
        with replayed("keysight_infiniivision/record_cut_short") as port:
            device = scope(port)
            await recorded(device)
            with pytest.raises(ProtocolError, match="short of its length"):
                await device.waveform(1)

    virtually(record())


async def test_other_number_of_samples_than_announced_is_refused() -> None:
    preamble = "+0,+0,+4,+1,+1.0E-09,+0.0E+00,+0,+3.90625E-02,+0.0E+00,+128"
    port = written(
        "> :WAV:SOUR CHAN1;:WAV:FORM BYTE;:WAV:POIN:MODE RAW;:WAV:POIN 2000;:WAV:PRE?;*ESR?;:SYST:ERR?\n"
        f'< {preamble};0;0,"No error"\n> :WAV:DATA?\n< #12ab\n> :SYST:ERR?\n< 0,"No error"'
    )
    with pytest.raises(ProtocolError, match="2 bytes for 4 samples"):
        await scope(port, KeysightInfiniiVisionOptions(points=2000)).waveform(1)


async def test_refused_setting_and_missing_record_are_told() -> None:
    with replayed("keysight_infiniivision/refuses_a_range") as port, pytest.raises(InstrumentError):
        await scope(port).set_channel(1, full_scale_v=1e-6)
    with replayed("keysight_infiniivision/no_record") as port, pytest.raises(InstrumentError, match="stale"):
        await scope(port).waveform(2)


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keysight_infiniivision/answer_lost") as port, pytest.raises(Silent):
        await scope(port).wait_trigger(1.0)


async def test_channel_that_is_not_there_is_never_asked_for() -> None:
    port = written("")
    with pytest.raises(ValueError, match="channel 3: scope has channels 1 to 2"):
        await scope(port, KeysightInfiniiVisionOptions(channels=2)).waveform(3)
    assert port.hops == 0


async def test_power_that_went_is_not_taken_for_a_trigger() -> None:
    with (
        replayed("keysight_infiniivision/power_lost") as port,
        pytest.raises(EquipmentError, match="scope: it has lost its power meanwhile"),
    ):
        await scope(port).wait_trigger(1.0)


async def test_record_of_a_scope_that_lost_its_power_is_not_believed() -> None:
    told = (
        "> :WAV:SOUR CHAN1;:WAV:FORM BYTE;:WAV:POIN:MODE NORM;:WAV:POIN 100;:WAV:PRE?;*ESR?;:SYST:ERR?\n"
        '< +0,+0,+100,+1,+1.0E-05,-5.0E-04,+0,+1.5625E-02,+1.0E+00,+128;128;+0,"No error"'
    )
    with pytest.raises(EquipmentError, match="lost its power"):
        await scope(written(told)).waveform(1)
