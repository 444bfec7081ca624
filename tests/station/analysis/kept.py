"""Lots in stores, with two tests that follow each other; site 2 measures more, each fortieth part fails."""

from pathlib import Path

import numpy as np
from msgspec.structs import replace

from station.datalog.store import Store
from station.model import (
    Bin,
    BinKind,
    DeviceResult,
    Limit,
    Measurement,
    Place,
    TestDefinition,
    Verdict,
)
from station.set_up import WaferGeometry
from tests.station.datalog.lots import BEGAN, SUPPLY, lot, touchdown

GOOD = Bin(1, "good", 1, BinKind.PASS)
LIMIT = Limit(2e-3, 9e-3, "A")
TESTS = (
    TestDefinition(300, "idd_idle", "P", LIMIT),
    TestDefinition(310, "idd_twin", "P", Limit(0.0, 50e-3, "A")),
)
PARTS = 120


WAFER = 60
"""Dies of a wafer, 10 in a row."""


def kept(
    folder: Path,
    name: str,
    *,
    more: float = 0.0,
    tests: tuple[TestDefinition, ...] = TESTS,
    wafers: bool = False,
) -> None:
    """Leave a lot of two sites in its folder, of two wafers if asked; every value is `more` higher."""
    folder.mkdir(parents=True)
    store = Store(folder / "results.db")
    store.open()
    geometry = WaferGeometry(100.0, (5.0, 5.0)) if wafers else None
    store.begin(replace(lot(tests=tests), lot=name, wafers=geometry))
    for seq in range(1, PARTS // 2 + 1):
        parts = {site: 2 * seq - 2 + site for site in (1, 2)}
        places = {site: _place(part) if wafers else None for site, part in parts.items()}
        devices = (_device(site, part, more, tests, places[site]) for site, part in parts.items())
        store.commit(touchdown(seq, *devices))
    store.close()


def _place(part: int) -> Place:
    wafer, die = divmod(part - 1, WAFER)
    return Place(f"W{wafer + 1}", die % 10, die // 10)


def _device(
    site: int, part: int, more: float, tests: tuple[TestDefinition, ...], place: Place | None
) -> DeviceResult:
    noise = float(np.random.default_rng(part).normal(0, 0.3e-3))
    value = 5e-3 + noise + 2e-3 * (site == 2) + 9e-3 * (part % 40 == 0) + more
    passed = value <= 9e-3
    verdict = Verdict.PASSED if passed else Verdict.FAILED
    first, *others = tests
    measured = [Measurement(first.number, first.name, "P", verdict, value=value)]
    measured += [Measurement(one.number, one.name, "P", Verdict.PASSED, value=2 * value) for one in others]
    return DeviceResult(
        site,
        part,
        1,
        GOOD if passed else SUPPLY,
        verdict,
        tuple(measured),
        BEGAN + part,
        0.5,
        place=place,
    )
