"""A whole simulated lot: what the report says is what STDF, store, journal and the devices themselves say."""

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from station import events
from station.custody.balance import balance_of
from station.custody.journal import read
from station.datalog.stdf.lint import check
from station.datalog.stdf.reader import read as stdf
from station.model import BinKind
from station.surroundings import simulated_station_file
from tests.cell.lots import LOT, lot

DEVICES, SITES = 60, 8
HEAD = 4_000
"""Bytes of an STDF file that hold its header and the first results."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("lots")
    code, report = lot(out, "--devices", str(DEVICES), "--sites", str(SITES), "--seed", "7")
    assert code == 0, report
    return out / LOT, report


def test_every_device_is_tested_and_accounted_for(ran: tuple[Path, dict[str, Any]]) -> None:
    _, report = ran
    assert report["state"] == "CLOSED"
    assert report["tested"] == DEVICES
    assert sum(report["accounts"].values()) == DEVICES
    assert sum(bin_["count"] for bin_ in report["bins"]) == DEVICES
    assert report["good"] == report["secured"] == report["accounts"]["good"]
    assert 0 < report["good"] < DEVICES
    assert report["units_per_hour"] > 0


def test_the_stdf_says_the_same_and_is_clean(ran: tuple[Path, dict[str, Any]]) -> None:
    folder, report = ran
    path = Path(report["stdf"])
    assert path.parent == folder
    assert check(path).findings == ()
    parts: dict[object, Any] = {}
    contacts = 0
    for record in stdf(path):
        if record.name == "PRR":
            contacts += 1
            parts[record.values["PART_ID"]] = record.values
    assert len(parts) == DEVICES
    assert contacts == DEVICES + report["retested"]
    soft = Counter(values["SOFT_BIN"] for values in parts.values())
    assert soft == {bin_["number"]: bin_["count"] for bin_ in report["bins"] if bin_["count"]}


def test_the_store_says_the_same(ran: tuple[Path, dict[str, Any]]) -> None:
    _, report = ran
    with sqlite3.connect(report["store"]) as connection:
        rows = connection.execute("SELECT part_id, sbin, exec_no FROM device ORDER BY exec_no").fetchall()
    connection.close()
    last = {part: sbin for part, sbin, _ in rows}
    assert Counter(last.values()) == {b["number"]: b["count"] for b in report["bins"] if b["count"]}
    assert len(rows) == DEVICES + report["retested"]


def test_the_journal_says_the_same(ran: tuple[Path, dict[str, Any]]) -> None:
    _, report = ran
    history = list(read(Path(report["journal"])))
    balance = balance_of(history, identities=True)
    assert balance.accounts() == report["accounts"]
    assert len(set((balance.uids or {}).values())) == report["secured"]
    intended = [event.part for event in history if isinstance(event, events.Intended)]
    assert len(intended) == len(set(intended)), "no device is personalised twice"
    passed = {part for part in balance.parts() if balance.kind(part) is BinKind.PASS}
    assert passed == set(balance.uids or {})


def test_the_devices_themselves_say_the_same(ran: tuple[Path, dict[str, Any]]) -> None:
    _, report = ran
    truth = report["truth"]
    assert truth["escapes"] == []
    assert truth["unexplained"] == []
    assert truth["misplaced"] == []
    assert truth["custody"] == []


def test_no_order_of_bins_went_out_before_its_results_were_on_disk(ran: tuple[Path, dict[str, Any]]) -> None:
    _, report = ran
    closed: set[int] = set()
    for event in read(Path(report["journal"])):
        match event:
            case events.ContactsClosed():
                closed.add(event.seq)
            case events.BinsSent():
                assert event.seq in closed
            case _:
                pass


def test_the_same_seed_gives_the_same_bytes(ran: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, report = ran
    arguments = ("--devices", str(DEVICES), "--sites", str(SITES), "--seed", "7")
    code, again = lot(tmp_path, *arguments, hash_seed="4711")
    assert code == 0
    assert Path(again["stdf"]).read_bytes() == Path(report["stdf"]).read_bytes()
    assert (tmp_path / LOT / "journal").read_bytes() == (folder / "journal").read_bytes() or _differ(
        folder / "journal", tmp_path / LOT / "journal"
    )
    for key in ("bins", "accounts", "units_per_hour", "simulated_s", "truth", "retested"):
        assert again[key] == report[key]


def _differ(one: Path, other: Path) -> bool:
    """Journals may differ only in what the vault's own randomness made: the digest of its record."""
    for a, b in zip(read(one), read(other), strict=True):
        if isinstance(a, events.PersonalisationEnded) and isinstance(b, events.PersonalisationEnded):
            assert (a.at, a.unit, a.disposition, a.uid, a.serial) == (
                b.at,
                b.unit,
                b.disposition,
                b.uid,
                b.serial,
            )
        else:
            assert a == b
    return True


def test_another_seed_gives_other_devices(ran: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    _, report = ran
    _, other = lot(tmp_path, "--devices", "8", "--sites", "8", "--seed", "8")
    assert Path(other["stdf"]).read_bytes()[:HEAD] != Path(report["stdf"]).read_bytes()[:HEAD]


def test_readers_that_leave_t1_to_the_station_end_the_lot_alike(
    ran: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    _, report = ran
    text = simulated_station_file().read_text()
    assert "1209:0002" in text
    file = tmp_path / "station.toml"
    file.write_text(text.replace("1209:0002", "1209:0001"))
    arguments = ("--station", str(file), "--devices", str(DEVICES), "--sites", str(SITES), "--seed", "7")
    code, again = lot(tmp_path / "lots", *arguments)
    assert code == 0, again
    assert (again["bins"], again["accounts"], again["truth"]) == (
        report["bins"],
        report["accounts"],
        report["truth"],
    )
    assert again["simulated_s"] > report["simulated_s"]


def test_the_widest_cell_has_all_its_dies_in_the_vault_at_once(tmp_path: Path) -> None:
    arguments = ("--devices", "64", "--sites", "64", "--fault", "dut.population=ideal")
    code, report = lot(tmp_path, *arguments)
    assert code == 0, report
    assert (report["state"], report["secured"], report["retested"]) == ("CLOSED", 64, 0)
    assert report["truth"]["custody"] == []
