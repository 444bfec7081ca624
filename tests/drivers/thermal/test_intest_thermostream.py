import math

import pytest

from drivers.errors import EquipmentError, Silent
from drivers.protocols.thermostream import errors, set_point, temperature
from drivers.roles import ThermalStatus
from drivers.thermal import intest_thermostream
from drivers.thermal.intest_thermostream import (
    InTestThermoStream,
    InTestThermoStreamHead,
    InTestThermoStreamOptions,
)
from drivers.uninterrupted import NotUndoneError
from tests.replay import ReplayPort, replayed


def made(port: ReplayPort, options: InTestThermoStreamOptions | None = None) -> InTestThermoStream:
    return InTestThermoStream("air", port, options or InTestThermoStreamOptions())


def head(port: ReplayPort) -> InTestThermoStreamHead:
    return made(port).channels[""]


async def test_connect_leaves_it_at_rest_with_its_limits() -> None:
    with replayed("intest_thermostream/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert port.paused_s > 4.0, "it needs four seconds after a reset"


async def test_thermocouple_and_limits_are_told_at_connect() -> None:
    options = InTestThermoStreamOptions(sensor="t", head=False, upper_air_c=225.0, lower_air_c=-80.0)
    with replayed("intest_thermostream/connects_with_a_thermocouple") as port:
        await made(port, options).connect()


async def test_another_machine_is_refused() -> None:
    with (
        replayed("intest_thermostream/another_machine") as port,
        pytest.raises(EquipmentError),
    ):
        await made(port).connect()


async def test_temperature_chooses_the_set_point() -> None:
    with replayed("intest_thermostream/sets_each_point") as port:
        air = head(port)
        await air.set(85.0, soak_s=30.0)
        await air.set(25.0, window_k=0.5, soak_s=10.0)
        await air.set(-40.0, soak_s=30.0)
    assert [set_point(c) for c in (-40.0, 20.0, 20.1, 29.9, 30.0)] == [2, 2, 1, 1, 0]


async def test_set_point_that_was_not_taken_is_told() -> None:
    with (
        replayed("intest_thermostream/set_point_out_of_range") as port,
        pytest.raises(EquipmentError, match="its set point is 25 °C, asked for was 300 °C"),
    ):
        await head(port).set(300.0, soak_s=30.0)


async def test_air_flows_within_the_block_only() -> None:
    with replayed("intest_thermostream/at_temperature") as port:
        air = head(port)
        async with air.flowing():
            assert await air.reach(10.0) == 84.5


async def test_temperature_counts_when_it_has_soaked() -> None:
    with replayed("intest_thermostream/soaks") as port:
        air = head(port)
        await air.set(85.0, soak_s=30.0)
        async with air.flowing():
            assert not (await air.status()).at_temperature
            assert await air.status() == ThermalStatus(85.0, at_temperature=True, active=True)


async def test_head_that_comes_down_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intest_thermostream, "HEAD_POLL_S", 0.0)
    with replayed("intest_thermostream/head_comes_down_slowly") as port:
        async with head(port).flowing():
            pass


async def test_locked_head_is_found_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intest_thermostream, "HEAD_S", 0.0)
    with (
        replayed("intest_thermostream/head_locked") as port,
        pytest.raises(EquipmentError, match="air: the head is up"),
    ):
        async with head(port).flowing():
            pytest.fail("air flows past the device")


@pytest.mark.parametrize(("dialogue", "says"), [("no_flow", "no air flows"), ("power_lost", "head is up")])
async def test_air_that_does_not_flow_is_told(dialogue: str, says: str) -> None:
    with replayed(f"intest_thermostream/{dialogue}") as port, pytest.raises(EquipmentError, match=says):
        async with head(port).flowing():
            pytest.fail("no air flows")


async def test_error_bits_are_named_and_no_device_is_judged() -> None:
    with replayed("intest_thermostream/low_flow") as port:
        air = head(port)
        async with air.flowing():
            with pytest.raises(EquipmentError, match="air: low flow"):
                await air.reach(10.0)


async def test_air_that_flows_on_is_told() -> None:
    with replayed("intest_thermostream/stays_on") as port, pytest.raises(NotUndoneError, match="still flows"):
        async with head(port).flowing():
            pass


async def test_silence_is_told() -> None:
    with replayed("intest_thermostream/answer_lost") as port, pytest.raises(Silent):
        await head(port).stop()


def test_words() -> None:
    assert errors(0) == ()
    assert errors(0b1001) == ("overheat", "low flow")
    assert errors(1 << 15) == ("error bit 15",)
    assert temperature("85.1") == 85.1
    assert math.isnan(temperature("999.9"))
    with pytest.raises(ValueError, match="could not"):
        temperature("85.1C")
