"""What a prober says out of turn, by the command: events of the lot, and holds."""

from pathlib import Path

import pytest

from station import events
from station.custody.journal import read
from tests.cell.lots import lot
from tests.cell.test_probers import PROBERS, station_with

(ACCRETECH,) = (path for path in PROBERS if path.stem == "accretech_uf")
STARTED = ["wafer loaded"]


def ran(folder: Path, *arguments: str) -> tuple[dict[str, object], list[events.MachineTold]]:
    station = ("--station", str(station_with(ACCRETECH, folder)), "--devices", "16", "--seed", "7")
    _, result = lot(folder / "out", *station, *arguments)
    told = [event for event in read(Path(str(result["journal"]))) if isinstance(event, events.MachineTold)]
    return result, told


def test_an_operator_may_have_the_prober_for_some_minutes(tmp_path: Path) -> None:
    result, told = ran(tmp_path, "--fault", "prober.pause=300@every=12")
    assert (result["state"], result["tested"]) == ("CLOSED", 16)
    named = [event.what for event in told]
    assert named[:1] == STARTED
    assert named[1:] == ["paused", "resumed"] * ((len(named) - 1) // 2)
    assert "resumed" in named
    assert {event.machine for event in told} == {"prober"}


@pytest.mark.parametrize(
    ("fault", "said", "why"),
    [
        ("pause=3600@every=12", ["paused"], "prober: paused at the machine for 15 min"),
        ("warning@every=12", ["alarm"], "prober: alarm: S0001 VACUUM"),
    ],
)
def test_what_a_person_must_look_at_holds_the_lot(
    fault: str, said: list[str], why: str, tmp_path: Path
) -> None:
    result, told = ran(tmp_path, "--fault", f"prober.{fault}")
    assert (result["state"], result["reason"]) == ("HELD", why)
    assert [event.what for event in told] == [*STARTED, *said]
    assert result["tested"] != 16, "nothing is tested after it"
    assert result["truth"]["custody"] == []  # type: ignore[index]


def test_wafers_come_and_go(tmp_path: Path) -> None:
    _, result = lot(tmp_path, "--flow", "wafer-sort", "--devices", "24", "--seed", "7")
    told = [event for event in read(Path(result["journal"])) if isinstance(event, events.MachineTold)]
    assert [event.what for event in told] == ["wafer loaded", "wafer ended", "cassette ended"]
    assert told[0].text == "T1-01, slot 1 of cassette 1"
    assert str(told[0]) == "prober: wafer loaded: T1-01, slot 1 of cassette 1"
