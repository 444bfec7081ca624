"""The file again from the store is the file that was written live, whatever happened in between."""

import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from station.datalog.rebuild import rebuild, replay
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.reader import Reader, read
from station.datalog.store import Store
from station.datalog.summary import summarise
from station.errors import StorageError
from station.model import DeviceResult, Ending, Place, TouchdownResult, Verdict
from station.set_up import Datalog, Profile
from tests.station.datalog.lots import (
    BEGAN,
    ERROR,
    PLAIN,
    SECTIONED,
    SUPPLY,
    failed,
    good,
    idd,
    lot,
    touchdown,
    touchdowns,
    unjudged,
)

ROOT = Path(__file__).parents[3]


def live(
    folder: Path, results: tuple[TouchdownResult, ...], form: Datalog = PLAIN
) -> tuple[Store, int, Path]:
    """Run a lot as the engine does: store first, then the file, events in both."""
    info = replace(lot(), datalog=form)
    store, file = Store(folder / "station.db"), StdfFile(folder, info)
    store.open()
    run = store.begin(info)
    file.open()
    store.event("note", "before the first touchdown", BEGAN)
    file.event_text("before the first touchdown")
    for result in results:
        store.commit(result)
        file.touchdown(result)
        store.event("site", f"after {result.seq}", result.ended)
        file.event_text(f"after {result.seq}")
    path = file.close(BEGAN + 100, "H")
    store.finish(BEGAN + 100, "H")
    return store, run, path


@pytest.mark.parametrize("sections", [False, True], ids=["plain", "sections"])
@pytest.mark.parametrize("profile", ["compact", "compat"])
def test_rebuilt_is_live_byte_for_byte(tmp_path: Path, profile: Profile, sections: bool) -> None:  # noqa: FBT001
    form = replace(SECTIONED if sections else PLAIN, profile=profile)
    store, run, path = live(tmp_path, touchdowns(), form)
    again = rebuild(store, run, tmp_path / "again")
    store.close()
    assert again.name == path.name
    assert again.read_bytes() == path.read_bytes()


def test_dies_have_their_places_in_store_and_file(tmp_path: Path) -> None:
    dies = tuple(replace(good(site, site), place=Place("W7", -3, site)) for site in (1, 2))
    store, run, path = live(tmp_path, (touchdown(1, *dies),))
    assert [result.devices for result in store.touchdowns(run)] == [dies]
    again = rebuild(store, run, tmp_path / "again")
    store.close()
    assert again.read_bytes() == path.read_bytes()
    found = [record for record in read(path) if record.name == "PRR"]
    assert [(r.integer("X_COORD"), r.integer("Y_COORD")) for r in found] == [(-3, 1), (-3, 2)]


def outcome(site: int, part: int, contact: int, kind: int) -> DeviceResult:
    """One of the ways in which a device can end."""
    fails = (Verdict.FAILED, Ending.OVER_RANGE, float("-inf"))
    ways = (
        good(site, part, contact),
        failed(site, part, contact, 9.0000001e-3),
        failed(site, part, contact, 1e-3),
        unjudged(site, part, contact),
        DeviceResult(
            site, part, contact, SUPPLY, Verdict.FAILED, (idd(fails[2], *fails[:2]),), BEGAN, 0.0004, True
        ),
        DeviceResult(site, part, contact, ERROR, Verdict.NOT_JUDGED, (), BEGAN, 0.0, True, reason="abort"),
    )
    return ways[kind]


@st.composite
def lots(draw: st.DrawFn) -> tuple[TouchdownResult, ...]:
    """Touchdowns in which each site meets a new part, or lands an earlier one again, or is empty."""
    contacts, results = dict[int, int](), list[TouchdownResult]()
    for seq in range(1, draw(st.integers(0, 6)) + 1):
        devices = list[DeviceResult]()
        for site in draw(st.sets(st.sampled_from((1, 2)))):
            free = [part for part in contacts if part not in {device.part for device in devices}]
            part = draw(st.sampled_from([len(contacts) + 1, *free]))
            contacts[part] = contacts.get(part, 0) + 1
            devices.append(outcome(site, part, contacts[part], draw(st.integers(0, 5))))
        results.append(touchdown(seq, *sorted(devices, key=lambda device: device.site)))
    return tuple(results)


@settings(max_examples=10, deadline=None)
@given(lots())
def test_any_lot_is_sound_and_is_rebuilt_byte_for_byte(results: tuple[TouchdownResult, ...]) -> None:
    with TemporaryDirectory() as folder:
        store, run, path = live(Path(folder), results)
        again = rebuild(store, run, Path(folder) / "again")
        found = summarise(store, run)
        store.close()
        assert again.read_bytes() == path.read_bytes()
        pcr = [record for record in read(path) if record.name == "PCR"][-1]
    counted = [pcr.integer(name) for name in ("PART_CNT", "RTST_CNT", "ABRT_CNT", "GOOD_CNT")]
    assert counted == [found.parts, found.retested, found.not_judged, found.good]


def test_a_run_that_is_not_finished_is_not_rebuilt(tmp_path: Path) -> None:
    store = Store(tmp_path / "station.db")
    store.open()
    run = store.begin(lot())
    with pytest.raises(StorageError, match="run 1 of lot L1017 is not finished"):
        rebuild(store, run, tmp_path)
    store.close()


CELL = """
import sys
from pathlib import Path
from station.datalog.stdf.file import StdfFile
from station.datalog.store import Store
from tests.station.datalog.lots import good, failed, lot, touchdown

store, file = Store(Path(sys.argv[1]) / "station.db"), StdfFile(Path(sys.argv[1]), lot())
store.open()
store.begin(lot())
file.open()
seq = 0
while True:
    seq += 1
    result = touchdown(seq, good(1, 2 * seq - 1), failed(2, 2 * seq))
    store.commit(result)
    print(seq, flush=True)
    file.touchdown(result)
"""


def test_a_kill_leaves_whole_touchdowns_and_the_lot_goes_on(tmp_path: Path) -> None:
    cell = subprocess.Popen(
        [sys.executable, "-c", CELL, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert cell.stdout is not None
    acknowledged = [int(cell.stdout.readline()) for _ in range(5)]
    cell.kill()
    acknowledged += [int(line) for line in cell.stdout.read().splitlines() if line]
    cell.stdout.close()
    assert cell.wait() == -signal.SIGKILL
    store = Store(tmp_path / "station.db")
    store.open()
    stored = list(store.touchdowns(1))
    assert len(stored) - acknowledged[-1] in {0, 1}
    assert all(result == lost(result.seq) for result in stored)
    (part,) = tmp_path.glob("*.part")
    assert_whole_groups(part.read_bytes(), len(stored))
    finish(store, tmp_path, len(stored))


def lost(seq: int) -> TouchdownResult:
    return touchdown(seq, good(1, 2 * seq - 1), failed(2, 2 * seq))


def assert_whole_groups(data: bytes, stored: int) -> None:
    reader = Reader(io.BytesIO(data))
    names = [record.name for record in reader]
    assert reader.fault == ""
    assert names.count("PIR") == names.count("PRR")
    assert stored - names.count("PIR") // 2 in {0, 1}


def finish(store: Store, folder: Path, done: int) -> None:
    """Go on with the interrupted lot, from what the store has."""
    assert store.resume(1) == done
    file = replay(store, 1, folder)
    store.commit(lost(done + 1))
    file.touchdown(lost(done + 1))
    path = file.close(BEGAN + 1000)
    store.finish(BEGAN + 1000)
    assert rebuild(store, 1, folder / "again").read_bytes() == path.read_bytes()
    store.close()


FULL = """
import sys
from pathlib import Path
from station.datalog.stdf.file import StdfFile
from station.datalog.store import Store
from station.errors import StorageError
from tests.station.datalog.lots import good, failed, lot, touchdown

folder, kind = Path(sys.argv[1]), sys.argv[2]
store, file = Store(folder / "station.db"), StdfFile(folder, lot())
if kind == "store":
    store.open()
    store.begin(lot())
else:
    file.open()
put = store.commit if kind == "store" else file.touchdown
seq = 0
try:
    while True:
        put(touchdown(seq + 1, good(1, 2 * seq + 1), failed(2, 2 * seq + 2)))
        seq += 1
except StorageError as error:
    print(seq, error)
"""


def fill(folder: Path, kind: str, limit: int) -> tuple[int, str]:
    """Write until no file can grow any more; return the touchdowns acknowledged and the error."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    preparation: Callable[[], None] = limited
    done = subprocess.run(
        [sys.executable, "-B", "-c", FULL, str(folder), kind],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=preparation,
    )
    count, _, message = done.stdout.strip().partition(" ")
    return int(count), message


def test_a_full_disk_cuts_the_file_back_to_whole_touchdowns(tmp_path: Path) -> None:
    count, message = fill(tmp_path, "file", 300_007)
    assert "rebuild it from the store" in message
    (part,) = tmp_path.glob("*.part")
    reader = Reader(io.BytesIO(part.read_bytes()))
    names = [record.name for record in reader]
    assert (reader.fault, names[-1], names.count("PRR")) == ("", "PRR", 2 * count)


def test_a_full_disk_loses_nothing_that_the_store_acknowledged(tmp_path: Path) -> None:
    count, message = fill(tmp_path, "store", 2_000_000)
    assert f"station.db: touchdown {count + 1}: " in message
    assert count > 10
    store = Store(tmp_path / "station.db")
    store.open()
    assert list(store.touchdowns(1)) == [lost(seq) for seq in range(1, count + 1)]
    store.resume(1)
    store.commit(lost(count + 1))
    store.close()


def test_a_short_write_is_cut_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StdfFile(tmp_path, lot())
    file.open()
    file.touchdown(touchdowns()[0])
    before = file.part.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:50]))
    with pytest.raises(StorageError, match="no space left"):
        file.touchdown(touchdowns()[1])
    monkeypatch.undo()
    assert file.part.read_bytes() == before
    with pytest.raises(StorageError, match="could not be written before"):
        file.touchdown(touchdowns()[1])
