import math

import pytest

from drivers.dmm.keysight_34465a import Keysight34465A, Keysight34465AInputs, Keysight34465AOptions
from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from tests.replay import ReplayPort, replayed, written
from tests.virtually import virtually


def made(port: ReplayPort, options: Keysight34465AOptions | None = None) -> Keysight34465A:
    return Keysight34465A("dmm", port, options or Keysight34465AOptions())


def inputs(port: ReplayPort, *, auto_zero: bool = True) -> Keysight34465AInputs:
    return made(port, Keysight34465AOptions(auto_zero=auto_zero)).channels[""]


@pytest.mark.parametrize("dialogue", ["connects", "connects_34461a"])
async def test_connect_leaves_it_a_voltmeter_that_waits_for_nothing(dialogue: str) -> None:
    with replayed(f"keysight_34465a/{dialogue}") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert (port.opened, port.closed) == (1, 1)


async def test_another_model_is_refused() -> None:
    with replayed("keysight_34465a/another_machine") as port, pytest.raises(EquipmentError, match="34401A"):
        await made(port).connect()


async def test_one_reading_is_one_message() -> None:
    with replayed("keysight_34465a/reads_a_voltage") as port:
        dmm = inputs(port)
        await dmm.configure("dc_voltage", full_scale=10.0)
        assert await dmm.measure() == 1.8
    assert port.hops == 2


async def test_each_function_has_the_settings_that_it_knows() -> None:
    with replayed("keysight_34465a/four_wires_leave_the_leads_out") as port:
        dmm = inputs(port)
        await dmm.configure("resistance", full_scale=1000.0)
        assert await dmm.measure() == 100.2
        await dmm.configure("four_wire_resistance", nplc=10.0)
        assert await dmm.measure() == 100.0
        await dmm.configure("ac_voltage")
        assert await dmm.measure() == 0.0
    with replayed("keysight_34465a/without_zero") as port:
        dmm = inputs(port, auto_zero=False)
        await dmm.configure("dc_voltage", nplc=0.02)
        assert await dmm.measure() == 1.8


@pytest.mark.parametrize("dialogue", ["over_range", "open_leads"])
async def test_over_range_is_infinite(dialogue: str) -> None:
    with replayed(f"keysight_34465a/{dialogue}") as port:
        dmm = inputs(port)
        if dialogue == "open_leads":
            await dmm.configure("resistance", full_scale=1000.0)
        assert math.isinf(await dmm.measure())


async def test_several_readings_are_waited_for_by_service_request() -> None:
    with replayed("keysight_34465a/three_readings_by_service_request") as port:
        dmm = inputs(port)
        await dmm.configure("dc_voltage", full_scale=10.0)
        assert await dmm.read(3) == (1.8, 1.8, 1.8)


async def test_trigger_from_outside_and_by_a_word() -> None:
    with replayed("keysight_34465a/waits_for_a_pulse") as port:
        dmm = inputs(port)
        await dmm.configure("dc_voltage", full_scale=10.0)
        await dmm.trigger("external", delay_s=1e-3)
        assert await dmm.read() == (1.8,)
    with replayed("keysight_34465a/begins_at_a_word") as port:
        dmm = inputs(port)
        await dmm.configure("dc_voltage", full_scale=10.0)
        await dmm.trigger("bus")
        assert await dmm.read(3) == (1.8, 1.8, 1.8)


def test_pulse_that_never_comes_is_given_up() -> None:
    async def read() -> None:
        with replayed("keysight_34465a/pulse_never_comes") as port:
            dmm = inputs(port)
            await dmm.trigger("external")
            with pytest.raises(Silent, match="a measurement of 1 readings did not end"):
                await dmm.read(timeout_s=1.5)

    virtually(read())


def test_lost_service_request_costs_a_second() -> None:
    async def read() -> None:
        with replayed("keysight_34465a/service_request_lost") as port:
            dmm = inputs(port)
            await dmm.configure("dc_voltage", full_scale=10.0)
            assert await dmm.read(3) == (1.8, 1.8, 1.8)

    virtually(read())


@pytest.mark.parametrize("dialogue", ["service_request_of_another_cause", "service_request_twice"])
async def test_service_request_is_not_taken_for_an_end(dialogue: str) -> None:
    with replayed(f"keysight_34465a/{dialogue}") as port:
        dmm = inputs(port)
        await dmm.configure("dc_voltage", full_scale=10.0)
        for _ in range(2 if dialogue.endswith("twice") else 1):
            assert await dmm.read(3) == (1.8, 1.8, 1.8)


async def test_no_reading_of_a_block_that_is_short_is_believed() -> None:
    with replayed("keysight_34465a/block_cut_short") as port:
        dmm = inputs(port)
        await dmm.configure("dc_voltage", full_scale=10.0)
        with pytest.raises(ProtocolError, match="short of its length"):
            await dmm.read(3)


async def test_too_few_readings_are_not_believed() -> None:
    port = written(
        '> :SAMP:COUN 2;:INIT;*OPC;:SYST:ERR?\n< 0,"No error"\n! 0x60\n> *ESR?;:SYST:ERR?\n'
        '< 1;0,"No error"\n> R? 2\n< #13+18\n> :SYST:ERR?\n< 0,"No error"'
    )
    with pytest.raises(ProtocolError, match="brought 1 readings"):
        await inputs(port).read(2)


async def test_refused_setting_is_told() -> None:
    with replayed("keysight_34465a/refuses_a_range") as port, pytest.raises(InstrumentError) as refused:
        await inputs(port).configure("dc_voltage", full_scale=2000.0)
    assert refused.value.code == -222


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keysight_34465a/answer_lost") as port, pytest.raises(Silent):
        await inputs(port).measure()
