"""The drill: a station at work is backed up, its disk is lost, and people and lot are there again."""

import io
import tarfile
from pathlib import Path

import msgspec
import pytest

from station import backup
from station.backup import MANIFEST, Member
from station.cli import code_of
from station.cli.codes import Exit
from station.custody.audit import Trust, audited
from station.custody.journal import read
from station.custody.log_keys import key_of
from station.errors import ConfigError, CustodyError
from station.people.people import people
from station.people.pins import Cost
from station.remote.memory import Memory
from tests.station.console.lots import SOME, journalled

NOW = 1_800_000_000.0
BADGE = ("B-ENGINEER", "280164")


async def test_the_drill(tmp_path: Path) -> None:
    data, lots, out = tmp_path / "station", tmp_path / "lots", tmp_path / "backup.tar"
    memory = Memory(data / "remote.db")
    data.mkdir()
    lots.mkdir()
    memory.open()
    memory.put([("topic", b"event")])
    await journalled(lots, SOME)
    with people(data / "people", "ws-07", lambda: NOW, Cost.LOW) as station:
        station.enrol(station.found()["first engineer"], *BADGE)
        station.publish()
        station.enter(*BADGE, "panel")  # in the database's log, and not published
        assert code_of(["service", "backup", str(out), str(data), str(lots)]) == Exit.OK
        keys = Trust([key_of(line) for line in station.log_keys])
    memory.close()
    assert out.stat().st_mode & 0o077 == 0

    again = tmp_path / "again"
    assert code_of(["service", "restore", str(out), str(again)]) == Exit.OK
    assert list(read(again / "lots" / "journal")) == list(read(lots / "journal"))
    restored = Memory(again / "station" / "remote.db")
    assert restored.open() == 2
    assert [one.payload for one in restored.waiting(9)] == [b"event"]
    restored.close()
    with people(again / "station" / "people", "ws-07", lambda: NOW, Cost.LOW) as station:
        assert station.session(station.enter(*BADGE, "panel")) is not None
    report = audited(again / "station" / "people" / "ledger", keys)
    assert report.sound
    assert report.events["session.opened"] == 2


def rewritten(source: Path, target: Path, change: str) -> Path:
    """Copy a backup with one thing changed."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for info in old:
            file = old.extractfile(info)
            data = b"" if file is None else file.read()
            if info.name == "a/one" and change == "flipped":
                data = b"0ne"
            if info.name == "a/one" and change == "missing":
                continue
            if info.name == "a/one" and change == "outside":
                info.name = "../one"
            if info.name == MANIFEST and change == "outside":
                members = [Member("../one", 3, 0o644, msgspec.json.decode(data)[0]["sha256"])]
                data = msgspec.json.encode(members)
                info.size = len(data)
            new.addfile(info, io.BytesIO(data))
    return target


@pytest.mark.parametrize("change", ["flipped", "missing", "outside"])
def test_a_backup_that_was_changed_restores_nothing(tmp_path: Path, change: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_bytes(b"one")
    backup.save([tmp_path / "a"], tmp_path / "good.tar")
    changed = rewritten(tmp_path / "good.tar", tmp_path / "bad.tar", change)
    with pytest.raises(CustodyError):
        backup.restore(changed, tmp_path / "into")
    assert not (tmp_path / "into").exists()
    assert len(backup.restore(tmp_path / "good.tar", tmp_path / "into")) == 1
    with pytest.raises(ConfigError, match="there already"):
        backup.restore(tmp_path / "good.tar", tmp_path / "into")


def test_what_cannot_be_meant_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "a").mkdir(parents=True)
    with pytest.raises(ConfigError, match="two folders"):
        backup.save([tmp_path / "a", tmp_path / "b" / "a"], tmp_path / "x.tar")
    with pytest.raises(ConfigError, match="no such folder"):
        backup.save([tmp_path / "c"], tmp_path / "x.tar")
    (tmp_path / "x.tar").write_bytes(b"no tar")
    with pytest.raises(ConfigError):
        backup.save([tmp_path / "a"], tmp_path / "x.tar")
    with pytest.raises(CustodyError, match="no backup"):
        backup.restore(tmp_path / "x.tar", tmp_path / "into")
