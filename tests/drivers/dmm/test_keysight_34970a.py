import math

import pytest

from drivers.dmm.keysight_34970a import (
    Keysight34970A,
    Keysight34970AOptions,
    Keysight34970AScanner,
    Keysight34970ASwitches,
)
from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from tests.replay import ReplayPort, replayed, written
from tests.virtually import virtually

THREE = Keysight34970AOptions(switches=frozenset({"201", "202", "203"}), cards={"2": "34903A"})


def made(port: ReplayPort, options: Keysight34970AOptions | None = None) -> Keysight34970A:
    return Keysight34970A("daq", port, options or Keysight34970AOptions())


def scanner(port: ReplayPort, delay_s: float = 0.0) -> Keysight34970AScanner:
    found = made(port, Keysight34970AOptions(delay_s=delay_s)).channels["scan"]
    assert isinstance(found, Keysight34970AScanner)
    return found


def switches(port: ReplayPort, options: Keysight34970AOptions = THREE) -> Keysight34970ASwitches:
    found = made(port, options).channels["switch"]
    assert isinstance(found, Keysight34970ASwitches)
    return found


@pytest.mark.parametrize("dialogue", ["connects", "connects_daq970a"])
async def test_connect_ends_what_was_scanned(dialogue: str) -> None:
    with replayed(f"keysight_34970a/{dialogue}") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()


async def test_cards_are_checked_and_switches_opened_at_connect() -> None:
    with replayed("keysight_34970a/connects_with_switches") as port:
        await made(port, THREE).connect()


async def test_another_card_or_machine_is_refused() -> None:
    with replayed("keysight_34970a/another_card") as port, pytest.raises(EquipmentError, match="a 34901A"):
        await made(port, Keysight34970AOptions(cards={"3": "34901A"})).connect()
    with replayed("keysight_34970a/another_machine") as port, pytest.raises(EquipmentError, match="34401A"):
        await made(port).connect()


async def test_scan_brings_each_reading_to_its_channel() -> None:
    with replayed("keysight_34970a/scans") as port:
        scan = scanner(port, delay_s=0.01)
        found = await scan.scan("dc_voltage", ["105", "101", "103", "101"], full_scale=10.0)
    assert found == {"101": 1.0, "103": 3.0, "105": 5.0}


async def test_alternating_volts_have_no_power_line_cycles() -> None:
    with replayed("keysight_34970a/scans_alternating_volts") as port:
        assert await scanner(port).scan("ac_voltage", ["101"]) == {"101": 0.0}


def test_scan_that_never_ends_is_given_up() -> None:
    async def scan() -> None:
        with replayed("keysight_34970a/scan_never_ends") as port, pytest.raises(Silent):
            await scanner(port).scan("dc_voltage", ["101"], timeout_s=1.0)

    virtually(scan())


def test_lost_service_request_costs_a_second() -> None:
    async def scan() -> None:
        with replayed("keysight_34970a/service_request_lost") as port:
            assert len(await scanner(port).scan("dc_voltage", ["101", "103", "105"])) == 3

    virtually(scan())


async def test_no_reading_of_a_block_that_is_short_is_believed() -> None:
    with replayed("keysight_34970a/block_cut_short") as port, pytest.raises(ProtocolError, match="short"):
        await scanner(port).scan("dc_voltage", ["101", "103", "105"])


async def test_over_range_is_infinite() -> None:
    with replayed("keysight_34970a/over_range") as port:
        found = await scanner(port).scan("dc_voltage", ["101", "103", "105"])
    assert math.isinf(found["101"])
    assert found["103"] == 3.0


async def test_refused_channel_leaves_no_end_behind() -> None:
    with replayed("keysight_34970a/refuses_a_channel") as port, pytest.raises(InstrumentError) as refused:
        await scanner(port).scan("dc_voltage", ["121"])
    assert refused.value.code == -222


async def test_block_closes_and_opens_its_own_switches_only() -> None:
    with replayed("keysight_34970a/closes_for_a_while") as port:
        async with switches(port).closed({"201", "202"}):
            assert port.hops == 1
    assert port.paused_s == pytest.approx(0.01)


async def test_only_these_are_closed() -> None:
    with replayed("keysight_34970a/closes_only") as port:
        relays = switches(port)
        await relays.close_only({"201", "202"})
        assert await relays.state() == {"201", "202"}


async def test_closing_only_nothing_opens_all() -> None:
    with replayed("keysight_34970a/closes_only_none") as port:
        await switches(port).close_only(())


async def test_relay_that_sticks_is_told() -> None:
    with (
        replayed("keysight_34970a/relay_stays_open") as port,
        pytest.raises(EquipmentError, match=r"daq\.switch: 202 was closed and is open"),
    ):
        async with switches(port).closed({"201", "202"}):
            pytest.fail("a path was used that is not there")
    with (
        replayed("keysight_34970a/relay_stays_closed") as port,
        pytest.raises(EquipmentError, match=r"daq\.switch: 202 was opened and is closed"),
    ):
        await switches(port).open({"202"})


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keysight_34970a/answer_lost") as port, pytest.raises(Silent):
        await switches(port).state()


async def test_wrong_number_of_states_is_refused() -> None:
    port = written('> :ROUT:CLOS? (@201,202,203);:SYST:ERR?\n< 1,0;0,"No error"')
    with pytest.raises(ProtocolError, match="answered '1,0'"):
        await switches(port).state()


async def test_what_is_no_switch_is_never_sent() -> None:
    port = written("")
    for paths in ({"301"}, {"101"}, {"2O1"}):
        with pytest.raises(ValueError, match=r"is no switch of daq\.switch; its switches are: 201, 202, 203"):
            await switches(port).close(paths)
    await switches(port).open(())
    none = switches(port, Keysight34970AOptions())
    await none.make_safe()
    assert await none.state() == frozenset()
    with pytest.raises(ValueError, match="its switches are: none"):
        await none.close({"201"})
    assert port.hops == 0


async def test_channels_are_written_as_slot_and_number() -> None:
    with pytest.raises(ValueError, match="'1' is no channel"):
        await scanner(written("")).scan("dc_voltage", ["1"])
    with pytest.raises(ValueError, match="a scan needs a channel"):
        await scanner(written("")).scan("dc_voltage", [])
    with pytest.raises(ValueError, match="slots are 1, 2 and 3"):
        Keysight34970AOptions(cards={"4": "34901A"})
    with pytest.raises(ValueError, match="is no channel"):
        Keysight34970AOptions(switches=frozenset({"4"}))
