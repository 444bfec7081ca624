"""Faults that say more together than each alone, and what they stop."""

import sqlite3
from collections.abc import Iterator

import pytest

from station.vault.faults import Code
from station.vault.stops import SCHEMA, Stops
from station.vault.vigilance import OF_A_LOT, Place, Stop, Vigilance
from tests.station.vault.dies import NOW

HERE, THERE = Place("cell-1", "3", "L1"), Place("cell-1", "4", "L2")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    opened.executescript(SCHEMA)
    yield opened
    opened.close()


def test_three_wrong_macs_in_an_hour_stop_the_site() -> None:
    vigilance = Vigilance()
    for at in (0.0, 3601.0, 3602.0):
        vigilance.doubted(HERE, Code.R_MAC, NOW + at)
    vigilance.doubted(THERE, Code.R_MAC, NOW + 3603.0)
    vigilance.doubted(HERE, Code.LINK, NOW + 3603.0)
    assert vigilance.due() == []
    vigilance.doubted(HERE, Code.R_MAC, NOW + 3604.0)
    reason = "site 3 of cell-1: 3 wrong MACs in an hour"
    assert vigilance.due() == [Stop(Code.R_MAC, reason, "cell-1", "3")]
    assert vigilance.due() == []


def test_two_dies_in_a_row_without_the_transport_keys_stop_the_line() -> None:
    vigilance = Vigilance()
    vigilance.judged(HERE, Code.CARD_CRYPTOGRAM)
    vigilance.sealed()
    vigilance.judged(HERE, Code.CARD_CRYPTOGRAM)
    assert vigilance.due() == []
    vigilance.judged(THERE, Code.CARD_CRYPTOGRAM)
    assert [(stop.code, stop.site) for stop in vigilance.due()] == [(Code.CARD_CRYPTOGRAM, "")]


@pytest.mark.parametrize("code", sorted(OF_A_LOT))
def test_three_dies_of_a_lot_with_one_fault_stop_the_line(code: Code) -> None:
    vigilance = Vigilance()
    for place in (HERE, HERE, THERE):
        vigilance.judged(place, code)
    assert vigilance.due() == []
    vigilance.judged(HERE, code)
    vigilance.judged(HERE, code)
    assert [stop.reason for stop in vigilance.due()] == [f"3 dies of lot L1: {code.name}"]


def test_a_known_key_stops_the_line_at_once() -> None:
    vigilance = Vigilance()
    vigilance.judged(HERE, Code.SPKI_DUPLICATE)
    assert [(stop.code, stop.site) for stop in vigilance.due()] == [(Code.SPKI_DUPLICATE, "")]


def test_a_stop_outlives_the_process_until_it_is_released(db: sqlite3.Connection) -> None:
    stops, line = Stops(), Stop(Code.INTERNAL, "the vault failed itself")
    site = Stop(Code.R_MAC, "wrong MACs", "cell-1", "3")
    for stop in (site, line):
        stops.now(stop)
        stops.keep(db, stop, NOW)
    again = Stops()
    again.load(db)
    assert again.at("cell-1", "3") == "wrong MACs; the vault failed itself"
    assert again.at("cell-1", "4") == "the vault failed itself"
    assert sorted(again.release(db)) == ["INTERNAL: the vault failed itself", "R_MAC: wrong MACs"]
    assert again.at("cell-1", "3") == ""
    assert Stops().at("cell-1", "3") == ""


def test_a_site_that_is_stopped_leaves_the_others_alone() -> None:
    stops = Stops()
    stops.now(Stop(Code.UID_DUPLICATE, "a clone", "cell-1", "3"))
    assert stops.at("cell-1", "3") == "a clone"
    assert stops.at("cell-2", "3") == stops.at("cell-1", "30") == ""
