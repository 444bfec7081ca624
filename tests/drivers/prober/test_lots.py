"""Whole lots on simulated probers, and what goes wrong in them."""

import asyncio
import itertools
from collections import Counter
from contextlib import aclosing
from typing import Any

import pytest

from drivers.errors import EquipmentError
from drivers.prober.mpi_sentio import MpiSentio
from drivers.protocols.accretech import BinProfile
from drivers.roles.happening import (
    AlarmRaised,
    CassetteEnded,
    LotEnded,
    TemperatureReached,
    WaferEnded,
    WaferLoaded,
)
from drivers.roles.probe_card import MAX_TOUCHES
from drivers.roles.prober import Die
from tests.drivers.prober.cells import (
    Cell,
    accretech_cell,
    lot,
    nucleus_cell,
    sentio_cell,
    velox_cell,
    velox_gpib_cell,
    virtually,
)
from tests.wafers import Wafers

ROUND = [(x, y) for y in range(-3, 4) for x in range(-3, 4) if x * x + y * y <= 9]
BOTH = [
    (cell, mode)
    for cell in (sentio_cell, velox_cell, velox_gpib_cell, accretech_cell)
    for mode in ("tester_master", "prober_master")
]
MARKING = [sentio_cell, velox_cell, velox_gpib_cell, accretech_cell]
OVER_TCP = [sentio_cell, velox_cell]
FOUR = {"sites": frozenset({1, 2, 3, 4}), "card": ((0, 0), (1, 0), (0, 1), (1, 1))}


def wafers(count: int = 2) -> Wafers:
    return Wafers(ROUND, [f"W{number}" for number in range(1, count + 1)])


@pytest.mark.parametrize(("cell", "mode"), BOTH)
def test_a_lot_of_two_wafers(cell: Cell, mode: str) -> None:
    run = lot(cell, wafers(), mode=mode)
    assert run.complete
    assert run.touchdowns == 2 * len(ROUND)
    assert run.events == [
        WaferLoaded(1, 1, "W1"),
        WaferEnded("W1"),
        WaferLoaded(1, 2, "W2"),
        WaferEnded("W2"),
        CassetteEnded(1),
        LotEnded(),
    ]


@pytest.mark.parametrize(
    "fault", ["", "empty_reply@p=0.05", "truncate=1@p=0.05", "truncate=3@p=0.05", "drop_reply@p=0.05"]
)
@pytest.mark.parametrize("card", [((0, 0),), FOUR["card"]])
def test_a_wafer_put_there_by_hand(fault: str, card: Any) -> None:
    sites = frozenset(range(1, len(card) + 1))
    run = lot(nucleus_cell, wafers(1), *filter(None, [fault]), card=card, sites=sites)
    assert run.complete
    assert run.marked == {}
    assert run.events == [WaferLoaded(0, 0, "wafer"), WaferEnded("wafer"), CassetteEnded(0), LotEnded()]


@pytest.mark.parametrize("cell", MARKING)
def test_bins_stand_in_the_map_of_the_prober(cell: Cell) -> None:
    run = lot(cell, wafers())
    assert run.marked == run.expected


@pytest.mark.parametrize("cell", MARKING)
def test_no_marks_unless_wanted(cell: Cell) -> None:
    run = lot(cell, wafers(), mark=False)
    assert run.complete
    assert run.marked == {}


@pytest.mark.parametrize(("cell", "mode"), BOTH)
@pytest.mark.parametrize("card", [FOUR["card"], ((0, 0), (1, 1), (2, 2), (3, 3))])
def test_cards_with_four_sites(cell: Cell, mode: str, card: Any) -> None:
    run = lot(cell, wafers(1), mode=mode, sites=FOUR["sites"], card=card)
    assert run.complete
    assert run.touchdowns < len(ROUND)


def test_some_slots_of_both_cassettes() -> None:
    run = lot(sentio_cell, wafers(30), cassettes=(1, 2), slots=(3,))
    assert {wafer for wafer, _, _ in run.expected} == {"W3", "W28"}


def test_a_slot_without_a_wafer_is_told_before_anything_moves() -> None:
    with pytest.raises(EquipmentError, match=r"cassette 1 has no wafer in slots \[7\]"):
        lot(sentio_cell, wafers(), slots=(1, 7))


@pytest.mark.parametrize(
    ("cell", "fault", "says"),
    [
        (sentio_cell, "shift_die=1,0@every=9", "stands on"),
        (sentio_cell, "door_open@every=20", "front door open"),
        (sentio_cell, "edge_quirk@every=9", "out of bounds"),
        (sentio_cell, "alarm=2@every=40", "execution error"),
        (velox_cell, "shift_die=0,1@every=9", "stands on"),
        (velox_gpib_cell, "door_open@every=20", "a door is open"),
        (velox_cell, "edge_quirk@every=9", "outside of the probing area"),
        (velox_gpib_cell, "alarm=9500@every=40", "error 9500"),
        (accretech_cell, "shift_die=0,1@every=9", "stands on"),
        (accretech_cell, "edge_quirk@every=9", "outside of the probing area"),
        (accretech_cell, "alarm=S0042@every=40", "S0042"),
        (accretech_cell, "manual_start@every=9", "somebody has raised the chuck"),
        (accretech_cell, "door_open@every=20", "DOOR OPEN"),
        (accretech_cell, "coord_width@every=30", "writes coordinates with 4 characters, configured are 3"),
        (sentio_cell, "loader=155@every=2", "loader"),
        (velox_gpib_cell, "loader@every=2", "the loader has lost the wafer"),
        (accretech_cell, "loader=E0155@every=2", "E0155"),
        (sentio_cell, "wafer_stuck@once", "vacuum"),
        (nucleus_cell, "shift_die=0,1@every=9", "stands on"),
        (nucleus_cell, "alarm=Motor@every=40", "Motor"),
    ],
)
def test_what_goes_wrong_is_told_and_tests_no_wrong_die(cell: Cell, fault: str, says: str) -> None:
    run = lot(cell, wafers(1 if cell is nucleus_cell else 2), fault, faults=40)
    assert run.complete
    assert run.faults
    assert any(says in str(error) for error in run.faults)
    assert run.marked == ({} if cell is nucleus_cell else run.expected)


def test_dies_that_give_no_contact_are_left_alone_after_three_touches() -> None:
    run = lot(sentio_cell, wafers(1), "contact_fail@p=0.5", faults=40)
    touched = Counter(run.wafers.landings)
    assert len(run.expected) < len(ROUND)
    assert run.marked == run.expected
    assert max(touched.values(), default=0) <= MAX_TOUCHES


def test_a_route_that_steps_elsewhere_is_no_test() -> None:
    with pytest.raises(EquipmentError, match="stepped to die .*, stands on die .*: no test"):
        lot(sentio_cell, wafers(), "shift_die=0,1@every=5", mode="prober_master")


@pytest.mark.parametrize("cell", [sentio_cell, velox_cell, accretech_cell, nucleus_cell])
def test_contact_that_fails_once_is_made_after_a_cleaning(cell: Cell) -> None:
    run = lot(cell, wafers(1 if cell is nucleus_cell else 2), "contact_fail@every=7")
    assert run.complete
    assert run.faults == []


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        *((cell, fault) for cell in OVER_TCP for fault in ("chunk=1", "coalesce", "chunk=3@p=0.5")),
        (sentio_cell, "number_format"),
        (velox_cell, "other_client@p=0.3"),
        (velox_cell, "no_newline@p=0.2"),
    ],
)
def test_lines_may_come_as_they_like(cell: Cell, fault: str) -> None:
    assert lot(cell, wafers(), fault).complete


@pytest.mark.parametrize("cell", OVER_TCP)
@pytest.mark.parametrize("fault", ["rst@every=70", "drop_reply@every=70", "drop_tx@every=90"])
def test_lost_answers_and_connections_hold_the_lot_and_lose_no_die(cell: Cell, fault: str) -> None:
    run = lot(cell, wafers(), fault, faults=60)
    assert run.complete
    assert run.faults
    assert run.marked.items() >= run.expected.items()


@pytest.mark.parametrize(
    "fault",
    [
        "drop_srq@p=0.05",
        "dup_srq=3@p=0.2",
        "late_srq=3000@p=0.1",
        "split_srq@p=0.3",
        "spurious_stb@p=0.3",
        "pause=2000@p=0.05",
    ],
)
@pytest.mark.parametrize("mode", ["tester_master", "prober_master"])
def test_service_requests_may_come_as_they_like(fault: str, mode: str) -> None:
    if fault.startswith("drop_srq"):
        run = lot(accretech_cell, wafers(), fault, faults=30, mode=mode)
    else:
        run = lot(accretech_cell, wafers(), fault, mode=mode)
    assert len(run.expected) + len(run.faults) >= 2 * len(ROUND)
    assert run.marked.items() >= run.expected.items()


@pytest.mark.parametrize("counts", [True, False])
def test_bins_that_also_step(counts: bool) -> None:
    profile = BinProfile(
        command="XB", done_stb=(69,), bin_width=3, filler="...", chuck="down", counts_for_next=counts
    )
    run = lot(accretech_cell, wafers(), bin_profile=profile, mode="prober_master")
    assert run.complete
    assert run.marked == run.expected


def test_a_prober_that_alone_knows_its_dies() -> None:
    run = lot(accretech_cell, wafers(), control_map="", mode="prober_master")
    assert run.complete


@pytest.mark.parametrize("cell", OVER_TCP)
def test_vacuum_that_is_not_there_moves_nothing(cell: Cell) -> None:
    with pytest.raises(EquipmentError, match="without vacuum"):
        lot(cell, wafers(), "vacuum_fail")


def test_landed_again_is_the_same_die() -> None:
    stack = wafers(1)

    async def life() -> None:
        async with sentio_cell(stack) as prober, aclosing(prober.touchdowns()) as touchdowns:
            first = await anext(touchdowns)
            await prober.replunge()
            with pytest.raises(EquipmentError, match="nothing was sent"):
                await prober.sort({1: 1})
            assert await anext(touchdowns) == first
            await prober.sort({1: 1})
            assert (await anext(touchdowns)).positions != first.positions

    virtually(life())
    assert stack.landings[0] == stack.landings[1]


@pytest.mark.parametrize(
    ("bins", "says"),
    [
        ({}, r"bins for sites \[\], in contact are \[1\]"),
        ({1: 1, 2: 1}, r"sites \[1, 2\]"),
        ({1: 128}, r"no hard bin \[128\]"),
    ],
)
def test_bins_that_cannot_be_right_are_not_sent(bins: dict[int, int], says: str) -> None:
    stack = wafers(1)

    async def life() -> None:
        async with sentio_cell(stack) as prober, aclosing(prober.touchdowns()) as touchdowns:
            await anext(touchdowns)
            with pytest.raises(EquipmentError, match=says):
                await prober.sort(bins)
            with pytest.raises(EquipmentError, match="neither binned nor landed again"):
                await anext(touchdowns)

    virtually(life())
    assert stack.marks == {}
    assert stack.down


def test_a_lot_that_was_stopped_goes_on_with_the_dies_that_have_no_result() -> None:
    stack = wafers(1)

    async def life() -> None:
        async with sentio_cell(stack) as prober:
            seen = list[Any]()
            for _ in range(3):
                async with aclosing(prober.touchdowns()) as touchdowns:
                    for _ in range(5):
                        touchdown = await anext(touchdowns)
                        seen.append(touchdown.positions[1])
                        await prober.sort({1: 1})
                await prober.make_safe()
            assert len(set(seen)) == 15
            await prober.end_lot()
            await prober.start_lot("L2")
            async with aclosing(prober.touchdowns()) as touchdowns:
                assert (await anext(touchdowns)).positions[1] == seen[0]
            await prober.make_safe()
            await prober.start_lot("L3")

    virtually(life())
    assert not stack.down


@pytest.mark.parametrize(("cell", "mode"), BOTH)
def test_a_die_that_was_lifted_in_a_pause_is_landed_again(cell: Cell, mode: str) -> None:
    stack = wafers(1)

    async def life() -> None:
        async with cell(stack, mode=mode) as prober:
            async with aclosing(prober.touchdowns()) as touchdowns:
                await anext(touchdowns)
                await prober.sort({1: 1})
                lifted = await anext(touchdowns)
            await prober.pause()
            assert not stack.down
            await prober.resume()
            async with aclosing(prober.touchdowns()) as touchdowns:
                assert await anext(touchdowns) == lifted
                assert stack.down
                await prober.replunge()
            await prober.make_safe()
            async with aclosing(prober.touchdowns()) as touchdowns:
                assert await anext(touchdowns) == lifted
                assert stack.down

    virtually(life())
    assert len(set(stack.landings)) == 2


def test_a_die_that_was_left_in_a_pause_is_no_test() -> None:
    async def life() -> None:
        async with sentio_cell(wafers(1), mode="prober_master") as prober:
            async with aclosing(prober.touchdowns()) as touchdowns:
                await anext(touchdowns)
            await prober.step_to(1, 1)
            async with aclosing(prober.touchdowns()) as touchdowns:
                await anext(touchdowns)

    with pytest.raises(EquipmentError, match="was on die 0, -3 and stands on die 1, 1: no test"):
        virtually(life())


@pytest.mark.parametrize("cell", [sentio_cell, velox_cell, velox_gpib_cell])
def test_a_die_of_the_route_that_gave_no_contact_is_landed_on_again(cell: Cell) -> None:
    run = lot(cell, wafers(1), "contact_fail@every=9", mode="prober_master", contact_tries=1, faults=40)
    assert all("no contact on" in str(error) for error in run.faults)
    assert len(run.faults) > 2
    assert run.complete


def test_a_die_of_the_route_that_gives_no_contact_is_left_alone_after_three_touches() -> None:
    run = lot(sentio_cell, wafers(1), "contact_fail@p=0.5", mode="prober_master", contact_tries=1, faults=40)
    assert len(ROUND) - 10 < len(run.expected) < len(ROUND)
    assert max(Counter(run.wafers.landings).values()) <= MAX_TOUCHES


@pytest.mark.parametrize("cell", OVER_TCP)
def test_a_wait_that_is_cut_short_leaves_no_die_of_the_route_out(cell: Cell) -> None:
    stack = wafers(1)
    seen = list[Any]()

    async def arrived(prober: Any, within_s: float) -> bool:
        """Bin one touchdown; whether the lot goes on."""
        async with aclosing(prober.touchdowns()) as touchdowns:
            try:
                async with asyncio.timeout(within_s):
                    touchdown = await anext(touchdowns, None)
            except TimeoutError:
                await asyncio.sleep(5.0)
                return True
            if touchdown is not None:
                seen.append(touchdown.positions[1])
                await prober.sort({1: 1})
            return touchdown is not None

    async def life() -> None:
        async with cell(stack, mode="prober_master") as prober:
            assert await arrived(prober, 600.0)
            cuts = itertools.cycle((0.05, 600.0, 0.3, 600.0, 0.5, 600.0, 0.7, 600.0, 0.9, 600.0))
            while await arrived(prober, next(cuts)):
                await prober.make_safe()

    virtually(life())
    assert sorted(seen) == sorted(ROUND)


def test_needles_are_cleaned_every_so_often() -> None:
    async def life(clean_every: int) -> float:
        async with sentio_cell(wafers(1), clean_every=clean_every) as prober:
            async with aclosing(prober.touchdowns()) as touchdowns:
                async for _ in touchdowns:
                    await prober.sort({1: 1})
            return asyncio.get_running_loop().time()

    assert virtually(life(5)) - virtually(life(0)) > 4 * 5.0


def test_cleaning_goes_by_the_landings_of_earlier_lots_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def landed(before: int) -> list[int]:
        """Before which landings of this lot needles are cleaned."""
        cleaned = list[int]()
        async with sentio_cell(wafers(1), clean_every=50) as prober:
            prober.landed_before, clean = before, prober.clean_needles
            number = 0

            async def noted() -> None:
                cleaned.append(number)
                await clean()

            monkeypatch.setattr(prober, "clean_needles", noted)
            async with aclosing(prober.touchdowns()) as touchdowns:
                async for _ in touchdowns:
                    number += 1
                    await prober.sort({1: 1})
                    if number > 5:
                        break
        return cleaned

    assert virtually(landed(0)) == []
    assert virtually(landed(47)) == [3]
    assert virtually(landed(100)) == [0]


@pytest.mark.parametrize("cell", OVER_TCP)
def test_the_chuck_is_heated_and_soaks(cell: Cell) -> None:
    events = list[object]()

    async def life() -> float:
        async with cell(wafers(1)) as prober:
            prober.heard = events.append
            await prober.set_temperature(85.0, soak_s=300.0)
            assert abs(await prober.temperature() - 85.0) < 1.0
            return asyncio.get_running_loop().time()

    assert virtually(life()) > 1000.0
    assert events == [TemperatureReached(85.0)]


def test_a_temperature_that_is_never_reached_is_an_alarm() -> None:
    async def life() -> None:
        async with sentio_cell(wafers(1), "slow_soak", heating_s=1800.0) as prober:
            await prober.set_temperature(85.0, soak_s=0.0)

    with pytest.raises(EquipmentError, match="85 °C not reached within 1800 s"):
        virtually(life())


def test_without_a_loader_the_wafer_on_the_chuck_is_the_lot() -> None:
    stack = wafers(1)
    ended = list[object]()

    async def life() -> None:
        async with sentio_cell(stack, loader=False) as prober:
            prober.heard = ended.append
            await prober.load(1, 1)  # as a person would
            async with aclosing(prober.touchdowns()) as touchdowns:
                async for _ in touchdowns:
                    await prober.sort({1: 1})
            assert await prober.position() != Die(99, 99)

    virtually(life())
    assert len(stack.marks) == len(ROUND)
    assert WaferEnded("W1") in ended


def test_an_initialisation_that_hangs_is_aborted() -> None:
    async def life() -> float:
        async with sentio_cell(wafers(1), "hang_async") as prober:
            assert isinstance(prober, MpiSentio)
            with pytest.raises(EquipmentError, match="not initialised within .* it was aborted"):
                await prober.reset()
            async with aclosing(prober.touchdowns()) as touchdowns:
                assert await anext(touchdowns), "it can be used after that"
        return asyncio.get_running_loop().time()

    assert virtually(life()) < 600


def test_alarms_are_events() -> None:
    run = lot(sentio_cell, wafers(1), "alarm=61@every=40", faults=20)
    assert AlarmRaised("61", "loader door open") in run.events
