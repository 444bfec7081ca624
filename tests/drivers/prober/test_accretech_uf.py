"""The driver against the dialogues of the UF series, and bin coding by the user's profile."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.prober import accretech_uf
from drivers.prober.accretech_uf import AccretechOptions, AccretechUf
from drivers.protocols.accretech import (
    BinProfile,
    ChuckState,
    Place,
    Stb,
    control_map,
    on_wafer,
    place,
    slots,
    temperature,
    temperatures,
)
from drivers.roles import Identity
from drivers.roles.happening import AlarmRaised, CassetteEnded, Paused, Resumed, StartedByOperator
from drivers.roles.prober import Die, LotData
from tests.replay import ReplayPort, replayed, written

PLAIN = BinProfile(command="XB", done_stb=(69,), filler="-")


def made(port: ReplayPort, **options: Any) -> AccretechUf:
    if "mode" not in options:
        options = {"control_map": "dies.mdf", "ask_again_s": 0.01} | options
    return AccretechUf("prober", port, AccretechOptions(**options))


def mapped(path: Path, *dies: tuple[int, int]) -> str:
    path.write_text(
        "[HEAD]\nX=1\n[DIEINFO]\n" + "".join(f"PROB={x},{y}\nSKIP=9,9\n" for x, y in dies) + "[END]\n"
    )
    return str(path)


def told(prober: AccretechUf) -> list[object]:
    prober.heard = (events := list[object]()).append
    return events


async def binned(prober: AccretechUf, bins: Iterator[dict[int, int]]) -> AsyncGenerator[Any, None]:
    """Bin each touchdown and yield its positions."""
    async with aclosing(prober.touchdowns()) as touchdowns:
        async for touchdown in touchdowns:
            await prober.sort(next(bins))
            yield touchdown.positions


async def test_connects(tmp_path: Path) -> None:
    with replayed("accretech_uf/connects") as port:
        prober = made(port, control_map=mapped(tmp_path / "dies.mdf", (0, 0), (1, 0)))
        await prober.connect()
        assert await prober.dies() == (Die(0, 0), Die(1, 0))
        assert await prober.identify() == Identity("Accretech", "UF3000", "UF300001", "V1.02.3")
        assert await prober.raw("OP") == "OPSMITH"
        await prober.aclose()
    assert (port.opened, port.closed) == (1, 1)


async def test_coordinates_of_four_characters() -> None:
    with replayed("accretech_uf/connects_four_characters") as port:
        await made(port, mode="prober_master", bin_profile=PLAIN, coordinates=4).connect()


async def test_another_width_than_configured_is_refused() -> None:
    refused = pytest.raises(EquipmentError, match="with 4 characters, configured are 3")
    with replayed("accretech_uf/another_width") as port, refused:
        await made(port, mode="prober_master", bin_profile=PLAIN).connect()


async def test_a_prober_in_alarm_is_refused() -> None:
    with replayed("accretech_uf/in_alarm_at_connect") as port:
        prober = made(port, mode="prober_master", bin_profile=PLAIN)
        with pytest.raises(InstrumentError, match="S0001 VACUUM"):
            await prober.slots(1)
        with pytest.raises(InstrumentError, match="S0001 VACUUM"):
            await prober.connect()


async def test_an_alarm_is_told_with_code_and_text() -> None:
    with replayed("accretech_uf/vacuum_alarm") as port:
        prober = made(port)
        events = told(prober)
        with pytest.raises(InstrumentError, match="S0001 VACUUM"):
            await prober.contact()
    assert events == [AlarmRaised("S0001", "VACUUM")]


@pytest.mark.parametrize("text", ["[DIEINFO]\n", "PROB=1,1\n", ""])
async def test_a_control_map_that_names_no_die_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dies.mdf"
    path.write_text(text)
    with pytest.raises(EquipmentError, match="PROB=x,y is needed"):
        await made(written(""), control_map=str(path)).connect()
    with pytest.raises(EquipmentError, match="No such file"):
        await made(written(""), control_map=str(tmp_path / "none")).connect()


async def test_a_wafer_by_plan(tmp_path: Path) -> None:
    with replayed("accretech_uf/wafer_by_plan") as port:
        prober = made(port)
        prober._map = (Die(0, 0), Die(1, 0))
        found = []
        async with aclosing(prober.touchdowns()) as touchdowns:
            async for touchdown in touchdowns:
                found.append((touchdown.wafer, dict(touchdown.positions)))
                await prober.sort({1: 1})
    assert found == [("W1", {1: (0, 0)}), ("W1", {1: (1, 0)})]


async def test_a_wafer_by_route() -> None:
    with replayed("accretech_uf/wafer_by_route") as port:
        prober = made(port, mode="prober_master", bin_profile=PLAIN, mark=True)
        bins = iter(({1: 1}, {1: 7}))
        found = [positions async for positions in binned(prober, bins)]
    assert found == [{1: (0, 0)}, {1: (1, 0)}]


async def test_four_sites_at_the_edge_of_the_wafer() -> None:
    profile = BinProfile(
        command="XB",
        done_stb=(69, 78),
        verdict_bits="set_is_pass",
        bin_width=2,
        filler="..",
        chuck="down",
        counts_for_next=True,
        order="last_site_first",
    )
    with replayed("accretech_uf/four_sites_at_the_edge") as port:
        card = ((0, 0), (1, 0), (0, 1), (1, 1))
        sites = frozenset({1, 2, 3, 4})
        prober = made(port, mode="prober_master", bin_profile=profile, mark=True, card=card, sites=sites)
        found = [positions async for positions in binned(prober, iter([{1: 1, 2: 1, 3: 2}]))]
    assert found == [{1: (0, 0), 2: (1, 0), 3: (0, 1)}]


async def test_a_site_that_the_card_does_not_have_is_no_test() -> None:
    refused = pytest.raises(EquipmentError, match=r"names sites \[2\], which the card does not have")
    with replayed("accretech_uf/site_that_is_not_there") as port, refused:
        await made(port).sites_on_wafer()


async def test_from_elsewhere_it_is_sent_to_the_first_die() -> None:
    with replayed("accretech_uf/not_at_the_first_die") as port:
        assert await made(port).step_first() == Die(0, 0)


@pytest.mark.parametrize(
    ("dialogue", "die", "says"),
    [
        ("outside", (99, 99), "die 99, 99 is outside of the probing area: no test"),
        ("step_lands_elsewhere", (0, 0), "sent to die 0, 0, stands on die 1, 0: no test"),
    ],
)
async def test_steps_that_are_no_test(dialogue: str, die: tuple[int, int], says: str) -> None:
    with replayed(f"accretech_uf/{dialogue}") as port, pytest.raises(EquipmentError, match=says):
        await made(port).step_to(*die)


async def test_a_die_that_cannot_be_written_is_not_gone_to() -> None:
    port = written("ends \\r\\n\n> S1\n< S1Z0W1A0")
    with pytest.raises(EquipmentError, match="die -100, 0: coordinates have 3 characters"):
        await made(port).step_to(-100, 0)


async def test_a_subsite() -> None:
    with replayed("accretech_uf/subsite") as port:
        await made(port).step_to(0, 1, 2)


async def test_a_lost_service_request_is_made_good_by_asking() -> None:
    with replayed("accretech_uf/lost_service_request") as port:
        prober = made(port)
        await prober.step_to(1, 0)
        assert prober.requests.lost == 1


async def test_a_lost_request_of_the_next_die() -> None:
    with replayed("accretech_uf/lost_next_die") as port:
        prober = made(port)
        assert await prober.step_next() == Die(1, 0)
        assert prober.requests.lost == 1


async def test_lost_requests_of_contact_and_separation() -> None:
    with replayed("accretech_uf/lost_up_and_down") as port:
        prober = made(port)
        assert await prober.contact()
        await prober.separate()
        assert prober.requests.lost == 2


async def test_a_request_that_never_comes_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accretech_uf, "LOAD_S", 0.02)
    with pytest.raises(Silent, match="'U' did not end with 71 within 0.02 s"):
        await made(written("ends \\r\\n\n> U")).unload()


async def test_several_service_requests_for_one_move() -> None:
    with replayed("accretech_uf/several_service_requests") as port:
        prober = made(port)
        await prober.step_to(0, 0)
        assert prober.requests.stale == 1
        await prober.requests.drain(prober._noticed)
        assert prober.requests.stale == 2


async def test_a_poll_without_rqs_is_nobodys() -> None:
    port = written("ends \\r\\n\n> U\n! 2\n! 71")
    prober = made(port)
    await prober.unload()
    assert prober.requests.stale == 1


async def test_waiting_is_no_time_out_while_an_operator_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accretech_uf, "Z_S", 0.5)
    with replayed("accretech_uf/paused_by_the_operator") as port:
        prober = made(port)
        events = told(prober)
        assert await prober.contact()
    assert events == [Paused(), Resumed()]


async def test_a_warning_is_told_with_its_code_and_text() -> None:
    with replayed("accretech_uf/warned") as port:
        prober = made(port)
        events = told(prober)
        assert await prober.contact()
    assert events == [AlarmRaised("S0001", "VACUUM")]


async def test_a_chuck_that_somebody_raised_is_no_test() -> None:
    with replayed("accretech_uf/raised_by_hand") as port:
        prober = made(port)
        events = told(prober)
        assert await prober._do("JY000X000", {Stb.DIE_DONE}, 1.0) == Stb.DIE_DONE
        with pytest.raises(EquipmentError, match="somebody has raised the chuck, on die 0, 0: no test"):
            await prober.contact()
        await prober.separate()
    assert events == [StartedByOperator()]


async def test_safe_is_separated_whatever_was_said_meanwhile() -> None:
    port = written(
        "ends \\r\\n\n> S1\n< S1Z1W1A1\n! 76\n> E\n< ES0001\n> e\n< eVACUUM\n> D\n! 68\n> S1\n< S1Z0W1A1"
    )
    await made(port).make_safe()
    port.script.assert_finished()


async def test_a_chuck_that_stays_up_is_an_error() -> None:
    port = written("ends \\r\\n\n> S1\n< S1Z1W1A0\n> D\n! 68\n> S1\n< S1Z1W1A0")
    with pytest.raises(EquipmentError, match="told to separate, and still in contact"):
        await made(port).separate()


async def test_a_chuck_that_was_raised_without_contact_is_lowered() -> None:
    with replayed("accretech_uf/no_contact") as port:
        prober = made(port)
        assert not await prober.contact()
        await prober.separate()


async def test_a_command_that_was_not_understood() -> None:
    with replayed("accretech_uf/bad_format") as port:
        prober = made(port)
        with pytest.raises(InstrumentError, match="O0660 bad format"):
            await prober._do("h9999X", {Stb.TEMPERATURE_TAKEN}, 1.0)
        await prober.reset()


@pytest.mark.parametrize("status", [99, 84, 117])
async def test_ends_that_forbid_to_go_on(status: int) -> None:
    prober = made(written(f"ends \\r\\n\n> U\n! {status}"))
    events = told(prober)
    with pytest.raises(InstrumentError) as caught:
        await prober.unload()
    assert caught.value.code == status
    assert len(events) == 1


async def test_what_is_only_told() -> None:
    prober = made(
        written("ends \\r\\n\n> U\n! 87\n> E\n< EW0001\n> e\n< eclean\n! 82\n! 90\n! 91\n! 112\n! 71")
    )
    events = told(prober)
    await prober.unload()
    assert events == [AlarmRaised("W0001", "clean"), CassetteEnded(0), Paused(), Resumed()]
    await prober._noticed(Stb.STOPPED)
    await prober._noticed(Stb.STARTED)


async def test_no_more_wafer() -> None:
    refused = pytest.raises(EquipmentError, match="no wafer in slot 5 of cassette 1")
    with replayed("accretech_uf/no_more_wafer") as port, refused:
        await made(port).load(1, 5)


async def test_a_cassette_that_is_not_there() -> None:
    refused = pytest.raises(EquipmentError, match="there is no cassette 2")
    with replayed("accretech_uf/no_cassette") as port, refused:
        await made(port).slots(2)


async def test_temperature() -> None:
    with replayed("accretech_uf/heats") as port:
        prober = made(port)
        await prober.start_heater(85.0)
        assert await prober.temperature() == 25.0
        assert await prober.soaked()
        await prober.start_heater(-55.0)
        with pytest.raises(EquipmentError, match="201 °C: -55 to 200 are allowed"):
            await prober.start_heater(201.0)
        with pytest.raises(InstrumentError, match="abnormal"):
            await prober._do("h2010", {Stb.TEMPERATURE_TAKEN}, 1.0)


async def test_the_rest() -> None:
    with replayed("accretech_uf/aligns_and_cleans") as port:
        prober = made(port, clean_command="NC")
        await prober.align()
        await prober.clean_needles()
        assert await prober.lot_info() == LotData(product="SE1", operator="SMITH")
        await prober.end_lot()
        prober._place_of_wafer = (1, 1)
        await prober.end_lot()


async def test_what_nobody_knows_how_to_say() -> None:
    prober = made(written(""))
    with pytest.raises(EquipmentError, match="no clean_command is named"):
        await prober.clean_needles()
    with pytest.raises(EquipmentError, match="by sort"):
        await prober.mark({Die(0, 0): 1})
    with pytest.raises(EquipmentError, match="takes map 'se1'"):
        await prober.load_map("se1")
    with pytest.raises(EquipmentError, match="tells the bins"):
        await prober.read_map()


async def test_an_answer_to_another_question() -> None:
    with pytest.raises(ProtocolError, match="'QY000X000' is no answer to b"):
        await made(written("ends \\r\\n\n> b\n< QY000X000")).wafer_id()


async def test_occupied() -> None:
    assert await made(written("ends \\r\\n\n> S1\n< S1Z0W1A0")).occupied()


# -- words
def test_places() -> None:
    assert place(-3, 5, 3) == "Y005X-03"
    assert place(1, 4, 4) == "Y0004X0001"
    assert Place.decode("QY005X-03", "Q") == Place(-3, 5, 0, 3)
    for reply in ("QY5", "qY005X003", "QY0005X003"):
        with pytest.raises(ProtocolError, match="is no answer to Q"):
            Place.decode(reply, "Q")


def test_chuck() -> None:
    for state in (ChuckState(True, False, True), ChuckState(False, True, False)):
        assert ChuckState.decode(state.encode()) == state
    for reply in ("S1", "S1Z2W0A0", "S2Z1W1A0"):
        with pytest.raises(ProtocolError, match="is no answer to S1"):
            ChuckState.decode(reply)


def test_other_words() -> None:
    assert slots("w1" + "10" * 12 + "1.0" + "0" * 25) == {1: "10" * 12 + "1", 2: ""}
    with pytest.raises(ProtocolError, match="is no answer to w"):
        slots("w1")
    assert (temperature(25.0), temperature(-55.0)) == ("h0250", "h-550")
    assert temperatures("f0250-550") == (25.0, -55.0)
    with pytest.raises(ProtocolError, match="a chuck that is controlled"):
        temperatures("f")
    assert on_wafer("OC@A") == {1, 2, 9}
    with pytest.raises(ProtocolError, match="is no answer to O"):
        on_wafer("A")
    assert control_map("[DIEINFO]\nPROB=1,-2\nMARK=3,3\n[X]\nPROB=9,9") == ((1, -2),)


PROFILES = [
    (PLAIN, "XB17-"),
    (BinProfile(command="B", done_stb=(69,), bin_encoding="base"), "BAG@"),
    (BinProfile(command="B", done_stb=(69,), bin_encoding="hex", bin_width=2, filler="--"), "B0107--"),
    (BinProfile(command="B", done_stb=(69,), verdict_bits="set_is_pass", filler="-"), "BA17-"),
    (BinProfile(command="B", done_stb=(69,), verdict_bits="set_is_fail", site_group=2, filler="-"), "BB@17-"),
    (BinProfile(command="B", done_stb=(69,), order="last_site_first", filler="-"), "B-71"),
]


@pytest.mark.parametrize(("profile", "line"), PROFILES)
def test_bins_by_profile(profile: BinProfile, line: str) -> None:
    assert profile.encode({1: 1, 2: 7}, 3) == line
    assert profile.decode(line, 3) == {1: 1, 2: 7}
    assert {1, 7} <= profile.bins
    with pytest.raises(ProtocolError, match="has not 4 bins"):
        profile.decode(line, 4)


def test_what_is_no_bin() -> None:
    with pytest.raises(ProtocolError, match="'x' is no bin"):
        PLAIN.decode("XBx", 1)
    assert 0 not in BinProfile(command="B", done_stb=(69,), bin_encoding="base").bins


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"command": ""}, "command '': letters are needed"),
        ({"done_stb": ()}, r"done_stb \[\]: one or more of 64 to 127"),
        ({"done_stb": (2,)}, r"done_stb \[2\]"),
        ({"site_group": 7}, "site_group 7: 1 to 6 is allowed"),
        ({"filler": "ab"}, "filler 'ab': 1 characters are needed"),
        ({"bin_encoding": "base", "bin_width": 2, "filler": "ab"}, "the encoding base has one character"),
        ({"counts_for_next": True}, "needs chuck = down"),
    ],
)
def test_profiles_that_cannot_be_meant(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BinProfile(**({"command": "B", "done_stb": (69,)} | fields))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "prober_master"}, "mark and prober_master need bin_profile"),
        ({"control_map": "x", "mark": True}, "need bin_profile"),
        ({}, "tester_master needs control_map"),
        ({"control_map": "x", "ask_again_s": 0.0}, "ask_again_s 0: more than 0"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        AccretechOptions(**options)
