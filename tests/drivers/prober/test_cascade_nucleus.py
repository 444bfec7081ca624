"""The driver against the dialogues of the Summit command set."""

from contextlib import aclosing
from typing import Any

import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError
from drivers.prober import cascade_nucleus
from drivers.prober.cascade_nucleus import CascadeNucleus, NucleusOptions
from drivers.protocols.nucleus import boolean, completed, integers, is_error, keywords, number
from drivers.roles import Identity
from drivers.roles.happening import AlarmRaised
from drivers.roles.prober import Die, LotData
from tests.replay import ReplayPort, replayed, written


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade_nucleus, "RETRY_S", 0.0)


def made(port: ReplayPort, **options: Any) -> CascadeNucleus:
    return CascadeNucleus("prober", port, NucleusOptions(**options))


async def test_connects() -> None:
    with replayed("cascade_nucleus/connects") as port:
        prober = made(port)
        await prober.connect()
        assert await prober.identify() == Identity("Cascade", "Cascade Microtech, Nucleus 4.1")
        await prober.aclose()
    assert (port.opened, port.closed) == (1, 1)


async def test_the_choice_of_answers_may_be_answered() -> None:
    with replayed("cascade_nucleus/connects_answered") as port:
        await made(port).connect()


async def test_a_wafer_by_plan() -> None:
    with replayed("cascade_nucleus/wafer_by_plan") as port:
        prober = made(port)
        found = []
        async with aclosing(prober.touchdowns()) as touchdowns:
            async for touchdown in touchdowns:
                found.append((touchdown.wafer, dict(touchdown.positions)))
                await prober.sort({1: 300})
    assert found == [("wafer", {1: (0, 0)}), ("wafer", {1: (1, 0)})]


async def test_a_step_that_lands_elsewhere_is_no_test() -> None:
    refused = pytest.raises(EquipmentError, match="sent to die 0, 0, stands on die 1, 0: no test")
    with replayed("cascade_nucleus/step_lands_elsewhere") as port, refused:
        await made(port).step_to(0, 0)


async def test_no_contact() -> None:
    refused = pytest.raises(EquipmentError, match="there is no contact")
    with replayed("cascade_nucleus/no_contact") as port, refused:
        async with made(port).contacting():
            raise AssertionError("entered")


async def test_contact_is_undone() -> None:
    with replayed("cascade_nucleus/contacting") as port:
        async with made(port).contacting():
            pass


async def test_a_chuck_that_stays_up_is_an_error() -> None:
    port = written("> :mov:cont? 2\n< TRUE\n> :mov:sep 2\n< COMPLETE\n> :mov:cont? 2\n< TRUE")
    with pytest.raises(EquipmentError, match="told to separate, and still in contact"):
        await made(port).make_safe()


async def test_any_other_text_is_an_error() -> None:
    with replayed("cascade_nucleus/error_text") as port:
        prober = made(port)
        prober.heard = (events := list[object]()).append
        with pytest.raises(InstrumentError, match="Location is out of range"):
            await prober._move(":mov:prob:abs:loc 99 99 0")
        with pytest.raises(InstrumentError, match=r":prob:die:loc\? 9: Location is out of range"):
            await prober._query(":prob:die:loc? 9", lambda text: integers(text, 2))
    assert events == [AlarmRaised("", "Location is out of range")] * 2


async def test_without_a_probe_plan() -> None:
    refused = pytest.raises(EquipmentError, match="is a probe plan loaded at the station")
    with replayed("cascade_nucleus/no_plan") as port, refused:
        await made(port).dies()


async def test_an_empty_answer_is_asked_for_again() -> None:
    with replayed("cascade_nucleus/not_ready") as port:
        assert await made(port).position() == Die(0, 0)


async def test_answers_that_are_cut_short() -> None:
    with replayed("cascade_nucleus/cut_short") as port:
        prober = made(port)
        assert await prober.raw("*idn?") == "Cascade Microtech, Nucleus 4.1"
        assert not await prober._in_contact_now()
        assert await prober.contact()


async def test_silence_is_asked_again() -> None:
    with replayed("cascade_nucleus/silent") as port:
        assert await made(port).temperature() == 25.0


async def test_a_completion_that_is_lost_is_no_error() -> None:
    with replayed("cascade_nucleus/completion_lost") as port:
        assert await made(port).contact()


async def test_temperature_and_the_way_out() -> None:
    with replayed("cascade_nucleus/heats") as port:
        prober = made(port)
        await prober.start_heater(85.0)
        assert await prober.temperature() == 25.0
        assert await prober.soaked()
        await prober.unload()


async def test_what_it_cannot_do() -> None:
    prober = made(written(""))
    verbs = (
        prober.slots(1),
        prober.load(1, 1),
        prober.align(),
        prober.step_next(),
        prober.clean_needles(),
        prober.mark({Die(0, 0): 1}),
        prober.load_map("x"),
    )
    for verb in verbs:
        with pytest.raises(EquipmentError, match="^prober: "):
            await verb
    assert await prober.occupied()
    assert await prober.lot_info() == LotData()
    assert await made(written("> :prob:ntes? 2\n< 1\n> :prob:die:loc? 1\n< 3 4")).read_map() == {
        Die(3, 4): None
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "prober_master"}, "the prober has no route"),
        ({"loader": True}, "loader: not on this prober"),
        ({"align": True}, "align: not on this prober"),
        ({"mark": True}, "mark: not on this prober"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        NucleusOptions(**options)


def test_words() -> None:
    assert completed("COMPLETE")
    assert completed("")
    assert not completed("COMPLETE!")
    assert [is_error(text) for text in ("", "F", "tr", "12", "COMP", "Error")] == [False] * 5 + [True]
    assert (boolean("true"), boolean(" FALSE ")) == (True, False)
    assert integers("3 -4", 2) == (3, -4)
    assert number("25.5") == 25.5
    assert keywords(":MOVE:Probe:abs:die? 2") == (":mov:pro:abs:die?", "2")
    for wrong in (
        lambda: boolean("T"),
        lambda: integers("1", 2),
        lambda: integers("a b", 2),
        lambda: number(""),
    ):
        with pytest.raises(ProtocolError, match="expected"):
            wrong()
