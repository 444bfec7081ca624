"""The example that looks into its sockets before a lot: they are empty, or not at one site."""

from pathlib import Path

import pytest

from station import events
from station.custody.journal import read
from tests.cell.lots import LOT, lot_here

CURVE = Path(__file__).parents[2] / "sequences" / "example" / "curve.toml"
RUN = ("--station", str(CURVE), "--devices", "4", "--seed", "7")


@pytest.fixture(autouse=True)
def sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDBIN_CELL_SEQUENCE", "sequences.example.sockets:SOCKETS")


def told(out: Path) -> list[events.CheckTold]:
    return [one for one in read(out / LOT / "journal") if isinstance(one, events.CheckTold)]


def test_a_lot_begins_with_empty_sockets(tmp_path: Path) -> None:
    code, result = lot_here(tmp_path, *RUN)
    assert (code, result["tested"]) == (0, 4), result
    assert [(one.check, one.health, one.sites) for one in told(tmp_path)] == [("empty contacts", "ok", ())]


def test_what_draws_a_current_at_one_site_holds_the_lot(tmp_path: Path) -> None:
    code, result = lot_here(tmp_path, *RUN, "--fault", "other-2.trip")
    assert (code, result["state"], result["tested"]) == (12, "HELD", 0), result
    assert result["reason"].startswith("empty contacts: site 2: 10 stray_current: ")
    assert result["reason"].endswith(" A, allowed -1e-06 .. 1e-06")
    assert [(one.health, one.sites) for one in told(tmp_path)] == [("bad", (2,))]
