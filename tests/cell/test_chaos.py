"""A small part of the campaign of `hardbin chaos`, and that a failing schedule can be played again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO

import pytest

from station.chaos import troubles
from station.chaos.campaign import Campaign, Played, campaign
from station.chaos.delivery import Careless
from station.chaos.lives import Command, Lives
from station.chaos.page import Page
from station.chaos.plant import Plant
from station.chaos.points import Kill
from station.chaos.schedule import PERSONALISING, PLAIN, RUN, Schedule, read, schedule, smaller, station_file
from station.chaos.served import ServedLives
from station.chaos.troubles import Trouble
from station.cli import code_of
from station.cli.chaos import stoppable
from station.cli.codes import Exit
from station.custody.journal import read as read_journal
from station.events import StateChanged
from station.evidence import trust
from station.evidence.bundle import BUNDLE, TRUST
from station.evidence.verification import verified
from station.open_lot import JOURNAL
from station.remote import own_broker
from station.remote.link import Message
from station.remote.local_bus import LocalBus
from station.surroundings import simulated_station_file
from tests.station.remote.test_presence import LOT, journalled

FIRST = 1
LOTS = int(os.environ.get("HARDBIN_CHAOS", "6"))
TROUBLES = [
    "trouble=full:8:1",
    "trouble=full:9:30 kill=record:10:after",
    "way=served trouble=brim:9:1",
    "trouble=slow:5:5",
    "trouble=lock:9:0.1",
    "trouble=lock:9:2",
    "trouble=clock:9:-86400 kill=record:12:after",
    "trouble=full:10:1@2 kill=record:1:torn kill=close:3:after",
    "way=served trouble=twice:2 trouble=cut:1 kill=record:9:after",
    "way=served trouble=full:4:30@2 kill=record:17:before",
    "way=served trouble=lock:9:2",
    "way=served trouble=deaf:2 trouble=torn:1 trouble=broker:2:1000 kill=record:2:after",
    "way=served trouble=console:5:3 kill=time:99999:after",
    "way=served trouble=broker:5:5 trouble=lost:1:3 trouble=doubled:6:3",
    "seed=14 devices=6 sites=1 cell=exatron way=served trouble=late:3 kill=time:16.468:after",
    "cell=personalising trouble=vault:12",
    "cell=personalising trouble=keys:12",
    "cell=personalising trouble=clock:12:-86400",
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + LOTS))
def test_a_lot_with_faults_and_kills(tmp_path: Path, seed: int) -> None:
    assert Campaign(code_of, tmp_path).wrong_with(schedule(seed)) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("text", TROUBLES)
def test_a_lot_with_one_trouble(tmp_path: Path, text: str) -> None:
    """Some hold it, and it goes on in another life of the station."""
    campaign = Campaign(code_of, tmp_path)
    assert campaign.wrong_with(read(f"seed=1 devices=4 sites=2 {text}")) == []


@pytest.mark.timeout(600)
def test_of_a_database_that_is_killed_nobody_hears() -> None:
    schedule = "seed=1 devices=4 sites=2 way=served trouble=database:1 trouble=database:2:1"
    command = [sys.executable, "-m", "station.cli", "chaos", "--schedule", schedule]
    played = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (played.returncode, played.stderr) == (Exit.OK, "")
    assert played.stdout.endswith(": 0 violations\n")


def test_a_lot_that_hangs_is_not_made_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try would take until it is ended."""
    played, drawn = list[Schedule](), schedule(3)
    campaign = Campaign(code_of, tmp_path)

    def hangs(one: Schedule) -> list[str]:
        played.append(one)
        return ["serve --out x: not done in time"]

    monkeypatch.setattr(campaign, "wrong_with", hangs)
    found = campaign.tried(drawn)
    assert found is not None
    assert found.replay.endswith(f"'{drawn}'")
    assert played == [drawn]


@pytest.mark.timeout(600)
def test_what_the_floor_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One event of the lot never comes, one comes that the journal has not."""
    lot = tmp_path / "L1"
    lot.mkdir()
    asyncio.run(journalled(lot, LOT[:4]))
    monkeypatch.setattr(own_broker, "PROGRAM", None)
    with Plant(tmp_path, simulated_station_file()) as plant:
        assert list(plant.wrong_with(lot, ())) == []
        monkeypatch.setattr("station.remote.teller.told", lambda event: [("lot.held", {})])
        (wrong,) = plant.wrong_with(lot, ())
    assert "lacks [('L1/1.0', '2026-11-22T08:10:00.000Z', 'lot.held')" in wrong
    assert "has [('L1/1.0', '2026-11-22T08:10:00.000Z', 'lot.loaded')" in wrong
    assert list(tmp_path.iterdir()) == [lot]


@pytest.mark.timeout(600)
def test_a_served_lot_does_not_notice_that_its_console_is_killed(tmp_path: Path) -> None:
    """Its browser comes back to the next one, and sees what the journal has."""
    size = ("--sites", "2", "--seed", "1", "--station", str(station_file(PLAIN, tmp_path)))
    with Page(tmp_path) as page:
        lives = ServedLives(code_of, tmp_path, "L1", size, devices=4, page=page)
        lives.play((), (troubles.parsed("console:5:3"),))
    assert page.wrong == []
    states = [one.new for one in read_journal(lives.folder / JOURNAL) if isinstance(one, StateChanged)]
    assert len(lives.lived) == 1
    assert "HELD" not in states
    assert states[-1] == "CLOSED"


@pytest.mark.timeout(600)
def test_what_the_console_does_not_show_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here because no station is there that would tell it."""
    lot = tmp_path / "L1"
    lot.mkdir()
    asyncio.run(journalled(lot, LOT[:4]))
    monkeypatch.setattr("station.chaos.page.BOUND_S", 0)
    with Page(tmp_path) as page:
        page.looked_at(lot, lambda: True)
    (wrong,) = page.wrong
    assert "the console shows None" in wrong
    assert "lot='L1'" in wrong
    assert list(tmp_path.iterdir()) == [lot]


def test_a_campaign_is_ended_by_a_signal_as_by_a_key() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


FOREVER = """
import sys
from pathlib import Path
from tests.cell.test_chaos import alone, played_until_asked
played_until_asked(Path(sys.argv[1]), alone)
"""
ALIVE, GO, OVER = "alive", "go", "over"


def alone(arguments: Sequence[str]) -> int:
    """A life that says that it is there, and ends when it is told to; the lives after it end at once.

    Each ends as one that took too long, whose lot is not made smaller.
    """
    folder = Path(arguments[arguments.index("--out") + 1]).parent.parent
    if not (folder / OVER).exists():
        with (folder / ALIVE).open("w", buffering=1) as alive:
            alive.write("alive\n")
            (folder / GO).read_bytes()
            alive.write("told\n")
    signal.raise_signal(signal.SIGALRM)
    return 0


def played_until_asked(folder: Path, command: Command) -> None:
    """Play a campaign whose lots are plain ones."""
    plain = next(one for one in range(1000) if not schedule(one).wrongs and schedule(one).way == RUN)
    (folder / "out").mkdir()
    with suppress(KeyboardInterrupt):
        campaign(command, folder / "out", range(plain, plain + 1000), jobs=1, told=lambda _: None)


@pytest.fixture
def under_way(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", IO[str]]]:
    """A campaign in a process group of its own, and what its first life says."""
    for name in (ALIVE, GO):
        os.mkfifo(tmp_path / name)
    command = [sys.executable, "-c", FOREVER, str(tmp_path)]
    with (
        subprocess.Popen(command, process_group=0, stderr=subprocess.PIPE, text=True) as process,
        (tmp_path / ALIVE).open() as alive,
    ):
        assert alive.readline() == "alive\n"
        yield process, alive


@pytest.mark.timeout(300)
def test_no_life_outlives_a_campaign_that_is_killed(
    under_way: tuple["subprocess.Popen[str]", IO[str]],
) -> None:
    process, alive = under_way
    process.kill()
    assert alive.read() == "", "its end was not closed by the life"
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


@pytest.mark.timeout(300)
def test_a_key_in_the_terminal_ends_a_campaign_when_its_lots_are_over(
    under_way: tuple["subprocess.Popen[str]", IO[str]], tmp_path: Path
) -> None:
    process, alive = under_way
    os.killpg(process.pid, signal.SIGINT)
    (tmp_path / OVER).touch()
    (tmp_path / GO).write_bytes(b"")
    assert alive.read() == "told\n"
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait()) == ("", 0)


def test_a_careless_way_loses_and_doubles_the_messages_that_it_was_told_to() -> None:
    met = troubles.parsed("lost:2:2"), troubles.parsed("doubled:5")
    way = Careless(LocalBus(), met)
    assert [way.times(Message("t", b"")) for _ in range(6)] == [1, 0, 0, 1, 2, 1]
    assert way.times(Message("t", b"", retain=True)) == 1


@pytest.mark.timeout(600)
def test_lots_are_played_side_by_side_and_told_of_in_order(tmp_path: Path) -> None:
    told = list[Played]()
    result = campaign(code_of, tmp_path, range(1, 4), jobs=2, told=told.append)
    assert [one.seed for one in told] == [1, 2, 3]
    assert (result.lots, result.violations) == (3, ())
    assert result.lives == sum(one.lives for one in told) >= result.lots


def test_a_seed_gives_the_same_schedule_and_its_line_gives_it_back() -> None:
    for seed in range(200):
        drawn = schedule(seed)
        assert read(str(drawn)) == drawn == schedule(seed)


@pytest.mark.parametrize("text", ["devices=4", "seed=1 devices=4 sites=2 kill=moon:1", "x", "seed=a"])
def test_a_schedule_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write|are numbers"):
        read(text)


def test_a_failing_schedule_is_made_as_small_as_it_still_fails() -> None:
    kills = tuple(Kill("record", number) for number in (3, 9, 14))
    drawn = Schedule(1, 12, 3, "plain", ("a.b", "c.d"), kills)
    least = smaller(drawn, lambda one: "c.d" in one.faults and kills[1] in one.kills)
    assert least == Schedule(1, 3, 3, "plain", ("c.d",), (kills[1],))


HELD = Lock()


def needs_what_is_held(arguments: Sequence[str]) -> int:
    """A command that needs a lock; its exit status says whether it had it."""
    del arguments
    return 0 if HELD.acquire(blocking=False) else 1


def test_no_life_inherits_what_a_thread_of_this_process_holds(tmp_path: Path) -> None:
    with HELD:
        assert Lives(needs_what_is_held, tmp_path, "X", ()).live((), None).code == 0


def test_a_lot_that_cannot_be_judged_is_a_violation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(campaign: Campaign, played: Schedule) -> list[str]:
        if played.kills:
            raise KeyError(1)
        return []

    monkeypatch.setattr(Campaign, "wrong_with", judged)
    violation = Campaign(code_of, tmp_path).tried(
        read("seed=1 devices=4 sites=2 trouble=slow:5:5 kill=record:1:torn")
    )
    assert violation is not None
    assert (
        violation.replay
        == "hardbin chaos --schedule 'seed=1 devices=2 sites=2 cell=plain way=run kill=record:1:torn'"
    )
    assert "KeyError: 1" in violation.complaints[0]


@pytest.mark.timeout(600)
def test_a_lot_whose_vault_dies_as_it_is_closed_gets_its_evidence_later(tmp_path: Path) -> None:
    where = ("--station", str(station_file(PERSONALISING, tmp_path)))
    size = ("--devices", "2", "--sites", "2", "--seed", "1")
    whole = Lives(code_of, tmp_path, "L1", (*size, *where), where)
    assert whole.play(()).code == 0
    records = sum(1 for _ in read_journal(whole.folder / JOURNAL))
    cut = Lives(code_of, tmp_path, "L2", (*size, *where), where)
    ended = cut.play((), [Trouble("vault", records)])
    assert ended.code == Exit.INTEGRITY
    told = f"`hardbin evidence export {cut.folder}` makes it"
    assert "lot L2 is closed without evidence" in ended.said
    assert told in ended.said
    assert not (cut.folder / BUNDLE).exists()
    assert cut.live(("evidence", "export", str(cut.folder)), None).code == 0
    assert verified(cut.folder / BUNDLE, trust.read(cut.folder / TRUST), workers=1).sound
