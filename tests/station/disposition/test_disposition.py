"""Policies on grids and numbers that a hand can check, and a stored lot through all of them."""

from collections.abc import Mapping
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from station.analysis.shares import share
from station.cli import hardbin
from station.datalog.rebuild import rebuild
from station.datalog.stdf.lint import check
from station.datalog.stdf.reader import read as stdf
from station.datalog.store import Store
from station.disposition.baseline import static_of, statistical_of
from station.disposition.course import Disposition, Moved, disposed
from station.disposition.neighbourhood import rings, scores
from station.disposition.parts import Parts, parts_of
from station.disposition.rebinned import rebinned
from station.disposition.rules import (
    Bounds,
    Clusters,
    Dynamic,
    Levels,
    Neighbours,
    Rules,
    Static,
    Statistical,
    Target,
    read,
)
from station.disposition.statistical import HOLD, QUARANTINE, bin_levels
from station.errors import AnalysisError, ConfigError, StorageError
from station.model import DeviceResult, LotInfo, Measurement, Personalisation, Place, Verdict
from station.model import Disposition as Sealed
from tests.station.datalog.lots import BEGAN, GOOD, IDD, SUPPLY, lot, touchdown

SIDE = 7
BAD = {(2, 2), (2, 3), (3, 2), (4, 4), (3, 4), (4, 3), (2, 4)}
"""A ring but for one corner around (3, 3)."""


def die(part: int, x: int, y: int, value: float, *, bad: bool = False, wafer: str = "W1") -> DeviceResult:
    verdict = Verdict.FAILED if bad else Verdict.PASSED
    measured = (Measurement(300, "idd_idle", "P", verdict, value=value),)
    bin_ = SUPPLY if bad else GOOD
    return DeviceResult(1, part, 1, bin_, verdict, measured, BEGAN, 0.1, place=Place(wafer, x, y))


def values(seed: int) -> Mapping[tuple[int, int], float]:
    random = Random(seed)  # noqa: S311
    return {(x, y): 5e-3 + random.gauss(0, 1e-4) for x in range(SIDE) for y in range(SIDE)}


def stored(
    path: Path, *, name: str = "L1", seed: int = 1, outlier: float | None = None, coded: bool = False
) -> Path:
    """Write a lot of one wafer whose die (0, 6) may have a value of its own; `coded`: each has a code."""
    store = Store(path)
    store.open()
    store.begin(msgspec.structs.replace(lot((1,), (IDD,)), lot=name))
    for part, ((x, y), value) in enumerate(values(seed).items(), start=1):
        bad = (x, y) in BAD
        found = outlier if outlier is not None and (x, y) == (0, 6) else value
        made = die(part, x, y, 12e-3 if bad else found, bad=bad)
        store.commit(touchdown(part, msgspec.structs.replace(made, code=f"C-{part}" if coded else "")))
    store.finish(BEGAN + 1000)
    store.close()
    return path


def parts(path: Path) -> Parts:
    store = Store(path)
    found = parts_of(store, 1)
    store.close()
    return found


def places(found: Disposition) -> set[tuple[str, int | None, int | None]]:
    return {(one.policy, one.x, one.y) for one in found.moved}


def test_weights_of_neighbours_are_two_at_edges_and_one_at_corners() -> None:
    present = np.ones((SIDE, SIDE), np.bool_)
    bad = np.zeros((SIDE, SIDE), np.bool_)
    for x, y in BAD:
        bad[y, x] = True
    assert scores(present, bad, "none")[3, 3] == 4 * 2 + 3 * 1
    assert scores(present, bad, "none")[0, 0] == 0
    assert scores(present, bad, "bad")[0, 0] == 2 * 2 + 3 * 1
    bad[0, 1] = True
    assert scores(present, bad, "none")[0, 0] == 2
    assert scores(present, bad, "scale")[0, 0] == pytest.approx(2 * 12 / 5)


def test_a_cluster_is_dilated_once() -> None:
    bad = np.zeros((5, 5), np.bool_)
    bad[1, 1] = bad[2, 2] = bad[4, 0] = True
    found, sizes = rings(bad, 2, 1)
    assert list(sizes.values()) == [2]
    assert np.array_equal(
        found > 0,
        np.array(
            [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], np.bool_
        ),
    )
    assert not rings(bad, 3, 1)[0].any()


def test_each_policy_moves_what_it_should_and_the_first_one_counts(tmp_path: Path) -> None:
    found = parts(stored(tmp_path / "results.db", outlier=6.5e-3))
    rules = Rules(
        "r",
        1,
        static=Static(30, 3, {"300": Bounds(4.5e-3, 6.0e-3)}),
        dynamic=Dynamic(31, 3),
        neighbours=Neighbours(32, 3, threshold=10.0),
        clusters=Clusters(33, 3, least=7),
    )
    made = disposed(found, rules)
    assert ("static", 0, 6) in places(made)
    assert ("neighbours", 3, 3) in places(made)
    assert not any(policy == "dynamic" for policy, _, _ in places(made))
    around = {(x + dx, y + dy) for x, y in BAD for dx in (-1, 0, 1) for dy in (-1, 0, 1)} - BAD - {(3, 3)}
    assert {(x, y) for policy, x, y in places(made) if policy == "clusters"} == around
    assert made.devices == SIDE * SIDE
    assert [stage.moved for stage in made.stages] == [0, 1, 0, 1, len(around)]
    alone = disposed(found, Rules("r", 1, dynamic=Dynamic(31, 3)))
    assert places(alone) == {("dynamic", 0, 6)}


def test_escapes_and_overkill_are_told_behind_each_policy(tmp_path: Path) -> None:
    found = parts(stored(tmp_path / "results.db", outlier=6.5e-3))
    numbers = {place: number for number, place in enumerate(values(1), start=1)}
    bad = {numbers[place] for place in BAD} | {numbers[0, 6], numbers[3, 3]}
    rules = Rules(
        "r",
        1,
        dynamic=Dynamic(31, 3),
        neighbours=Neighbours(32, 3, threshold=10.0),
        clusters=Clusters(33, 3, least=7),
    )
    stages = disposed(found, rules, bad=bad).stages
    escapes = [stage.escapes.count for stage in stages if stage.escapes is not None]
    overkill = [stage.overkill.count for stage in stages if stage.overkill is not None]
    assert escapes == [2, 1, 0, 0]
    assert overkill[:3] == [0, 0, 0]
    assert overkill[3] == stages[3].moved
    assert stages[0].escapes == share(2, 9)


def test_limits_of_lots_are_mean_and_three_or_four_sigma() -> None:
    counts, devices = [40, 50, 60, 40, 50, 60], [1000] * 6
    found = bin_levels(counts, devices, 100_000)
    sigma = float(np.std([0.04, 0.05, 0.06] * 2, ddof=1))
    assert found.hold == pytest.approx(0.05 + 3 * sigma)
    assert found.quarantine == pytest.approx(0.05 + 4 * sigma)
    small = bin_levels([1] * 6, [1000] * 6, 100)
    assert small.hold == small.quarantine == 2 / 100, "low counts: the binomial quantile"
    with pytest.raises(AnalysisError, match="3 lots"):
        bin_levels([1] * 3, [10] * 3, 10)


def test_a_lot_beyond_its_limits_is_held_or_quarantined(tmp_path: Path) -> None:
    found = parts(stored(tmp_path / "results.db"))
    share_bad = len(BAD) / SIDE**2
    rules = Rules(
        "r",
        1,
        statistical=Statistical(
            Levels(1 - share_bad + 0.01, 1 - share_bad - 0.01),
            {"300": Levels(share_bad - 0.02, share_bad - 0.01)},
        ),
    )
    made = disposed(found, rules)
    assert [(one.rule, one.action) for one in made.beyond] == [("SYL", HOLD), ("SBL", QUARANTINE)]
    assert disposed(found, Rules("r", 1, statistical=Statistical(Levels(0.5, 0.4)))).beyond == ()


def test_rules_of_earlier_lots(tmp_path: Path) -> None:
    lots = [parts(stored(tmp_path / f"{n}.db", name=f"L{n}", seed=n)) for n in range(6)]
    made = static_of(lots, Target(30, 3), sigmas=6.0)
    good = np.concatenate([one.values[one.good, 0] for one in lots])
    q1, q2, q3 = np.quantile(good, [0.25, 0.5, 0.75])
    assert made.limits["300"].low == pytest.approx(q2 - 6 * (q3 - q1) / 1.35)
    assert made.limits["300"].high == pytest.approx(q2 + 6 * (q3 - q1) / 1.35)
    limits = statistical_of(lots, quantity=49)
    assert limits.bins["300"].hold >= len(BAD) / SIDE**2
    with pytest.raises(AnalysisError, match="5 lots"):
        static_of(lots[:5], Target(30, 3), sigmas=6.0)
    rules = Rules("base", 1, static=made, statistical=limits)
    path = tmp_path / "rules.toml"
    path.write_text(rules.toml())
    assert read(path) == rules
    assert read(path).digest() == rules.digest()


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (Rules("r", 1, product="other"), "are for other"),
        (Rules("r", 1, dynamic=Dynamic(300, 3)), "bin 300 is 'supply'"),
        (Rules("r", 1, dynamic=Dynamic(31, 1)), "hard bin 1 are no rejects"),
        (Rules("r", 1, dynamic=Dynamic(31, 3, tests=(7,))), "no test 7"),
    ],
)
def test_rules_that_do_not_fit_are_refused(rules: Rules, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        disposed(parts(stored(tmp_path / "results.db")), rules)


def test_devices_with_an_identity_do_not_move(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.db")
    store.open()
    info: LotInfo = lot((1,), (IDD,))
    store.begin(info)
    sealed = msgspec.structs.replace(die(1, 0, 0, 5e-3), personalisation=Personalisation(Sealed.SEALED))
    store.commit(touchdown(1, sealed))
    store.close()
    with pytest.raises(ConfigError, match="have identities"):
        disposed(parts(store.path), Rules("r", 1, dynamic=Dynamic(31, 3)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = 'r'", "version"),
        ("name = 'r'\nversion = 1\n[dynamic]\nbin = 31\nhard = 3\nsigma = 6", "unknown field"),
        ("name = 'r'\nversion = 1\n[dynamic]\nbin = 1\nhard = 3\n[clusters]\nbin = 1\nhard = 3", "one bin"),
        (
            "name = 'r'\nversion = 1\n[static]\nbin = 1\nhard = 3\nlimits.3 = {low = 2, high = 1}",
            "above high",
        ),
        ("name = 'r'\nversion = 1\n[statistical]\ngood = {hold = 0.8, quarantine = 0.9}", "not be above"),
        ("name = 'r'\nversion = 1\n[statistical]\nbins.3 = {hold = 0.2, quarantine = 0.1}", "not be below"),
        ("name = ", "not TOML"),
    ],
)
def test_a_rules_file_that_cannot_be_meant_is_one_message(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read(path)


@pytest.mark.parametrize("coded", [False, True])
def test_the_command_writes_an_audit_entry_that_comes_out_again(coded: bool, tmp_path: Path) -> None:
    store = stored(tmp_path / "results.db", outlier=6.5e-3, coded=coded)
    opened = Store(store)
    file = rebuild(opened, 1, tmp_path)
    opened.close()
    rules = tmp_path / "rules.toml"
    rules.write_text(Rules("r", 1, dynamic=Dynamic(31, 3), statistical=Statistical(Levels(0.9, 0.8))).toml())
    arguments = ["disposition", "apply", str(store), "--rules", str(rules)]
    entries = [tmp_path / "one.json", tmp_path / "two.json"]
    for entry in entries:
        ran = CliRunner().invoke(hardbin, [*arguments, "--out", str(entry)])
        assert ran.exit_code == 12, ran.output
    assert entries[0].read_bytes() == entries[1].read_bytes()
    assert "SYL: 42 good of 49" in ran.output
    out = tmp_path / "rebinned.std"
    ran = CliRunner().invoke(hardbin, [*arguments, "--stdf", str(file), str(out), "--json"])
    found = msgspec.json.decode(ran.output, type=Disposition)
    assert check(out).findings == ()
    ends = {r.text("PART_ID"): r for r in stdf(out) if r.name == "PRR"}
    (moved,) = found.moved
    assert moved.name == (f"C-{moved.part}" if coded else "")
    end = ends[moved.name or str(moved.part)]
    assert (end.integer("SOFT_BIN"), end.integer("PART_FLG") & 0x08) == (31, 0x08)
    totals = [r for r in stdf(out) if r.name == "PCR" and r.integer("HEAD_NUM") == 255]
    assert [r.integer("GOOD_CNT") for r in totals] == [SIDE * SIDE - len(BAD) - 1]
    assert [r.integer("GOOD_CNT") for r in stdf(out) if r.name == "WRR"] == [SIDE * SIDE - len(BAD) - 1]
    assert any("disposition dynamic" in r.text("TEXT_DAT") for r in stdf(out) if r.name == "DTR")


def test_a_file_that_the_disposition_is_not_of_is_refused(tmp_path: Path) -> None:
    mine = stored(tmp_path / "mine.db", outlier=6.5e-3)
    found = disposed(parts(mine), Rules("r", 1, dynamic=Dynamic(31, 3)))
    out, own = tmp_path / "out.std", built(mine, tmp_path / "own")
    other = built(stored(tmp_path / "other.db", name="L2"), tmp_path / "other")
    with pytest.raises(StorageError, match="of lot L2, the disposition is of lot L1"):
        rebinned(other, out, found, "L1", BEGAN)
    wrong = msgspec.structs.replace(found.moved[0], was=2)
    with pytest.raises(StorageError, match=r"part \d+ is not in bin 2"):
        rebinned(own, out, msgspec.structs.replace(found, moved=(wrong,)), "L1", BEGAN)
    absent = msgspec.structs.replace(found.moved[0], part=1000)
    with pytest.raises(StorageError, match="part 1000 is not in bin 1"):
        rebinned(own, out, msgspec.structs.replace(found, moved=(absent,)), "L1", BEGAN)
    cut = own.with_name("cut.std")
    cut.write_bytes(own.read_bytes()[:-11])
    with pytest.raises(StorageError, match="no MRR"):
        rebinned(cut, out, found, "L1", BEGAN)
    assert not out.exists()
    assert rebinned(own, out, found, "L1", BEGAN).moved == 1


def test_of_two_wafers_with_equal_numbers_the_die_of_its_own_is_moved(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.db")
    store.open()
    store.begin(msgspec.structs.replace(lot((1,), (IDD,)), lot="L1"))
    for part, wafer in enumerate(("W1", "W2"), start=1):
        made = msgspec.structs.replace(die(part, 0, 6, 5e-3, wafer=wafer), code="1")
        store.commit(touchdown(part, made))
    store.finish(BEGAN + 1000)
    store.close()
    moved = Moved("dynamic", 1, "W1", 0, 6, 1, 31, 3, "far off", "1")
    found = disposed(parts(store.path), Rules("r", 1, dynamic=Dynamic(31, 3)))
    out = tmp_path / "out.std"
    own, found = built(store.path, tmp_path / "own"), msgspec.structs.replace(found, moved=(moved,))
    rebinned(own, out, found, "L1", BEGAN)
    ends = [(r.text("PART_ID"), r.integer("SOFT_BIN")) for r in stdf(out) if r.name == "PRR"]
    assert ends == [("1", 31), ("1", 1)]


def built(store: Path, folder: Path) -> Path:
    folder.mkdir()
    opened = Store(store)
    file = rebuild(opened, 1, folder)
    opened.close()
    return file
