"""What a person sees: the live display and the summary, on narrow terminals and in files."""

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from station import cli, events
from station.cli.progress import LiveProgress
from station.cli.summary import shown
from station.cli.terminal import terminal
from station.model import Bin, BinKind, LotInfo, Outcome, Verdict
from station.report import BinCount, LotReport, TruthReport

GOOD, BAD = Bin(1, "good", hard=1, kind=BinKind.PASS), Bin(4, "supply", hard=3)


def info(sites: int) -> LotInfo:
    return LotInfo(
        lot="L1",
        product="p",
        sequence="s",
        sequence_version="1",
        fingerprint="",
        station="st",
        sites=tuple(range(1, sites + 1)),
        quantity=2 * sites,
        tests=(),
        bins=(GOOD, BAD),
        pins=(),
        set_up=0.0,
    )


def outcome(site: int, bin_: Bin) -> Outcome:
    verdict = Verdict.PASSED if bin_.good else Verdict.FAILED
    return Outcome(
        site=site,
        part=site,
        contact=1,
        soft=bin_.number,
        hard=bin_.hard,
        kind=bin_.kind,
        verdict=verdict,
        test_s=1.0,
    )


def after_one_touchdown(sites: int) -> LiveProgress:
    progress = LiveProgress(2 * sites)
    outcomes = tuple(outcome(site, BAD if site == 2 else GOOD) for site in range(1, sites + 1))
    for event in (
        events.LotLoaded(at=0.0, info=info(sites)),
        events.StateChanged(at=100.0, old="CHECKING", new="RUNNING"),
        events.ContactsClosed(at=136.0, seq=1, outcomes=outcomes),
        events.Sorted(at=136.0, seq=1, bins={o.site: o.hard for o in outcomes}),
    ):
        progress.take(event)
    return progress


def printed(what: object, width: int = 80) -> list[str]:
    console = Console(file=StringIO(), width=width)
    with console.capture() as capture:
        console.print(what)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_live_display_says_where_the_lot_is() -> None:
    lines = printed(after_one_touchdown(4))
    assert lines[0] == "L1 running  4 of 8 devices"
    assert lines[2] == "yield 75.0 %  400 units/h  secured 0  retested 0"
    table = [line.split() for line in lines[3:]]
    assert ["site", "1", "2", "3", "4"] in table
    assert ["good", "1", "-", "1", "1"] in table
    assert ["fail", "-", "1", "-", "-"] in table
    assert ["4", "supply", "1", "25.0", "%"] in table


@pytest.mark.parametrize("sites", [1, 16, 17, 64])
def test_every_site_is_shown_on_a_terminal_of_80_columns(sites: int) -> None:
    lines = printed(after_one_touchdown(sites))
    numbers = [number for line in lines if line.startswith("site") for number in line.split()[1:]]
    assert numbers == [str(site) for site in range(1, sites + 1)]
    assert len(lines) <= 24


def test_live_display_before_anything_has_happened() -> None:
    assert "0 of 8 devices" in printed(LiveProgress(8))[0]


def report(truth: TruthReport | None = None, **changed: str) -> LotReport:
    paths = {"stdf": "/x" * 60, "state": "CLOSED", "reason": ""} | changed
    return LotReport(
        lot="L1",
        state=paths["state"],
        reason=paths["reason"],
        tested=4,
        good=3,
        secured=0,
        bins=(BinCount(1, "good", 1, "pass", 3), BinCount(4, "supply", 3, "fail", 1)),
        retested=0,
        accounts={"good": 3, "rejected in bin 3": 1},
        units_per_hour=100.0,
        wall_s=1.0,
        simulated_s=20.0,
        time_to_safe_s=0.1,
        stdf=paths["stdf"],
        store="results.db",
        journal="journal",
        truth=truth,
    )


def summary(capsys: pytest.CaptureFixture[str], what: LotReport) -> list[str]:
    shown(what)
    return capsys.readouterr().out.splitlines()


def test_summary_does_not_break_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert "STDF     " + "/x" * 60 in summary(capsys, report())


def test_summary_of_an_open_lot_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    lines = summary(capsys, report(state="HELD", reason="sites [a] are open", stdf=""))
    assert "Lot L1 held: sites [a] are open" in lines
    assert "STDF     not written: the lot is open" in lines


def test_summary_names_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    truth = TruthReport(good=3, escapes=(2,), bad=(2,), overkill=(), unexplained=(), misplaced=(), custody=())
    told = "truth    3 good; escapes 1, overkill 0 (unexplained 0), misplaced 0, custody differences 0"
    assert told in summary(capsys, report(truth))


def test_words_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("reason", box=None)
    words = ("see [/var/log/hardbin]", "bus[addr]", "[red]", ":on: door open")
    for word in words:
        table.add_row(word)
    terminal().print(table)
    terminal().print(words[0])
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["reason", *words, words[0]]


def test_every_command_prints_on_the_terminal_that_knows_no_markup() -> None:
    sources = {source.name: source.read_text() for source in Path(cli.__file__).parent.glob("*.py")}
    made = {name for name, text in sources.items() if re.search(r"\bConsole\(|\bLive\((?!.*console=)", text)}
    assert made == {"terminal.py"}
