"""Plans of touchdowns: golden ones, and what holds for any card and any wafer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.roles.probe_card import MAX_TOUCHES, CardError, Place, ProbeCard

ROUND = [(x, y) for x in range(-8, 9) for y in range(-8, 9) if x * x + y * y <= 64]


def rectangle(width: int, height: int) -> ProbeCard:
    return ProbeCard({1 + at: (at % width, at // width) for at in range(width * height)})


DIAGONAL = ProbeCard({site: (site, site) for site in (1, 2, 3, 4)})


@pytest.mark.parametrize(
    ("card", "touchdowns"),
    [(rectangle(2, 2), 58), (rectangle(4, 2), 32), (rectangle(4, 4), 18), (DIAGONAL, 59)],
)
def test_golden_plans(card: ProbeCard, touchdowns: int) -> None:
    assert len(ROUND) == 197
    assert len(card.plan(ROUND)) == touchdowns


places = st.frozensets(st.tuples(st.integers(-6, 6), st.integers(-6, 6)), max_size=60)
cards = st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=6, unique=True).map(
    lambda offsets: ProbeCard(dict(enumerate(offsets, start=1)))
)


@settings(max_examples=60, deadline=None)
@given(cards, places)
def test_every_die_exactly_once_and_under_the_site_that_is_named(
    card: ProbeCard, dies: frozenset[Place]
) -> None:
    plan = card.plan(dies)
    covered = [place for landing in plan for place in landing.sites.values()]
    assert len(covered) == len(set(covered))
    assert dies.issuperset(covered)
    if len(card.offsets) == 1:
        assert dies == set(covered)
    touches = dict.fromkeys(dies, 0)
    for landing in plan:
        assert landing.sites
        over = card.over(landing.x, landing.y)
        assert landing.sites.items() <= over.items()
        for place in dies.intersection(over.values()):
            touches[place] += 1
    assert max(touches.values(), default=0) <= MAX_TOUCHES


def test_the_same_dies_give_the_same_plan() -> None:
    assert DIAGONAL.plan(ROUND) == DIAGONAL.plan(reversed(ROUND))


def test_rows_are_a_snake() -> None:
    plan = rectangle(1, 1).plan([(x, y) for x in range(3) for y in range(2)])
    assert [(landing.x, landing.y) for landing in plan] == [(0, 0), (1, 0), (2, 0), (2, 1), (1, 1), (0, 1)]


def test_a_site_lost_in_mid_wafer_is_planned_around() -> None:
    half = ProbeCard({1: (0, 0), 2: (1, 0)})
    done = {place for landing in half.plan(ROUND)[:20] for place in landing.sites.values()}
    rest = ProbeCard({1: (0, 0)}).plan(set(ROUND) - done)
    assert {landing.sites[1] for landing in rest} == set(ROUND) - done


@pytest.mark.parametrize("card", [rectangle(2, 1), ProbeCard({1: (0, 0), 2: (2, 1)})])
def test_off_the_wafer_where_it_is_forbidden(card: ProbeCard) -> None:
    strict = ProbeCard(card.offsets, off_wafer=False)
    with pytest.raises(CardError, match="no site of the card may land on die 0, 0"):
        strict.plan([(0, 0)])
    wafer = [(x, y) for x in range(4) for y in range(2)]
    plan = ProbeCard({1: (0, 0), 2: (1, 0)}, off_wafer=False).plan([(0, 0), (3, 1)], present=wafer)
    assert {place for landing in plan for place in landing.sites.values()} == {(0, 0), (3, 1)}
    for landing in plan:
        assert set(wafer).issuperset(strict.over(landing.x, landing.y).values()) or card.offsets[2] != (1, 0)


def test_pads_that_were_touched_too_often_are_left_alone() -> None:
    card = rectangle(2, 1)
    assert card.plan([(0, 0)], touches={(0, 0): MAX_TOUCHES}) == ()
    moved = card.plan([(1, 0)], present=[(0, 0), (1, 0)], touches={(0, 0): MAX_TOUCHES})
    assert moved[0].sites == {1: (1, 0)}


def test_cards_that_cannot_be() -> None:
    with pytest.raises(CardError, match="one site or more"):
        ProbeCard({})
    with pytest.raises(CardError, match="two sites stand on the same die"):
        ProbeCard({1: (0, 0), 2: (0, 0)})


def test_no_dies_no_touchdowns() -> None:
    assert rectangle(2, 2).plan([]) == ()


def test_another_visit_is_by_a_site_that_is_not_barred() -> None:
    card = ProbeCard({1: (0, 0), 2: (1, 0), 3: (2, 0)})
    wafer = {(x, 0) for x in range(6)}
    again = {(1, 0): frozenset({1}), (4, 0): frozenset({1, 2, 3}), (5, 0): frozenset({1, 2})}
    plan = card.plan_again(again, present=wafer, touches={})
    met = {place: site for landing in plan for site, place in landing.sites.items()}
    assert met.keys() == {(1, 0), (5, 0)}, "no site is left for the other"
    assert all(site not in again[place] for place, site in met.items())
    assert all(
        card.over(*landing[:2])[site] == die for landing in plan for site, die in landing.sites.items()
    )
    assert card.plan_again({(1, 0): frozenset()}, present=wafer, touches={(1, 0): 3}) == (), "touched enough"
    assert card.plan_again({}, present=wafer, touches={}) == ()
