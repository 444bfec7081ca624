import pytest

from drivers.errors import EquipmentError, InstrumentError, Silent
from drivers.relays.keithley_707b import Keithley707B, Keithley707BOptions, Keithley707BRelays
from tests.replay import ReplayPort, replayed, written


def made(port: ReplayPort, options: Keithley707BOptions | None = None) -> Keithley707B:
    return Keithley707B("matrix", port, options or Keithley707BOptions())


def relays(port: ReplayPort, options: Keithley707BOptions | None = None) -> Keithley707BRelays:
    return made(port, options).channels[""]


@pytest.mark.parametrize("dialogue", ["connects", "connects_3706a"])
async def test_connect_leaves_everything_open(dialogue: str) -> None:
    with replayed(f"keithley_707b/{dialogue}") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()
    assert (port.opened, port.closed) == (1, 1)


async def test_cards_are_checked_and_paths_forbidden_at_connect() -> None:
    options = Keithley707BOptions(
        cards={"1": "7174A"}, forbidden=frozenset({"1A01"}), rule="make_before_break", min_gap_s=0.001
    )
    with replayed("keithley_707b/connects_knowing_its_cards") as port:
        await made(port, options).connect()


async def test_another_card_is_refused() -> None:
    with (
        replayed("keithley_707b/another_card") as port,
        pytest.raises(EquipmentError, match="slot 3 holds 'Empty Slot', not a 7174A"),
    ):
        await made(port, Keithley707BOptions(cards={"3": "7174A"})).connect()


async def test_another_machine_is_refused() -> None:
    with (
        replayed("keithley_707b/another_machine") as port,
        pytest.raises(EquipmentError, match="2636B"),
    ):
        await made(port).connect()


async def test_block_closes_and_opens_its_own_paths_only() -> None:
    with replayed("keithley_707b/closes_for_a_while") as port:
        async with relays(port).closed({"1B02", "1A01"}):
            assert port.hops == 1
    assert port.hops == 2
    assert port.paused_s == pytest.approx(0.01)


async def test_only_these_are_closed() -> None:
    with replayed("keithley_707b/closes_only") as port:
        matrix = relays(port)
        await matrix.close_only({"1A01", "1B02"})
        assert await matrix.state() == {"1A01", "1B02"}


async def test_relay_that_does_not_close_is_told_and_the_others_are_opened() -> None:
    with (
        replayed("keithley_707b/relay_stays_open") as port,
        pytest.raises(EquipmentError, match="matrix: 1B02 was closed and is open"),
    ):
        async with relays(port).closed({"1A01", "1B02"}):
            pytest.fail("a path was used that is not there")


async def test_relay_that_does_not_open_is_told() -> None:
    with (
        replayed("keithley_707b/relay_stays_closed") as port,
        pytest.raises(EquipmentError, match="matrix: 1A01 was opened and is closed"),
    ):
        await relays(port).open({"1A01"})
    with (
        replayed("keithley_707b/relay_sticks_while_others_close") as port,
        pytest.raises(EquipmentError, match="matrix: 2H12 was opened and is closed"),
    ):
        await relays(port).close_only({"1A01"})


async def test_forbidden_path_is_refused_by_the_machine() -> None:
    with replayed("keithley_707b/forbidden_path") as port, pytest.raises(InstrumentError, match="forbidden"):
        await relays(port).close({"1A01"})


@pytest.mark.parametrize(("dialogue", "slot"), [("interlock_open", "1"), ("no_interlock", "3")])
async def test_open_interlock_opens_everything(dialogue: str, slot: str) -> None:
    options = Keithley707BOptions(interlocked=frozenset({slot}))
    with (
        replayed(f"keithley_707b/{dialogue}") as port,
        pytest.raises(EquipmentError, match=f"interlock of slot {slot} is not engaged"),
    ):
        await relays(port, options).close({"1A01"})


async def test_engaged_interlock_lets_close() -> None:
    with replayed("keithley_707b/interlock_engaged") as port:
        await relays(port, Keithley707BOptions(interlocked=frozenset({"1"}))).close({"1A01"})


async def test_silence_stays_silence_when_no_error_explains_it() -> None:
    with replayed("keithley_707b/answer_lost") as port, pytest.raises(Silent):
        await relays(port).state()


@pytest.mark.parametrize("path", ["1A1", "7A01", '1A01")', "allslots", ""])
async def test_what_is_no_path_is_never_sent(path: str) -> None:
    port = written("")
    with pytest.raises(ValueError, match="is no path"):
        await relays(port).close({path})
    assert port.hops == 0


async def test_no_path_opens_nothing() -> None:
    port = written("")
    await relays(port).open(())
    assert port.hops == 0


def test_options_name_slots_and_paths() -> None:
    with pytest.raises(ValueError, match="slots are 1 to 6"):
        Keithley707BOptions(cards={"0": "7174A"})
    with pytest.raises(ValueError, match="is no path"):
        Keithley707BOptions(forbidden=frozenset({"A01"}))


async def test_power_that_went_while_a_path_was_used_is_told() -> None:
    with (
        replayed("keithley_707b/power_lost") as port,
        pytest.raises(EquipmentError, match="1A01 was closed and has opened by itself"),
    ):
        async with relays(port).closed({"1A01"}):
            pass


async def test_nothing_is_closed_after_a_power_that_went_until_the_machine_is_set_up() -> None:
    """A path that was forbidden could be closed, as the machine has forgotten it."""
    options = Keithley707BOptions(forbidden=frozenset({"2A01"}))
    with replayed("keithley_707b/power_lost_while_open") as port:
        machine = made(port, options)
        for _ in range(2):
            with pytest.raises(EquipmentError, match="lost its power meanwhile"):
                async with machine.channels[""].closed({"1A01"}):
                    pytest.fail("nothing is as it was set")
        await port.run(machine._setting_up())
        await machine.channels[""].close({"1A01"})


def answers(*closed: str) -> str:
    read = '> print(channel.getclose("allslots"),errorqueue.count)\n< '
    return "\n".join(f"{read}{paths}\\t0.00000e+00" for paths in closed)


async def test_paths_that_were_lost_before_others_replace_them_are_told() -> None:
    chunk = 'if events<128 then channel.exclusiveclose("1A01") end print(events,errorqueue.count)'
    first = f"> events=status.standard.event {chunk}\n< 0.00000e+00\\t0.00000e+00\n> *OPC?\n< 1\n"
    matrix = relays(written(first + answers("1A01", "nil")))
    await matrix.close_only({"1A01"})
    with pytest.raises(EquipmentError, match="1A01 was closed and has opened by itself"):
        await matrix.close_only({"1B02"})
