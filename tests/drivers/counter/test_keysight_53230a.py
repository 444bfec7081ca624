import asyncio
import math

import pytest

from drivers.counter.keysight_53230a import Keysight53230A, Keysight53230AInputs, Keysight53230AOptions
from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from tests.replay import ReplayPort, replayed, written
from tests.virtually import virtually


def made(port: ReplayPort) -> Keysight53230A:
    return Keysight53230A("counter", port, Keysight53230AOptions())


def inputs(port: ReplayPort) -> Keysight53230AInputs:
    return made(port).channels[""]


async def test_connect_leaves_it_waiting_for_nothing() -> None:
    with replayed("keysight_53230a/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()


async def test_another_model_is_refused() -> None:
    with replayed("keysight_53230a/another_machine") as port, pytest.raises(EquipmentError, match="53131A"):
        await made(port).connect()


async def test_input_is_set() -> None:
    with replayed("keysight_53230a/sets_an_input") as port:
        await inputs(port).set_input(1, level_v=0.9, slope="falling", impedance="50_ohm")


async def test_frequencies_end_by_service_request() -> None:
    with replayed("keysight_53230a/measures_a_frequency") as port:
        assert await inputs(port).frequency(count=2, gate_s=0.01) == (4e6, 4e6)


async def test_interval_is_from_one_channel_to_the_other() -> None:
    with replayed("keysight_53230a/measures_an_interval") as port:
        assert await inputs(port).interval() == (12.5e-9,)


def test_edge_that_never_comes_is_given_up() -> None:
    async def measure() -> None:
        with replayed("keysight_53230a/no_edge_comes") as port, pytest.raises(Silent):
            await inputs(port).interval(timeout_s=1.5)

    virtually(measure())


def test_a_measurement_whose_time_is_over_is_given_up_too() -> None:
    """Else the counter, which still waits for its edges, would refuse the next measurement."""

    async def measure() -> None:
        with replayed("keysight_53230a/no_edge_comes") as port, pytest.raises(TimeoutError):
            async with asyncio.timeout(1.2):
                await inputs(port).interval(timeout_s=60.0)

    virtually(measure())


def test_lost_service_request_costs_a_second() -> None:
    async def measure() -> None:
        with replayed("keysight_53230a/service_request_lost") as port:
            assert await inputs(port).frequency() == (4e6,)

    virtually(measure())


async def test_no_reading_of_a_block_that_is_short_is_believed() -> None:
    with replayed("keysight_53230a/block_cut_short") as port, pytest.raises(ProtocolError, match="short"):
        await inputs(port).frequency()


async def test_over_range_is_infinite() -> None:
    with replayed("keysight_53230a/over_range") as port:
        assert math.isinf((await inputs(port).frequency())[0])


async def test_refused_setting_is_told() -> None:
    with replayed("keysight_53230a/refuses_a_level") as port, pytest.raises(InstrumentError) as refused:
        await inputs(port).set_input(1, level_v=500.0)
    assert refused.value.code == -222


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keysight_53230a/answer_lost") as port, pytest.raises(Silent):
        await inputs(port).frequency()


async def test_channel_that_is_not_there_is_never_asked_for() -> None:
    port = written("")
    with pytest.raises(ValueError, match="channel 3: counter has channels 1 and 2"):
        await inputs(port).interval(3, 2)
    assert port.hops == 0
