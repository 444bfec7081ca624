"""A lot of a station that serves, by the command line, and what is refused there."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from station.chaos.schedule import PLAIN, station_file
from station.cli import code_of
from station.cli.at_cell import Watched
from station.cli.codes import Exit
from station.people.people import people
from station.people.pins import Cost
from tests.station.console.lots import BEGIN, HELLO, loaded, shift

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A station without chips that serves in a folder of its own."""
    folder = tmp_path_factory.mktemp("p")
    where = ("--console", "s", "--data", "d", "--out", "lots", "--station", str(station_file(PLAIN, folder)))
    command = [sys.executable, "-m", "station.cli", "serve", "--speed", "jump", "--sites", "4", *where]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("hardbin: ready")
        yield folder
        process.send_signal(signal.SIGINT)


class Cell:
    """The command line beside a station."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys

    def says(self, *arguments: str, code: Exit = Exit.OK) -> str:
        words = [*arguments, "--engine", os.path.relpath(self._folder / "s")]
        assert code_of(words) == code, self._capsys.readouterr()
        done = self._capsys.readouterr()
        return done.out + done.err

    def asks(self, *arguments: str, role: str = "operator", code: Exit = Exit.OK) -> str:
        return self.says(*arguments, "--by", "o1", "--role", role, code=code)

    def until(self, state: str) -> None:
        """Wait for the lot; the test's own time-out bounds it."""
        while self.shows("status")["sum"]["state"] != state:
            pass

    def shows(self, *arguments: str) -> Any:
        return json.decode(self.says(*arguments, "--json"))


@pytest.fixture
def cell(plant: Path, capsys: pytest.CaptureFixture[str]) -> Cell:
    return Cell(plant, capsys)


def test_a_lot_from_its_data_to_its_summary(
    plant: Path, cell: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "EMPTY" in cell.says("status")
    assert "no lot" in cell.says("lot", "show", code=Exit.NOT_FOUND)
    assert cell.asks("lot", "load", "L1", "--quantity", "24") == "lot.load: ok\n"
    assert cell.asks("lot", "start", "--wait", "--timeout", "60") == "lot.start: ok\n"
    shown = cell.shows("lot", "show")
    assert (shown["lot"]["lot"], shown["sum"]["state"], shown["sum"]["tested"]) == ("L1", "CLOSED", 24)
    bins = shown["sum"]["bins"]
    assert all(number in cell.says("lot", "show") for number in bins)
    tiles = cell.shows("site", "list")
    assert [one["site"] for one in tiles] == [1, 2, 3, 4]
    assert sum(one["tested"] for one in tiles) == 24
    assert "contact" not in cell.says("site", "list")
    lots = ("--out", str(plant / "lots"))
    assert code_of(["lot", "list", *lots, "--json"]) == Exit.OK
    (listed,) = json.decode(capsys.readouterr().out)
    assert (listed["lot"], listed["state"], listed["devices"]) == ("L1", "CLOSED", 24)
    assert code_of(["lot", "summary", "L1", *lots, "--json"]) == Exit.OK
    assert json.decode(capsys.readouterr().out)["tested"] == 24
    assert code_of(["lot", "summary", "L1", *lots]) == Exit.OK
    assert "24 tested" in capsys.readouterr().out
    assert code_of(["lot", "summary", "L2", *lots]) == Exit.NOT_FOUND
    capsys.readouterr()
    assert cell.shows("bin", "table") == _printed(["bin", "table", "L1", *lots, "--json"], capsys)
    failing = cell.shows("bin", "pareto")
    assert [one["devices"] for one in failing] == sorted((one["devices"] for one in failing), reverse=True)
    assert sum(one["devices"] for one in failing) == 24 - shown["sum"]["good"]
    assert not failing or failing[-1]["cumulated"] == 1
    assert code_of(["bin", "pareto", "L2", *lots]) == Exit.NOT_FOUND
    capsys.readouterr()
    assert cell.shows("e10", "show")["state"] == "CLOSED"


def _printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert code_of(words) == Exit.OK
    return json.decode(capsys.readouterr().out)


def test_what_is_refused(cell: Cell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "site.set: wrong_state" in cell.asks(
        "site", "off", "2", "--reason", "worn", role="technician", code=Exit.WRONG_STATE
    )
    refused = cell.asks("alarm", "shelve", "L1:1", "--minutes", "5", "--reason", "x", code=Exit.DENIED)
    assert "alarm.shelve: denied: alarm.shelve is for engineer, technician; this is operator" in refused
    assert cell.asks("alarm", "ack", "none:1", "--json", code=Exit.NOT_FOUND).startswith('{"ok":false')
    assert "security-officer" in cell.asks(
        "hold", "release", "--reason", "x", role="security-officer", code=Exit.USAGE
    )
    assert "one person" in cell.asks("lot", "pause", "--by", "o2", code=Exit.USAGE)
    assert "write numbers with commas" in cell.asks("retest", "start", "--bins", "5,x", code=Exit.USAGE)
    assert "--found 'x'" in cell.asks("cell", "recover", "--found", "x", "--reason", "y", code=Exit.USAGE)
    assert code_of(["status", "--engine", str(tmp_path / "none")]) == Exit.LINK
    assert "no station answers there" in capsys.readouterr().err


def test_with_accounts_a_badge_and_its_pin_say_who_asks(cell: Cell, tmp_path: Path, plant: Path) -> None:
    folder, pin = tmp_path / "people", tmp_path / "pin"
    with people(folder, "ws-07", lambda: 1_800_000_000.0, Cost.LOW) as inside:
        inside.enrol(inside.found()["first engineer"], "B-E", "280164")
    ask = ("cell", "selftest", "--by", "B-E", "--people", str(folder), "--pin-file", str(pin))
    pin.write_text("999999")
    assert "PIN" in cell.says(*ask, code=Exit.DENIED)
    pin.write_text("280164")
    assert cell.says(*ask) == "selftest.run: ok\n"
    assert "--by is a badge" in cell.says(*ask, "--role", "engineer", code=Exit.USAGE)
    assert b'"actor":"p-' in (plant / "d/between").read_bytes().splitlines()[-1]


def test_a_lot_is_checked_put_back_and_loaded_with_other_data(plant: Path, cell: Cell) -> None:
    load = ("lot", "load", "C1", "--quantity")
    cell.asks(*load, "4")
    assert cell.asks("lot", "check", "--wait", "--timeout", "60") == "lot.check: ok\n"
    assert cell.shows("status")["sum"]["state"] == "READY"
    assert "legal in HELD" in cell.asks(
        "lot", "close", "--reason", "x", role="engineer", code=Exit.WRONG_STATE
    )
    cell.asks("lot", "unload")
    cell.until("EMPTY")
    cell.asks(*load, "8")
    cell.asks("lot", "start", "--wait", "--timeout", "60")
    cell.until("CLOSED")
    assert b'"quantity":4' in (plant / "lots" / "C1.unloaded-1" / "journal").read_bytes()
    assert "exists" in cell.asks(*load, "4", code=Exit.CONFIG)
    cell.asks("lot", "unload", "--id", "twice")
    cell.until("EMPTY")
    assert "legal in CLOSED" in cell.asks("lot", "unload", code=Exit.WRONG_STATE)


def test_an_engineering_lot_row_by_row(plant: Path, cell: Cell) -> None:
    """Its sites stand with outputs on; a row is drawn over one and two of its parameters."""

    def asks(*words: str, code: Exit = Exit.OK) -> str:
        return cell.asks("lot", *words, role="engineer", code=code)

    load = ("load", "E1", "--quantity", "4", "--engineering")
    assert "denied" in cell.asks("lot", *load, role="technician", code=Exit.DENIED)
    asks(*load)
    asks("step")
    asks("start")
    site = ("--site", "2")
    wait = (*site, "--wait", "--timeout", "60")
    assert "site 2: behind 100 continuity: " in asks("step", "--to", "100", *wait)
    clamp = ("shmoo", *site, "--row", "100", "--x", "limit_v=0.12:0.52:5", "--y", "amps=-1e-4:-5e-5:2")
    assert asks(*clamp).splitlines() == [
        "lot.shmoo: ok",
        "    -5e-05 ..+++",
        "   -0.0001 ..+++",
        "           0.12 .. 0.52 limit_v, upwards amps",
        "6 of 10 points passed",
    ]
    stands = asks("step", "--to", "300", *wait)
    assert "site 2: behind 300 idd_idle: 0.00" in stands
    assert "passed  [0.002 .. 0.009] A" in stands
    supply = ("shmoo", "--row", "300", "--x", "vdd_v=0.5:3.3:5", "--json")
    assert "does not stand" in asks(*supply, "--site", "1", code=Exit.WRONG_STATE)
    receipt, *points, ended = [json.decode(line) for line in asks(*supply, *site).splitlines()]
    assert receipt["ok"]
    assert [one["measurement"]["verdict"] for one in points] == ["failed"] * 2 + ["passed"] * 3
    assert (ended["passed"], ended["tried"]) == (3, 5)
    too_far = ("shmoo", *site, "--row", "300", "--x", "vdd_v=3.3:5:3")
    assert "0.5 to 3.6 V" in asks(*too_far, code=Exit.USAGE)
    asks("step", "--on")
    cell.until("CLOSED")
    assert b'"outcome":"ENGINEERING"' in (plant / "lots" / "E1" / "journal").read_bytes()


def test_touchdowns_are_followed_as_they_come(plant: Path, cell: Cell) -> None:
    cell.asks("lot", "load", "L2", "--quantity", "8")
    command = [sys.executable, "-m", "station.cli", "td", "tail", "--count", "2", "--json", "--engine", "s"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=plant, **pipes) as tail:
        assert tail.stderr is not None
        assert tail.stderr.readline() == "hardbin: following sim/sim-ft-01\n"
        cell.asks("lot", "start", "--wait")
        told, _ = tail.communicate(timeout=60)
    closed = [json.decode(line) for line in told.splitlines()]
    assert [len(one["outcomes"]) for one in closed] == [4, 4]


def test_a_terminal_shows_the_cell_until_it_is_interrupted(plant: Path) -> None:
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "station.cli", "monitor", "--engine", "s"]
    shown = b""
    with subprocess.Popen(command, cwd=plant, stdout=its, env=os.environ | {"TERM": "xterm"}) as monitor:
        os.close(its)
        while b"sim/sim-ft-01" not in shown:
            shown += os.read(ours, 4096)
        monitor.send_signal(signal.SIGINT)
        with suppress(OSError):  # it is over when the other end is closed
            while os.read(ours, 4096):
                pass
    os.close(ours)
    assert monitor.returncode == Exit.INTERRUPTED


def test_a_lot_that_is_told_again_has_not_happened_again() -> None:
    watched, journal = Watched(), Path("journal")
    story = [*BEGIN, shift("RUNNING", "HELD", "old"), shift("HELD", "PAUSED"), shift("PAUSED", "RUNNING")]

    def told(happened: list[Any]) -> list[Any]:
        watched.since.clear()
        watched.begun(journal)
        for line, event in enumerate(happened, start=1):
            watched.happened(line, event)
        watched.caught_up()
        watched.stands("RUNNING")
        return list(watched.since)

    watched.greeted(HELLO)
    assert told(story) == []
    assert told(story) == []
    news = shift("RUNNING", "HELD", "new")
    assert told([*story, news]) == [news], "what came between is told"
    another = [loaded(name="L2"), *BEGIN[1:]]
    assert told(another) == another
