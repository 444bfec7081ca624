"""What was swept in a lot, read again from its journal and drawn as when it was swept."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from station import events
from station.cli.codes import Exit
from station.cli.lot import lot
from station.model import Axis, Measurement, Verdict
from station.past_sweeps import PastSweep, sweeps_of
from tests.station.console.lots import NOW, SOME, journalled

X = Axis("volts", 1.0, 3.0, 3)


def begun(site: int, row: int = 300) -> events.ShmooBegun:
    return events.ShmooBegun(
        at=NOW, seq=1, site=site, part=site, row=row, name="idd", x=X, actor="p-5", limit=None
    )


def point(site: int, x: float, verdict: Verdict) -> events.ShmooPoint:
    measured = Measurement(300, "idd", "P", verdict, value=x)
    return events.ShmooPoint(at=NOW, seq=1, site=site, row=300, x=x, measurement=measured)


def over(site: int, passed: int, tried: int, failed: str = "") -> events.ShmooEnded:
    return events.ShmooEnded(at=NOW, seq=1, site=site, row=300, passed=passed, tried=tried, failed=failed)


BOTH: list[Any] = [
    begun(1),
    begun(2),
    point(1, 1.0, Verdict.FAILED),
    point(2, 1.0, Verdict.PASSED),
    point(1, 2.0, Verdict.PASSED),
    over(2, 1, 1, "somebody went on"),
    point(1, 3.0, Verdict.PASSED),
    over(1, 2, 3),
    begun(2, 310),
    point(2, 1.0, Verdict.NOT_JUDGED),
]
"""Two sites at once; one breaks off, and the last sweep has no end."""


def test_sweeps_of_several_sites_are_kept_apart() -> None:
    first, second, third = sweeps_of([*SOME, *BOTH])
    assert [one.x for one in first.points] == [1.0, 2.0, 3.0]
    assert (second.begun.site, len(second.points)) == (2, 1)
    assert (third.ended, len(third.points)) == (None, 1)


async def test_they_are_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "L1").mkdir()
    await journalled(tmp_path / "L1", [*SOME, *BOTH])
    said = asked(tmp_path, "L1").output
    assert "site 1, device 1: 300 idd, by p-5" in said
    assert " .++" in said
    assert "2 of 3 points passed" in said
    assert "1 of 1 points passed; it broke off: somebody went on" in said
    assert "1 points, it has not ended" in said
    only = msgspec.json.decode(asked(tmp_path, "L1", "--row", "310", "--json").output, type=list[PastSweep])
    assert [one.begun.row for one in only] == [310]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("L9",), "no lot is there"),
        (("L1", "--site", "3"), "lot L1: nothing was swept at site 3"),
        (("L1", "--site", "1", "--row", "310"), "nothing was swept at site 1 in test 310"),
    ],
)
async def test_what_is_not_there_is_said(tmp_path: Path, more: tuple[str, ...], why: str) -> None:
    (tmp_path / "L1").mkdir()
    await journalled(tmp_path / "L1", [*SOME, *BOTH])
    found = asked(tmp_path, *more)
    assert found.exit_code == Exit.NOT_FOUND
    assert why in found.output


def asked(out: Path, *more: str) -> Result:
    return CliRunner().invoke(lot, ["sweeps", "--out", str(out), *more])
