import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.protocols.ers import Target, code, value
from drivers.thermal.ers_ac3 import ErsAc3, ErsAc3Chuck, ErsAc3Options
from tests.replay import ReplayPort, replayed, written
from tests.virtually import virtually


def made(port: ReplayPort, options: ErsAc3Options | None = None) -> ErsAc3:
    return ErsAc3("chuck", port, options or ErsAc3Options())


def chuck(port: ReplayPort) -> ErsAc3Chuck:
    return made(port).channels[""]


async def test_connect_leaves_it_in_standby() -> None:
    with replayed("ers_ac3/connects") as port:
        machine = made(port)
        await machine.connect()
        await machine.aclose()


async def test_line_end_and_dew_point_are_as_configured() -> None:
    options = ErsAc3Options(line_end="crlf", dew_point=False, min_gap_s=0.1)
    with replayed("ers_ac3/connects_crlf") as port:
        await made(port, options).connect()
    assert port.paused_s == pytest.approx(0.7)


async def test_what_answers_with_nothing_is_none() -> None:
    with (
        replayed("ers_ac3/another_machine") as port,
        pytest.raises(ProtocolError, match="3 times"),
    ):
        await made(port).connect()


def test_chuck_works_within_the_block_until_it_is_there() -> None:
    async def heat() -> None:
        with replayed("ers_ac3/heats") as port:
            hot = chuck(port)
            await hot.set(85.0)
            async with hot.flowing():
                assert await hot.reach(600.0) == 85.0

    virtually(heat())


async def test_soak_is_counted_by_the_station() -> None:
    with replayed("ers_ac3/soaks") as port:
        hot = chuck(port)
        await hot.set(85.0, soak_s=30.0)
        async with hot.flowing():
            assert not (await hot.status()).at_temperature
            port.paused_s += 30.0
            assert (await hot.status()).at_temperature


async def test_empty_answer_is_asked_for_again() -> None:
    with replayed("ers_ac3/not_ready_at_first") as port:
        hot = chuck(port)
        assert (await hot.status()).celsius == 85.0


async def test_dead_end_locks_it_until_a_person_has_looked() -> None:
    with replayed("ers_ac3/heater_dead") as port:
        hot = chuck(port)
        with pytest.raises(EquipmentError, match="error 61, heater 1: over current: a person must"):
            await hot.reach(600.0)
        with pytest.raises(EquipmentError, match="quarantined"):
            async with hot.flowing():
                pytest.fail("a dead heater was switched on")
        await hot.make_safe()


async def test_error_that_passes_is_told() -> None:
    with replayed("ers_ac3/dew_point") as port:
        hot = chuck(port)
        with pytest.raises(EquipmentError, match="error 17, dew point: defrosting"):
            await hot.reach(600.0)
        assert hot.turn.poisoned is None


async def test_mode_that_does_not_change_is_told() -> None:
    with (
        replayed("ers_ac3/stays_in_its_mode") as port,
        pytest.raises(EquipmentError, match="its mode is 2, asked for was 1"),
    ):
        async with chuck(port).flowing():
            pytest.fail("it does not work")


async def test_target_that_is_not_understood_is_told() -> None:
    with (
        replayed("ers_ac3/target_refused") as port,
        pytest.raises(InstrumentError, match="not understood"),
    ):
        await chuck(port).set(400.0)


async def test_silence_is_told() -> None:
    with replayed("ers_ac3/answer_lost") as port, pytest.raises(Silent):
        await chuck(port).stop()


async def test_other_answers_than_ok_and_other_targets_are_refused() -> None:
    with pytest.raises(ProtocolError, match=r"SO2 answered 'NO', not OK"):
        await chuck(written("> SO2\n< NO")).stop()
    with pytest.raises(EquipmentError, match="its target is 84 °C, asked for was 85 °C"):
        await chuck(written("> ST+0850\n< OK\n> RT\n< T+0840")).set(85.0)
    with pytest.raises(ProtocolError, match="'C0250' is not C and a temperature"):
        await chuck(written("> RC\n< C0250")).status()


@pytest.mark.parametrize(("text", "celsius"), [("C+0250", 25.0), ("C-600", -60.0), ("C-0005", -0.5)])
def test_values_may_have_fewer_digits(text: str, celsius: float) -> None:
    assert value(text, "C") == celsius


@pytest.mark.parametrize("text", ["", "?", "C", "T+0250", "C25.0", "C+0250 "])
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not C"):
        value(text, "C")
    with pytest.raises(ValueError, match="is not E"):
        code(text, "E")


def test_targets_are_written_and_read() -> None:
    assert [Target(c).encode() for c in (85.0, -40.0, 0.0)] == ["ST+0850", "ST-0400", "ST+0000"]
    assert Target.decode("ST-0400").celsius == -40.0
    with pytest.raises(ValueError, match="between -70 and 300"):
        Target.decode("ST+4000")


async def test_chuck_that_lost_its_power_is_not_waited_for() -> None:
    with (
        replayed("ers_ac3/power_lost") as port,
        pytest.raises(EquipmentError, match="chuck no longer works towards its temperature"),
    ):
        await chuck(port).reach(600.0)
