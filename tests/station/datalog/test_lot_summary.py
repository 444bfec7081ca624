"""A lot in numbers."""

from pathlib import Path

from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.reader import read
from station.datalog.store import Store
from station.datalog.summary import LotSummary, summarise
from tests.station.datalog.lots import BEGAN, lot, touchdowns


def summary(folder: Path) -> LotSummary:
    store = Store(folder / "station.db")
    store.open()
    run = store.begin(lot())
    for result in touchdowns():
        store.commit(result)
    found = summarise(store, run)
    store.close()
    return found


def test_a_part_counts_once_as_its_last_contact_left_it(tmp_path: Path) -> None:
    found = summary(tmp_path)
    assert (found.parts, found.good, found.first_good, found.not_judged) == (4, 3, 2, 0)
    assert (found.contacts, found.retested) == (6, 2)
    assert (found.first_yield, found.final_yield) == (0.5, 0.75)
    assert {b.name: b.count for b in found.bins} == {"good": 3, "contact": 0, "error": 0, "supply": 1}
    assert [(s.site, s.parts, s.good, s.contacts) for s in found.sites] == [(1, 2, 1, 3), (2, 2, 2, 3)]


def test_it_agrees_with_the_datalog(tmp_path: Path) -> None:
    file = StdfFile(tmp_path, lot())
    file.open()
    for result in touchdowns():
        file.touchdown(result)
    records = list(read(file.close(BEGAN + 100)))
    found = summary(tmp_path)
    pcr = next(r for r in records if r.name == "PCR" and r.integer("HEAD_NUM") == 255)
    counted = [pcr.integer(name) for name in ("PART_CNT", "RTST_CNT", "ABRT_CNT", "GOOD_CNT")]
    assert counted == [found.parts, found.retested, found.not_judged, found.good]
    sbr = {
        r.integer("SBIN_NUM"): r.integer("SBIN_CNT")
        for r in records
        if r.name == "SBR" and r.integer("HEAD_NUM") == 255
    }
    assert sbr == {b.number: b.count for b in found.bins}


def test_an_empty_lot(tmp_path: Path) -> None:
    store = Store(tmp_path / "station.db")
    store.open()
    found = summarise(store, store.begin(lot()))
    store.close()
    assert (found.parts, found.final_yield, found.first_yield) == (0, 0.0, 0.0)
