"""What one insertion has measured of a die decides which rows the next one runs on it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from station import events, past
from station.chaos.lives import Lives
from station.chaos.points import Kill
from station.chaos.schedule import PLAIN, station_file
from station.cli import code_of
from station.custody.journal import read
from station.datalog.intake import taken_in
from station.datalog.stdf.reader import read as stdf
from station.datalog.store import Store
from station.errors import ConfigError
from station.model import DeviceResult, EarlierRun, LotInfo, Place, TraceList
from tests.cell.feed_forward import SPLIT
from tests.cell.lots import LOT, here, lot_here
from tests.cell.test_device_codes import READERS

SORT = Path(__file__).parents[2] / "sim" / "wafer_sort.toml"
SIZE = ("--devices", "16", "--seed", "7")


def second_station(folder: Path, more: str = "") -> Path:
    """The cell that sorts the same wafers a second time."""
    text = SORT.read_text("utf-8").replace('"se1-electrical-sort"', '"tests.cell.feed_forward:SECOND_SORT"')
    path = folder / "second.toml"
    path.write_text(text.replace('insertion = "CP1"', f'insertion = "CP2"\n{more}'), "utf-8")
    return path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a first sort."""
    _, result = lot_here(tmp_path_factory.mktemp("first"), "--station", str(SORT), *SIZE)
    assert result["state"] == "CLOSED"
    return Path(result["store"])


def last_contacts(path: Path) -> tuple[LotInfo, dict[Place | None, DeviceResult]]:
    store = Store(path)
    try:
        return store.info(1), {one.place: one for landing in store.touchdowns(1) for one in landing.devices}
    finally:
        store.close()


def value(device: DeviceResult, test: int) -> float | None:
    return next((one.value for one in device.measurements if one.test == test), None)


def holds(first: Path, second: Path) -> list[int]:
    """Hold each die against what the first sort knew; return how often the row ran, and was left out."""
    info, before = last_contacts(first)
    assert info.flow == "CP1"
    _, after = last_contacts(second)
    assert after.keys() == before.keys()
    found = [0, 0]
    for place, device in after.items():
        known = value(before[place], 300)
        left_out = [note for note in device.notes if note.kind == "skipped"]
        assert len(left_out) == (known is not None and known <= SPLIT)
        assert all((note.test, note.text) == (310, "if_it_drew_much") for note in left_out)
        if left_out:
            assert value(device, 310) is None
        found[bool(left_out)] += 1
    return found


def test_a_second_sort_asks_the_first(first: Path, tmp_path: Path) -> None:
    code, result = lot_here(
        tmp_path, "--station", str(second_station(tmp_path)), *SIZE, "--earlier", str(first)
    )
    assert code == 0, result
    assert result["unknown"] == 0
    ran, skipped = holds(first, Path(result["store"]))
    assert ran > 0
    assert skipped > 0
    loaded = next(e for e in read(Path(result["journal"])) if isinstance(e, events.LotLoaded))
    assert [(one.flow, one.lot, one.source) for one in loaded.info.earlier] == [("CP1", LOT, str(first))]

    uuid = loaded.info.earlier[0].run
    told = [record.text("TEXT_DAT") for record in stdf(Path(result["stdf"])) if record.name == "DTR"]
    assert f"earlier results: run {uuid}, CP1 of lot {LOT}" in told
    again = Store(tmp_path / "again.db")
    again.open()
    info = again.info(taken_in(Path(result["stdf"]), again))
    again.close()
    assert info.earlier == (EarlierRun(uuid, "CP1", LOT, ""),)


def test_a_station_file_names_the_store_too(first: Path, tmp_path: Path) -> None:
    assert first.parent.name == LOT
    each = first.parents[1] / "{lot}" / first.name
    station = second_station(tmp_path, f"earlier = ['{each}']")
    _, result = lot_here(tmp_path / "out", "--station", str(station), *SIZE)
    assert min(holds(first, Path(result["store"]))) > 0


def test_without_what_was_earlier_each_row_runs(tmp_path: Path) -> None:
    _, result = lot_here(tmp_path / "out", "--station", str(second_station(tmp_path)), *SIZE)
    assert result["skipped"] == {}
    _, after = last_contacts(Path(result["store"]))
    assert sum(value(device, 310) is not None for device in after.values()) > 8


def final_station(folder: Path) -> Path:
    """A final test of packages with codes."""
    text = station_file(PLAIN, folder).read_text("utf-8").replace("sites = 16", 'sites = 2\ncodes = "code"')
    text = text.replace('"se1-electrical-sort"', '"tests.cell.feed_forward:SECOND_SORT"')
    path = folder / "final.toml"
    path.write_text(text.replace("\n[site]\n", READERS), "utf-8")
    return path


def assembled(first: Path, folder: Path, *, but: str = "none") -> Path:
    """The list of the house that put the dies into packages, as the how-to makes it."""
    sql = "select distinct format('T1-{:06d}', part) as code, wafer, x, y from contact"
    asked = here("store", "query", str(first), sql)
    assert asked.returncode == 0, asked.stderr
    path = folder / "assembled.tsv"
    path.write_text("".join(line for line in asked.stdout.splitlines(True) if but not in line), "utf-8")
    return path


def test_a_final_test_asks_the_sort_of_each_die(first: Path, tmp_path: Path) -> None:
    unlisted = 3
    traced = assembled(first, tmp_path, but=f"T1-{unlisted:06d}")
    given = ("--earlier", str(first), "--traced", str(traced))
    code, result = lot_here(tmp_path / "out", "--station", str(final_station(tmp_path)), *SIZE, *given)
    assert code == 0, result
    store, sort = Store(Path(result["store"])), Store(first)
    info = store.info(1)
    after = {one.part: one for landing in store.touchdowns(1) for one in landing.devices}
    before = {one.part: one for landing in sort.touchdowns(1) for one in landing.devices}
    store.close()
    sort.close()
    assert after.keys() == before.keys()
    left_out = {part for part, one in after.items() if any(note.kind == "skipped" for note in one.notes)}
    drew_little = {
        p for p, one in before.items() if (known := value(one, 300)) is not None and known <= SPLIT
    }
    assert left_out == drew_little - {unlisted}
    assert result["unknown"] == 1
    assert 0 < len(left_out) < len(after)
    for part in after.keys() - left_out:  # the same die, measured twice
        was, is_ = value(before[part], 300), value(after[part], 310)
        assert was is None or is_ is None or abs(was - is_) < 0.05 * was
    both = past.read([str(first), result["store"]], "se1", "QA").of("T1-000001", Place("T1-01", -3, -7))
    assert {"CP1/continuity", "FT1/continuity"} <= both.keys()
    assert info.traced == TraceList(str(traced), sha256(traced.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: no column code; code, wafer, x, y are needed"),
        ("code,wafer,x\nA,T1-01,1\n", "line 1: no column y; code, wafer, x, y are needed"),
        ("code,wafer,x,y\n", "it has no code"),
        ("code,wafer,x,y\nA,T1-01,1,1\nA,T1-01,1,2\n", "line 3: code A is there already"),
        ("code;wafer;x;y\nA;T1-01;1;1\nB;T1-01;1;1\n", "line 3: it is the die of code A too"),
        ("code\twafer\tx\ty\nA\tT1-01\tone\t1\n", "line 2: x 'one', y '1': whole numbers are needed"),
        ("code,wafer,x,y\nA,,1,1\n", "line 2: no wafer"),
        ("code,wafer,x,y\nA,other,1,1\n", "none of its 1 dies is one of which results are known"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(first: Path, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "list"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        past.read([str(first)], "se1", "FT1", path)
    assert str(refused.value) == f"earlier results: {path}: {said}"


def test_a_list_that_has_become_another_one_is_not_believed(first: Path, tmp_path: Path) -> None:
    path = assembled(first, tmp_path)
    before = past.read([str(first)], "se1", "FT1", path)
    store = Store(first)
    info = replace(store.info(1), earlier=before.runs, traced=before.traced)
    store.close()
    assert before.of("T1-000001", None).keys() >= {"CP1/continuity"}
    assert past.read_again(info).of("T1-000001", None) == before.of("T1-000001", None)
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")
    again = past.read_again(info)
    assert again.gone == f"{path}: it is another list than when the lot began"
    assert not again.of("T1-000001", None)


@contextmanager
def taken_up(out: Path, first: Path, *, gone: bool) -> Iterator[Path]:
    """Kill a second sort in its midst and let it go on; inside the block, its folder."""
    station = ("--station", str(second_station(out)))
    lives = Lives(code_of, out, LOT, (*station, *SIZE, "--earlier", str(first)), station)
    try:
        assert lives.live(lives.arguments(), Kill("record", 16, "after")).code is None
        if gone:
            first.unlink()
        assert lives.live(lives.arguments(), None).code == 0, lives.lived
        yield lives.folder
    finally:
        lives.forget()


@pytest.mark.timeout(300)
def test_taken_up_it_asks_again(first: Path, tmp_path: Path) -> None:
    with taken_up(tmp_path, first, gone=False) as folder:
        assert not any(isinstance(event, events.PastLost) for event in read(folder / "journal"))
        assert min(holds(first, folder / "results.db")) > 0


@pytest.mark.timeout(300)
def test_taken_up_without_what_was_earlier_rows_run(first: Path, tmp_path: Path) -> None:
    copy = tmp_path / "first.db"
    copy.write_bytes(first.read_bytes())
    with taken_up(tmp_path, copy, gone=True) as folder:
        happened = list(read(folder / "journal"))
    (lost,) = (event for event in happened if isinstance(event, events.PastLost))
    assert lost.reason == f"{copy}: there is no such file"
    after = happened[happened.index(lost) :]
    closed = [one for event in after if isinstance(event, events.ContactsClosed) for one in event.outcomes]
    assert closed
    assert not any(note.kind == "skipped" for one in closed for note in one.notes)


def test_a_store_whose_devices_have_no_names_leads_nowhere(tmp_path: Path) -> None:
    _, result = lot_here(tmp_path, "--station", str(station_file(PLAIN, tmp_path)), "--devices", "2")
    with pytest.raises(ConfigError, match="no device has a code or a place, by which it could be known"):
        past.read([result["store"]], "se1", "QA")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", "there is no such file"),
        ("text", "file is not a database"),
        ("blob", "run 1 of lot T1: "),
        ("own flow", "needed is an ended run of se1 of another flow than CP1"),
    ],
)
def test_what_cannot_be_read_begins_no_lot(first: Path, tmp_path: Path, what: str, said: str) -> None:
    path = tmp_path / "earlier.db"
    if what == "text":
        path.write_text("no database, but long enough to be looked at " * 40, "utf-8")
    if what == "blob":
        path.write_bytes(first.read_bytes())
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE device SET extra = x'c1' WHERE id = 3")
    source = first if what == "own flow" else path
    station = SORT if what == "own flow" else second_station(tmp_path)
    given = ("--station", str(station), "--earlier", str(source))
    ran = here("run", "--out", str(tmp_path / "out"), "--lot", LOT, *given)
    assert ran.returncode != 0
    assert f"earlier results: {source}" in ran.stderr
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    assert not (tmp_path / "out" / LOT).exists()
