"""Whoever tells of sites has the same of them, whatever took them out of use."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from station import events
from station.engine.history import history_of
from station.metrics.gauges import Counting, Instruments
from station.remote.view import View
from tests.station.console.lots import HELLO, NOW, loaded
from tests.station.console.test_picture import picture

OFF: list[tuple[events.Any, str]] = [
    (events.SiteSet(at=NOW, site=2, on=False, actor="p", reason="pin bent"), "pin bent"),
    (events.RuleTripped(at=NOW, rule="R1", site=2, action="site off", seen="3 fail"), "rule R1: 3 fail"),
    (events.Quarantined(at=NOW, resource="site 2", reason="no answer"), "no answer"),
]
ON: list[events.Any] = [
    events.SiteSet(at=NOW, site=2, on=True, actor="p", reason="cleaned"),
    events.Cleared(at=NOW, resource="site 2", actor="p", reason="repaired"),
]
NEITHER: list[events.Any] = [
    events.RuleTripped(at=NOW, rule="R1", site=2, action="hold", seen="3 fail"),
    events.Quarantined(at=NOW, resource="smu-2", reason="no answer"),
]
ALL = {1: "", 2: ""}


def of_history(*happened: events.Any) -> dict[int, str]:
    return ALL | history_of([loaded(), *happened]).off


def of_page(*happened: events.Any) -> dict[int, str]:
    return {tile.site: tile.why for tile in picture([loaded(), *happened]).sum.sites}


def on_network(*happened: events.Any) -> dict[int, bool]:
    view = View((1, 2))
    for line, event in enumerate([loaded(), *happened], start=1):
        view.take(line, event)
    return {site.site: site.use == "ON" for site in view.sites}


def in_metrics(*happened: events.Any) -> dict[int, bool]:
    made = Instruments(CollectorRegistry())
    counting = Counting(made, lambda: NOW)
    counting.greeted(HELLO)
    counting.begun(Path("L1"))
    for line, event in enumerate([loaded(), *happened], start=1):
        counting.happened(line, event)
    return {site: _value(made, site) == 1 for site in ALL}


def _value(made: Instruments, site: int) -> Any:
    labels = {"station": HELLO.station, "site": str(site)}
    return made.registry.get_sample_value("hardbin_site_enabled", labels)


@pytest.mark.parametrize(("off", "why"), OFF)
def test_a_site_is_out_of_use_everywhere_and_everywhere_in_use_again(off: events.Any, why: str) -> None:
    assert of_history(off) == of_page(off) == {1: "", 2: why}
    assert on_network(off) == in_metrics(off) == {1: True, 2: False}
    for on in ON:
        assert of_history(off, on) == of_page(off, on) == ALL
        assert on_network(off, on) == in_metrics(off, on) == {1: True, 2: True}


@pytest.mark.parametrize("said", NEITHER)
def test_what_is_said_of_something_else_switches_no_site_off(said: events.Any) -> None:
    assert of_history(said) == of_page(said) == ALL
    assert on_network(said) == in_metrics(said) == {1: True, 2: True}
