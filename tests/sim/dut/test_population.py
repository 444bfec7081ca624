"""What is drawn for a device, and what makes it good."""

from collections import Counter

import pytest

from sim.dut.population import IDEAL, SPEC, TYPICAL, Defect, Population, draw

N = 4000


def test_a_typical_lot_yields_what_its_rates_say() -> None:
    good = sum(draw(TYPICAL, 7, index).good for index in range(1, N + 1))
    assert 0.93 * N < good < 0.97 * N


def test_an_ideal_lot_is_good_and_far_from_every_limit() -> None:
    dies = [draw(IDEAL, 7, index) for index in range(1, N + 1)]
    assert all(die.good and not die.near(0.1) for die in dies)


def test_every_defect_comes_as_often_as_its_rate() -> None:
    seen = Counter(draw(TYPICAL, 3, index).defect for index in range(1, 2 * N + 1))
    for defect, rate in TYPICAL.rates.items():
        assert 0.3 * rate < seen[defect] / (2 * N) < 2.5 * rate


def test_a_device_depends_on_seed_and_number_alone() -> None:
    forwards = [draw(TYPICAL, 1, index) for index in range(1, 200)]
    backwards = [draw(TYPICAL, 1, index) for index in reversed(range(1, 200))]
    assert forwards == backwards[::-1]
    assert forwards != [draw(TYPICAL, 2, index) for index in range(1, 200)]


def test_another_rate_does_not_change_the_healthy_devices() -> None:
    more = TYPICAL.with_rate(Defect.PAIRWISE, 0.2)
    pairs = [(draw(TYPICAL, 1, index), draw(more, 1, index)) for index in range(1, 200)]
    assert any(a != b for a, b in pairs)
    assert all(a == b for a, b in pairs if b.defect is Defect.NONE)


@pytest.mark.parametrize("defect", [d for d in Defect if d not in (Defect.NONE, Defect.MARGINAL)])
def test_a_defect_is_bad(defect: Defect) -> None:
    assert all(not draw(IDEAL, 1, index, defect).good for index in range(1, 50))


def test_marginal_devices_lie_on_both_sides_of_a_limit() -> None:
    dies = [draw(IDEAL, 1, index, Defect.MARGINAL) for index in range(1, 400)]
    assert 0.3 < sum(die.good for die in dies) / len(dies) < 0.7
    assert all(die.near(0.09) for die in dies if die.good)
    assert all(die.outside() for die in dies if not die.good)


def test_an_ideal_lot_is_good_at_85_degrees() -> None:
    assert all(draw(IDEAL, 7, index).at(85.0).good for index in range(1, N + 1))


def test_heat_moves_drop_and_leakage() -> None:
    cold, hot = draw(IDEAL, 1, 1), draw(IDEAL, 1, 1).at(85.0)
    assert hot.drop_v[0] == pytest.approx(cold.drop_v[0] - 0.108)
    assert hot.leakage_a[0] == pytest.approx(cold.leakage_a[0] * 64)
    assert hot.good and hot.idle_a == cold.idle_a


def test_heat_can_take_a_marginal_device_out_of_spec() -> None:
    die = next(d for i in range(1, 100) if (d := draw(IDEAL, 1, i, Defect.MARGINAL)).good and d.pin)
    assert die.leakage_a[0] <= SPEC.leakage_a[1]
    assert die.at(85.0).outside().startswith("leakage")


def test_rates_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="may reach 1"):
        Population("too bad", {Defect.DEAD: 0.7, Defect.MUTE: 0.7}, dirt=0.0)


def test_a_leak_that_the_cold_hides_is_none_there() -> None:
    for index in range(1, 50):
        die = draw(IDEAL, 3, index, Defect.LEAKY_INPUT)
        assert (die.wrong(), die.at(-40.0).wrong(), die.at(85.0).wrong()) == (
            "leaky_input",
            "",
            "leaky_input",
        )
