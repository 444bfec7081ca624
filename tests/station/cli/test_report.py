"""`hardbin report`: what people and programs see of a lot, a study, two testers."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from lxml import html
from msgspec.structs import replace

from station.analysis.closeup import closeup
from station.analysis.findings import findings
from station.analysis.lot import Lot, lot_of
from station.cli import code_of
from station.cli.report import report
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.reader import read
from station.datalog.stdf.records import encode_record, whole
from station.datalog.store import Store
from station.model import Bin, BinKind, DeviceResult, Ending, Limit, Measurement, TestDefinition, Verdict
from tests.station.analysis.test_golden_statistics import study
from tests.station.datalog.lots import BEGAN, SUPPLY, lot, touchdown, touchdowns

GOOD = Bin(1, "good", 1, BinKind.PASS)
PARTS = 240


def value(part: int) -> float:
    """Site 2 measures 0.4 mA more; each fortieth part is far too high."""
    noise = float(np.random.default_rng(part).normal(0, 0.4e-3))
    return 5e-3 + noise + 0.4e-3 * (part % 2 == 0) + 9e-3 * (part % 40 == 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lot of 240 parts, in the store and as a file."""
    folder = tmp_path_factory.mktemp("lot")
    info = lot(tests=(TestDefinition(300, "idd_idle", "P", Limit(2e-3, 9e-3, "A")),))
    file, store = StdfFile(folder, info), Store(folder / "results.db")
    file.open()
    store.open()
    store.begin(info)
    for seq in range(1, PARTS // 2 + 1):
        devices = [device(site, 2 * seq - 2 + site) for site in (1, 2)]
        file.touchdown(touchdown(seq, *devices))
        store.commit(touchdown(seq, *devices))
    file.close(BEGAN + 2000).rename(folder / "lot.std")
    store.close()
    return folder


def device(site: int, part: int) -> DeviceResult:
    reading = value(part)
    passed = reading <= 9e-3
    verdict = Verdict.PASSED if passed else Verdict.FAILED
    measured = (Measurement(300, "idd_idle", "P", verdict, value=reading),)
    times_s = (0.375,) if part <= 8 else ()
    bin_ = GOOD if passed else SUPPLY
    return DeviceResult(site, part, 1, bin_, verdict, measured, BEGAN + part, 0.5, times_s=times_s)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(report, [str(argument) for argument in arguments])


def same(ours: Lot, theirs: Lot) -> None:
    assert np.allclose(ours.values, theirs.values, rtol=1e-6, equal_nan=True)
    assert (ours.failed == theirs.failed).all()
    assert ours.contacts.part.tolist() == theirs.contacts.part.tolist()
    assert ours.contacts.soft.tolist() == theirs.contacts.soft.tolist()
    assert [test.number for test in ours.tests] == [test.number for test in theirs.tests]
    names = [test.name for test in ours.tests]
    assert ours.times.a_contact(names) == pytest.approx(theirs.times.a_contact(names))


def test_where_the_time_of_a_contact_goes(folder: Path, tmp_path: Path) -> None:
    for name in ("results.db", "lot.std"):
        found = findings(lot_of(folder / name)).time
        assert found.timed == 8
        bars = [(bar.name, round(bar.count, 3)) for bar in found.by_test]
        assert bars == [("300 idd_idle", 375.0), ("between tests", 125.0)]
    assert "375.0 ms  75.00 %  300 idd_idle" in run("lot", folder / "lot.std").output
    told = [record for record in read(folder / "lot.std") if record.name != "GDR"]
    bare = tmp_path / "bare.std"  # as of a tester that says the means alone
    bare.write_bytes(b"".join(map(encode_record, told)))
    found = findings(lot_of(bare)).time
    assert found.timed == PARTS
    assert [round(bar.count, 3) for bar in found.by_test] == [375.0, 125.0]
    older = tmp_path / "older.std"
    fields = {"TEST_TIM": 0.0, "OPT_FLAG": 0xCC}
    older.write_bytes(
        b"".join(
            whole("TSR", **{**record.values, **fields}) if record.name == "TSR" else encode_record(record)
            for record in told
        )
    )
    assert findings(lot_of(older)).time.by_test == ()


def test_store_and_file_say_the_same(folder: Path) -> None:
    same(lot_of(folder / "results.db"), lot_of(folder / "lot.std"))


def test_every_kind_of_test_counts(tmp_path: Path) -> None:
    file, store = StdfFile(tmp_path, lot()), Store(tmp_path / "results.db")
    file.open()
    store.open()
    store.begin(lot())
    for result in touchdowns():
        file.touchdown(result)
        store.commit(result)
    same(lot_of(file.close(BEGAN + 99)), lot_of(tmp_path / "results.db"))
    store.close()


def test_what_was_put_in_is_found(folder: Path) -> None:
    found = findings(lot_of(folder / "results.db"))
    assert (found.final.of, found.final.count, found.recovered) == (240, 234, 0)
    assert [(bar.name, bar.count) for bar in found.bins] == [("300 supply", 6)]
    assert found.time.mean == 500
    (test,) = found.tests
    assert (test.failed, test.only_failed, test.sites_differ) == (6, 6, True)
    assert test.sites is not None
    assert test.sites.means[1] - test.sites.means[0] > 0.3e-3


def test_a_lot_as_text_json_and_page(folder: Path, tmp_path: Path) -> None:
    text = run("lot", folder / "results.db").stdout
    assert "240 parts, 234 good (97.50 %" in text
    assert "differ" in text
    assert json.loads(run("lot", folder / "lot.std", "--json").stdout)["tests"][0]["failed"] == 6
    assert run("lot", folder / "lot.std", "--html", tmp_path / "lot.html").stdout == ""
    page = html.fromstring((tmp_path / "lot.html").read_bytes())
    assert page.findtext(".//h1") == "Lot L1017"
    headings = [heading.text for heading in page.iter("h2")]
    assert {"Sites", "Tests", "Distributions", "Bad contacts in order"} <= set(headings)
    assert not page.xpath("//script|//link|//img|//@src|//@href"), "it fetches nothing and runs nothing"


def test_a_lot_on_paper_comes_out_alike(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        paper = ("--pdf", tmp_path / f"{name}.pdf", "--png", tmp_path / f"{name}.png")
        assert run("lot", folder / "lot.std", *paper).exit_code == 0
    pdf, png = (tmp_path / "one.pdf").read_bytes(), (tmp_path / "one.png").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") == 2, "the lot, and the test"
    assert png.startswith(b"\x89PNG")
    assert (pdf, png) == ((tmp_path / "two.pdf").read_bytes(), (tmp_path / "two.png").read_bytes())
    assert run("lot", folder / "lot.std", "--pdf", tmp_path / "no" / "folder.pdf").exit_code != 0


def test_the_other_reports(folder: Path) -> None:
    assert "Cpk" in run("capability", folder / "results.db", "--test", "300").stdout
    charts = json.loads(run("spc", folder / "results.db", "--test", "300", "--group", "5", "--json").stdout)
    assert len(charts["charts"][0]["points"]) == 48
    assert "moving range" in run("spc", folder / "results.db", "--test", "300").stdout
    (row,) = json.loads(run("correlate", folder / "results.db", folder / "lot.std", "--json").stdout)
    assert (row["test"], row["count"]) == (300, 240)
    assert row["r"] == pytest.approx(1.0)
    (sites,) = json.loads(run("groups", folder / "results.db", "--json").stdout)["tests"]
    assert sites["differ"] is True
    assert len(sites["found"]["means"]) == 2
    same = run("groups", folder / "results.db", folder / "lot.std")
    assert "300" in same.stdout
    assert "differ" not in same.stdout
    (worth,) = json.loads(run("reduction", folder / "results.db", "--json").stdout)["tests"]
    assert (worth["failed"], worth["only_failed"], worth["twin"]) == (6, 6, 0)
    assert "1 lots, 240 parts" in run("reduction", folder / "results.db").stdout


def test_a_gauge_study_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    values = study()
    lines = ["part,operator,trial,value"]
    lines += [f"{p},{o},{t},{values[p, o, t]}" for p in range(10) for o in range(3) for t in range(3)]
    path.write_text("\n".join(lines))
    done = run("gauge", path, "--tolerance", "8")
    assert "0.302372" in done.stdout
    assert "4 distinct categories; marginal" in done.stdout
    assert json.loads(run("gauge", path, "--method", "range", "--json").stdout)["categories"] == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("part,operator,value\n1,a,2", "the column trial is missing"),
        ("part,operator,trial,value\n1,a,1,x", "line 2: the value 'x' is no number"),
        ("part,operator,trial,value\n1,a,1,2\n1,a,1,2", "are there twice"),
        ("part,operator,trial,value\n1,a,1,2\n2,b,1,2", "part 1, operator b, trial 1 is missing"),
        ("part,operator,trial,value\n1,a,1,2", "2 or more parts"),
        ("", "the column part is missing"),
    ],
)
def test_a_study_that_is_wrong(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "study.csv"
    path.write_text(text)
    assert code_of(["report", "gauge", str(path)]) == 2
    assert said in capsys.readouterr().err


def test_what_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["report", "capability", str(folder / "lot.std"), "--test", "7"]) == 2
    assert "lot L1017 has no test 7" in capsys.readouterr().err
    assert code_of(["report", "lot", str(folder / "nothing.std")]) == 4


def test_an_over_range_reading_is_left_out_of_the_charts(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.db")
    store.open()
    store.begin(lot(tests=(TestDefinition(300, "idd_idle", "P", Limit(2e-3, 9e-3, "A")),)))
    for part in range(1, 13):
        reading = float("inf") if part == 5 else value(part)
        ending = Ending.OVER_RANGE if part == 5 else Ending.VALUE
        measured = Measurement(300, "idd_idle", "P", Verdict.FAILED, ending, reading)
        store.commit(touchdown(part, replace(device(1, part), measurements=(measured,))))
    store.close()
    found = closeup(lot_of(store.path), 300).charted
    assert found is not None
    assert (len(found.charts[0].points), found.over_range) == (11, 1)
    ran = run("spc", store.path, "--test", "300", "--group", "2")
    assert (ran.exit_code, ran.output.count("beyond:")) == (0, 2)
    assert "over-range readings left out: 1" in ran.output
