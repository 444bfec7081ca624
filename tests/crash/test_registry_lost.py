"""The registry of the plant is lost, or what speaks with it: at each claim, before it came and after."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.crash.points import Cut, Kind
from tests.crash.yard import Yard


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(prefix="hardbin-crash-") as folder:
        yard = Yard(Path(folder), patch, site=True)
        asyncio.run(yard.build())
        yield yard


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", ["registry", "vault", "site power", "station"])
def test_a_die_is_sealed_and_claimed_once_whatever_is_lost_at_its_claims(yard: Yard, kind: Kind) -> None:
    reference = asyncio.run(yard.play(None))
    assert (reference.ends, reference.complaints()) == (["SEALED", "DONE"], [])
    wrong = []
    for number in range(1, reference.plant.points.passed["claim"] + 1):
        for moment in ("before", "after"):
            cut = Cut(kind, "claim", number, "before" if moment == "before" else "after")
            played = asyncio.run(yard.play(cut))
            complaints = played.complaints()
            if complaints or played.ends[-1:] != ["DONE"] or played.plant.struck is None:
                wrong.append(f"{cut}: {played.ends} {complaints}")
            yard.clear(played)
    assert wrong == []
