"""Alarms of a vault beside those of a lot: they last, end and come again as the vault says."""

from typing import Any

import pytest

from station import events
from station.alarms import LASTING, OF_VAULT, PRIORITY, Alarms

NOW = 1_795_335_000.0


def told(what: str, leaf: int, **more: Any) -> events.VaultTold:
    return events.VaultTold(at=NOW, what=what, scope="line", why="w", origin="o", leaf=leaf, **more)


def of(alarms: Alarms) -> list[tuple[str, bool]]:
    return [(one.code, one.active) for one in alarms.all]


def test_every_word_of_a_vault_is_an_alarm_with_a_priority() -> None:
    assert set(OF_VAULT.values()) <= set(PRIORITY)
    assert set(PRIORITY) >= LASTING


def test_a_stop_lasts_until_it_is_released() -> None:
    alarms = Alarms()
    said = [told("line.stopped", 4), told("rate.unusual", 5)]
    for event in said:
        alarms.take(0, event)
    assert of(alarms) == [("vault_stopped", True), ("vault_rate", True)]
    alarms.begin("L2")
    assert of(alarms) == [("vault_stopped", True), ("vault_rate", False)]
    said += [told("line.released", 6, over=True), told("line.stopped", 7)]
    for event in (*said, *said):  # whoever follows reads them again with each lot
        alarms.take(0, event)
    assert [(one.id.split("/")[1], one.active) for one in alarms.all] == [
        ("4", False),
        ("5", False),
        ("7", True),
    ]


def test_whoever_looks_later_sees_the_same() -> None:
    live, later = Alarms(), Alarms()
    word = told("rate.unusual", 5)
    live.begin("L1", NOW - 1)
    live.take(0, word)
    later.take(0, word)  # the station's own journal is read first
    later.begin("L1", NOW - 1)
    assert live.all == later.all
    assert of(later) == [("vault_rate", True)]
    later.begin("L2", NOW + 1)
    assert of(later) == [("vault_rate", False)]


def test_an_alarm_without_an_end_is_over_when_it_is_seen() -> None:
    alarms = Alarms()
    alarms.take(0, told("rate.unusual", 5))
    alarms.take(0, told("line.stopped", 6))
    for one in alarms.all:
        alarms.take(0, events.Acknowledged(at=NOW, alarm=one.id, actor="p-1"))
    assert of(alarms) == [("vault_rate", False), ("vault_stopped", True)]
    assert {one.acknowledged for one in alarms.all} == {"p-1"}


@pytest.mark.parametrize("left", [0, 3])
def test_an_order_that_runs_out(left: int) -> None:
    alarms = Alarms()
    alarms.take(0, events.QuotaLow(at=NOW, order="WO-1", left=left, quantity=30, origin="o", leaf=9))
    (one,) = alarms.all
    assert (one.code, one.priority, one.reason) == ("vault_quota", "low", f"WO-1: {left} of 30 left")


def test_a_word_of_a_later_version_is_no_alarm() -> None:
    alarms = Alarms()
    alarms.take(0, told("not.known", 5))
    alarms.take(0, told("not.known", 6, over=True))
    assert alarms.all == ()
