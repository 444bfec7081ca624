"""A table that cannot be valid is refused when it is made, and says everything that is wrong with it."""

import inspect
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sequences import estimators
from sequences.se1 import final_test, known_answers, site
from sequences.se1.final_test import FINAL_TEST
from station.errors import SequenceError
from station.model import Bin, BinKind, Limit, Personalisation
from station.sequence import (
    Die,
    Earlier,
    Functional,
    Parametric,
    Personalise,
    Retest,
    Retry,
    Sequence,
    Site,
    StationBins,
    While,
)
from station.source import of_modules

GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
BAD = Bin(3, "bad", hard=3)
SPOILED = Bin(10, "spoiled", hard=6)
ERROR = Bin(20, "error", hard=7, kind=BinKind.OTHER)
BINS = StationBins(GOOD, ERROR, Bin(22, "default", hard=3), Bin(21, "untested", hard=7, kind=BinKind.OTHER))
LIMIT = Limit(0, 1, "V")


async def volts(site: Site) -> float:
    return 0.5


async def amps(site: Site) -> float:
    return 0.5


async def works(site: Site) -> bool:
    return True


async def personalise(site: Site, die: Die) -> Personalisation:
    raise NotImplementedError


@asynccontextmanager
async def powered(site: Site) -> AsyncGenerator[None, None]:
    yield


def made(*rows: Any, bins: StationBins = BINS, retest: Retest | None = None) -> Sequence[Site]:
    return Sequence("s", "1", Site, bins, rows, retest=retest or Retest())


BEST, FAIR = (Bin(n, f"grade {n}", hard=n, kind=BinKind.PASS) for n in (11, 12))
millivolts: Any = "mV"
NARROW = Limit(0, 0.2, "V")


def always(earlier: Earlier) -> bool:
    return True


def graded(number: int, run: Any, *grades: tuple[Limit, Bin]) -> Parametric[Site]:
    return Parametric(number, run, LIMIT, BAD, grades=grades)


WRONG: list[tuple[str, Any, dict[str, Any]]] = [
    ("not marked skippable", (Functional(1, works, BAD, when=always),), {}),
    ("unit 'mV' is none of none at all, V, A,", (Parametric(1, volts, Limit(0, 1, millivolts), BAD),), {}),
    ("marginal = 0.5", (Parametric(1, volts, LIMIT, BAD, marginal=0.5),), {}),
    ("with both limits", (Parametric(1, volts, Limit(None, 1, "V"), BAD, marginal=0.1),), {}),
    ("retry.times = 0", (Functional(1, works, BAD, retry=Retry(times=0)),), {}),
    ("retry.settle_s = -1", (Functional(1, works, BAD, retry=Retry(settle_s=-1)),), {}),
    ("retry.settle_s = inf", (Functional(1, works, BAD, retry=Retry(settle_s=float("inf"))),), {}),
    ("it must be pass", (graded(1, volts, (LIMIT, BAD)),), {}),
    ("is in 'A', not in 'V'", (graded(1, volts, (Limit(0, 1, "A"), BEST)),), {}),
    ("last grade must hold", (graded(1, volts, (NARROW, BEST)),), {}),
    ("last grade must hold", (graded(1, volts, (Limit(None, 0.9, "V"), BEST)),), {}),
    ("two of its grades have one bin", (graded(1, volts, (NARROW, BEST), (LIMIT, BEST)),), {}),
    (
        "no row tells which is the better one",
        (graded(1, volts, (LIMIT, BEST)), graded(2, amps, (LIMIT, FAIR))),
        {},
    ),
    (
        "grades are in no order",
        (
            graded(1, volts, (NARROW, BEST), (LIMIT, FAIR)),
            graded(2, amps, (NARROW, FAIR), (LIMIT, BEST)),
        ),
        {},
    ),
    ("has no row", (), {}),
    ("numbers rise", (Parametric(2, volts, LIMIT, BAD), Parametric(1, amps, LIMIT, BAD)), {}),
    ("numbers rise", (Parametric(2, volts, LIMIT, BAD), Parametric(2, amps, LIMIT, BAD)), {}),
    ("'volts' is taken", (Parametric(1, volts, LIMIT, BAD), Parametric(2, volts, LIMIT, BAD)), {}),
    ("outside 1", (Parametric(0, volts, LIMIT, BAD),), {}),
    ("has no bin", (Parametric(1, volts, LIMIT),), {}),
    ("has no bin", (While(powered, (Parametric(1, volts, LIMIT, BAD),)),), {}),
    ("has no rows", (While(powered, (), BAD), Parametric(1, volts, LIMIT, BAD)), {}),
    ("of kind pass", (Parametric(1, volts, LIMIT, GOOD),), {}),
    ("must be the last", (Personalise(1, personalise, SPOILED), Parametric(2, volts, LIMIT, BAD)), {}),
    ("shared with nothing", (Personalise(1, personalise, Bin(10, "spoiled", hard=3)),), {}),
    (
        "no other row may use it",
        (Functional(1, works, SPOILED), Personalise(2, personalise, SPOILED)),
        {},
    ),
    (
        "spoiled device is never",
        (Personalise(1, personalise, SPOILED),),
        {"retest": Retest(frozenset({SPOILED}))},
    ),
    ("is a passing bin", (Parametric(1, volts, LIMIT, BAD),), {"retest": Retest(frozenset({GOOD}))}),
    (
        "is used by no row",
        (Parametric(1, volts, LIMIT, BAD),),
        {"retest": Retest(frozenset({Bin(9, "x", 3)}))},
    ),
    ("two names", (Parametric(1, volts, LIMIT, Bin(22, "other", hard=3)),), {}),
    ("mixes", (Parametric(1, volts, LIMIT, Bin(4, "other", hard=1)),), {}),
    ("must be other", (Parametric(1, volts, LIMIT, BAD),), {"bins": StationBins(GOOD, BAD, BAD, ERROR)}),
    ("timeout_s", (Parametric(1, volts, LIMIT, BAD, timeout_s=0),), {}),
]


@pytest.mark.parametrize(("says", "rows", "options"), WRONG, ids=[w[0] for w in WRONG])
def test_misuse_is_refused_at_load(says: str, rows: Any, options: dict[str, Any]) -> None:
    with pytest.raises(SequenceError, match=says):
        made(*rows, **options)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SequenceError, match=r"numbers rise.*has no bin"):
        made(Parametric(2, volts, LIMIT, BAD), Parametric(1, amps, LIMIT))


def test_the_fingerprint_follows_every_part_of_the_table() -> None:
    base = made(Parametric(1, volts, LIMIT, BAD))
    others = [
        made(Parametric(2, volts, LIMIT, BAD)),
        made(Parametric(1, amps, LIMIT, BAD)),
        made(Parametric(1, volts, Limit(0, 2, "V"), BAD)),
        made(Parametric(1, volts, LIMIT, Bin(4, "other", hard=3))),
        made(While(powered, (Parametric(1, volts, LIMIT, BAD),), BAD)),
        made(Parametric(1, volts, LIMIT, BAD), retest=Retest(frozenset({BAD}))),
    ]
    assert base.fingerprint() == made(Parametric(1, volts, LIMIT, BAD)).fingerprint()
    assert len({base.fingerprint(), *(other.fingerprint() for other in others)}) == len(others) + 1


def test_the_fingerprint_rests_on_the_modules_that_the_rows_call_into() -> None:
    names = (site.__name__, known_answers.__name__, estimators.__name__, final_test.__name__)
    found = b"".join(of_modules(test.run.__module__ for test in FINAL_TEST.tests()))
    for name in names:
        assert inspect.getsource(sys.modules[name]).encode() in found
    assert inspect.getsource(sys.modules["station.model"]).encode() not in found


def test_the_final_test_of_se1_is_what_it_says() -> None:
    numbers = [test.number for test in FINAL_TEST.tests()]
    assert numbers == sorted(numbers)
    assert FINAL_TEST.personalises
    assert FINAL_TEST.spoiled not in FINAL_TEST.retest.bins
    kinds = {definition.name: definition.kind for definition in FINAL_TEST.definitions()}
    assert kinds["continuity"] == "M"
    assert kinds["idd_idle"] == "P"
    assert kinds["personalise"] == "F"


def test_a_fingerprint_has_what_a_row_says_beside_its_limit() -> None:
    plain = Parametric(1, volts, LIMIT, BAD, skippable=True)
    said = (
        plain,
        replace(plain, retry=Retry()),
        replace(plain, retry=Retry(times=2)),
        replace(plain, when=always),
        replace(plain, marginal=0.1),
        replace(plain, grades=((LIMIT, BEST),)),
    )
    assert len({made(row).fingerprint() for row in said}) == len(said)
