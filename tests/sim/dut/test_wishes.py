"""Which devices a fault hits, and with what."""

import pytest

from sim.dut.memory import PowerCut
from sim.dut.population import IDEAL, TYPICAL, Defect
from sim.dut.wishes import Wishes, wishes
from sim.faults import parse


def asked(*faults: str, seed: int = 1) -> Wishes:
    return wishes(tuple(parse(fault) for fault in faults), seed)


def hit(fault: str, devices: int = 100) -> list[int]:
    wanted = asked(fault)
    return [index for index in range(1, devices + 1) if wanted.defect(index) is not None]


@pytest.mark.parametrize(
    ("fault", "devices"),
    [
        ("dut.dead=17", [17]),
        ("dut.dead@once", [1]),
        ("dut.dead@every=25", [25, 50, 75, 100]),
        ("dut.dead", list(range(1, 101))),
        ("dut.dead@p=0", []),
        ("smu-1.trip", []),
    ],
)
def test_which_devices_get_a_defect(fault: str, devices: list[int]) -> None:
    assert hit(fault) == devices


def test_a_share_is_drawn_by_seed_and_number() -> None:
    some = hit("dut.dead@p=0.2", 1000)
    assert 150 < len(some) < 250
    assert some == hit("dut.dead@p=0.2", 1000)


def test_the_first_fault_that_hits_wins() -> None:
    wanted = asked("dut.kat=3", "dut.dead")
    assert [wanted.defect(index) for index in (2, 3)] == [Defect.DEAD, Defect.KAT]


def test_population_and_heat() -> None:
    assert asked("dut.population=ideal").population is IDEAL
    assert asked("dut.temperature=-40").celsius == -40.0
    assert (asked().population, asked().celsius) == (TYPICAL, 25.0)


def test_faults_of_the_chip_carry_a_value() -> None:
    assert asked("chip.mute_after=0@every=2").mute_after(2) == 0
    assert asked("chip.mute_after=0@every=2").mute_after(3) is None
    assert asked("chip.life_cycle").life_cycle(1) == 0x0F
    assert asked("chip.life_cycle=127").life_cycle(1) == 127


@pytest.mark.parametrize(
    ("fault", "cut"),
    [
        ("chip.power_cut", PowerCut(40, "torn")),
        ("chip.power_cut=7", PowerCut(7, "torn")),
        ("chip.power_cut=7:after", PowerCut(7, "after")),
        ("chip.power_cut=:before", PowerCut(40, "before")),
    ],
)
def test_a_power_cut_says_where_and_how(fault: str, cut: PowerCut) -> None:
    assert asked(fault).power_cut(1) == cut


def test_dirt_by_site_share_and_device() -> None:
    at_three = asked("socket.dirt=3@p=0.5")
    assert (at_three.open_chance(1, 1, 3), at_three.open_chance(1, 1, 2)) == (0.5, TYPICAL.dirt)
    tenth = asked("socket.dirt@every=10", "dut.population=ideal")
    assert [tenth.open_chance(index, 1, 1) for index in (9, 10)] == [0.0, 1.0]
    assert tenth.open_chance(10, 2, 1) == 0.0


def test_twins_by_pair() -> None:
    pairs = asked("dut.twin_uid@every=2")
    assert [index for index in range(1, 13) if pairs.twin(index)] == [4, 8, 12]
    assert [index for index in range(1, 9) if pairs.has_twin(index)] == [3, 4, 7, 8]
