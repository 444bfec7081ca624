"""What a cell with real machines has of the system."""

import sys
import time

import pytest

from drivers.transports.fair_selector import SWITCH_INTERVAL_S, FairSelector
from station.assemble import Hardware


def test_its_loop_is_the_one_that_ports_are_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told, made = list[float](), list[FairSelector]()

    class Made(FairSelector):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(sys, "setswitchinterval", told.append)
    monkeypatch.setattr("drivers.transports.fair_selector.FairSelector", Made)
    loop = Hardware().loop_factory()
    loop.close()
    assert told == [SWITCH_INTERVAL_S] and len(made) == 1
    assert loop.time is time.monotonic
