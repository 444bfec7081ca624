"""A lot by each policy of retest: what moves, what datalog and store say of it, and what is true."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from station.custody.journal import read
from station.datalog.stdf.reader import read as stdf
from station.datalog.stdf.records import Record
from station.datalog.store import Store
from station.events import RuleTripped
from station.model import DeviceResult
from tests.cell.counted import assert_all_agree
from tests.cell.lots import LOT, here, lot_here
from tests.cell.policies import policy_file

pytestmark = pytest.mark.timeout(600)
WAFERS, DIES = 3, 13
Contacts = list[DeviceResult]


def contacts(folder: Path) -> Contacts:
    """Return every contact, in order."""
    store = Store(folder / "results.db")
    found = [device for landing in store.touchdowns(1) for device in landing.devices]
    store.close()
    return found


def by_part(found: Contacts) -> dict[int, Contacts]:
    parts = dict[int, Contacts]()
    for device in found:
        parts.setdefault(device.part, []).append(device)
    return parts


def at_once(found: Contacts) -> bool:
    """Each further contact follows at the same site, before any other device is met there."""
    here = dict[int, int]()
    for device in found:
        if device.contact > 1 and here[device.site] != device.part:
            return False
        here[device.site] = device.part
    return True


def after_all_others(found: Contacts) -> bool:
    """No first contact of a wafer, or of a lot without wafers, comes behind a further one of it."""
    again = set[str]()
    for device in found:
        wafer = device.place.wafer if device.place else ""
        if device.contact > 1:
            again.add(wafer)
        elif wafer in again:
            return False
    return True


def elsewhere(found: Contacts) -> bool:
    """Every further contact is by a site that had not met the device."""
    return all(
        len({device.site for device in part}) == len(part)
        for part in by_part(found).values()
        if len(part) > 1
    )


POLICIES: dict[str, tuple[Callable[[Contacts], bool], ...]] = {
    "AT_ONCE": (at_once,),
    "AT_END": (after_all_others,),
    "OTHER_SITE": (elsewhere,),
    "OTHER_SITE_AT_END": (elsewhere, after_all_others),
    "BY_BIN": (at_once,),
    "TURNED_OFF": (at_once,),
    "FINAL_AT_END": (after_all_others,),
}

RULES = """
name = "after"
version = 1

[dynamic]
bin = 40
hard = 3

[neighbours]
bin = 41
hard = 3

[clusters]
bin = 42
hard = 3

[statistical]
good = { hold = 0.999, quarantine = 0.99 }
"""
DIRTIER = {"BY_BIN": 0.5, "TURNED_OFF": 0.5}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """Run a lot by a policy, once."""
    known = dict[str, tuple[Path, dict[str, Any]]]()

    def run(policy: str) -> tuple[Path, dict[str, Any]]:
        if policy not in known:
            out = tmp_path_factory.mktemp(policy)
            final = ("--devices", "48", "--sites", "8", "--seed", "5")
            size = final if policy.startswith("FINAL") else ("--devices", str(WAFERS * DIES), "--seed", "3")
            dirty = ("--fault", f"socket.dirt@p={DIRTIER.get(policy, 0.15)}")
            code, result = lot_here(out, "--station", str(policy_file(out, policy)), *size, *dirty)
            assert (code, result["state"]) == (0, "CLOSED"), result
            known[policy] = out / LOT, result
        return known[policy]

    return run


@pytest.mark.parametrize("policy", POLICIES)
def test_devices_come_again_as_the_policy_says(
    policy: str, ran: Callable[[str], tuple[Path, dict[str, Any]]]
) -> None:
    folder, result = ran(policy)
    found = contacts(folder)
    assert result["retested"] == sum(device.contact > 1 for device in found) > 0
    for holds in POLICIES[policy]:
        assert holds(found), policy
    for part in by_part(found).values():
        assert [device.contact for device in part] == list(range(1, len(part) + 1))
        assert len({device.place for device in part}) == 1


@pytest.mark.parametrize("policy", POLICIES)
def test_three_readers_and_the_store_count_alike(
    policy: str, ran: Callable[[str], tuple[Path, dict[str, Any]]]
) -> None:
    folder, result = ran(policy)
    counted = assert_all_agree(folder, result)
    assert counted["PRR"] == result["tested"] + result["retested"]


@pytest.mark.parametrize("policy", POLICIES)
def test_no_bad_device_escapes_and_each_lies_where_the_station_says(
    policy: str, ran: Callable[[str], tuple[Path, dict[str, Any]]]
) -> None:
    _, result = ran(policy)
    truth = result["truth"]
    wrong = [truth[name] for name in ("escapes", "misplaced", "custody", "unexplained")]
    assert wrong == [[], [], [], []]
    assert result["good"] + len(truth["overkill"]) + len(truth["bad"]) == result["tested"]


@pytest.mark.parametrize("policy", POLICIES)
def test_escapes_and_overkill_are_told_before_and_behind_each_policy(
    policy: str, ran: Callable[[str], tuple[Path, dict[str, Any]]]
) -> None:
    folder, result = ran(policy)
    truth, stages = result["truth"], {stage["policy"]: stage for stage in result["truth"]["policies"]}
    first, last = stages["first contact"], truth["policies"][-1]
    again = {device.part for device in contacts(folder) if device.contact > 1}
    rejected = {d.part for d in contacts(folder) if d.contact == 1 and not d.bin.good} - set(truth["bad"])
    assert (first["overkill"]["count"], stages["retest"]["devices"]) == (len(rejected), len(again))
    assert first["overkill"]["count"] > stages["retest"]["overkill"]["count"]
    assert last["overkill"]["count"] == len(truth["overkill"])
    assert (last["escapes"]["count"], last["escapes"]["of"]) == (0, len(truth["bad"]))
    assert (
        last["overkill"]["low"]
        <= last["overkill"]["count"] / last["overkill"]["of"]
        <= last["overkill"]["high"]
    )


def told_and_rebuilt(folder: Path, path: Path) -> None:
    """Each trip stands in the datalog behind its touchdown, and comes out of the store again."""
    trips = [event for event in read(folder / LOT / "journal") if isinstance(event, RuleTripped)]
    texts = [record.text("TEXT_DAT") for record in stdf(path) if record.name == "DTR"]
    told = [text for text in texts if text.startswith("rule ")]
    assert [text.partition(",")[0] for text in told] == [f"rule {event.rule}" for event in trips]
    assert {event.rule for event in trips} >= {"PAT"}
    ran = here("stdf", "rebuild", str(folder / LOT / "results.db"), "--out", str(folder / "again"))
    assert ran.returncode == 0, ran.stderr
    assert (folder / "again" / path.name).read_bytes() == path.read_bytes()


def judged_by_part_averages(path: Path, bin_: int) -> None:
    """Every PTR has the limits that judged its part; those of the test are its spec where others did."""
    records = [record for record in stdf(path) if record.name in {"PTR", "PRR"}]
    narrow = dict[int, list[bool]]()
    open_ = dict[int, Record]()
    for record in records:
        site = record.integer("SITE_NUM")
        if record.name == "PTR":
            open_[site] = record
        elif (seen := open_.pop(site, None)) is not None:
            made = seen.valid("LO_SPEC")
            wide = ("LO_SPEC", "HI_SPEC") if made else ("LO_LIMIT", "HI_LIMIT")
            assert [round(seen.real(name), 6) for name in wide] == [0.002, 0.009]
            inside = seen.real("LO_LIMIT") <= seen.real("RESULT") <= seen.real("HI_LIMIT")
            assert inside is not bool(seen.integer("TEST_FLG") & 0x80)
            narrow.setdefault(record.integer("SOFT_BIN"), []).append(made)
            if record.integer("SOFT_BIN") == bin_:
                assert (made, inside) == (True, False)
    assert len(narrow[bin_]) > 1
    assert {*narrow[1]} == {False, True}, "the first devices have no such limits yet"


def test_part_averages_a_second_look_and_stop_rules_are_told_too(tmp_path: Path) -> None:
    size = ("--devices", "120", "--seed", "3", "--fault", "socket.dirt@p=0.05")
    code, result = lot_here(tmp_path, "--station", str(policy_file(tmp_path, "WATCHED")), *size)
    assert (code, result["truth"]["unexplained"]) == (0, []), result
    stages = {stage["policy"]: stage for stage in result["truth"]["policies"]}
    assert list(stages) == ["first contact", "retest", "PAT", "QA", "R1", "R2", "R4", "R5", "R6"]
    found = {device.part: device for device in contacts(tmp_path / LOT)}.values()
    outliers = {device.part for device in found if device.bin.number == 30}
    assert stages["PAT"]["devices"] == len(outliers) > 0
    moved = len(outliers - set(result["truth"]["bad"]))
    assert stages["PAT"]["overkill"]["count"] == stages["retest"]["overkill"]["count"] + moved
    assert stages["R6"]["overkill"]["count"] == len(result["truth"]["overkill"])
    assert_all_agree(tmp_path / LOT, result)
    told_and_rebuilt(tmp_path, Path(result["stdf"]))
    judged_by_part_averages(Path(result["stdf"]), 30)
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES, "utf-8")
    report = tmp_path / LOT / "report.json"
    done = here(
        *("disposition", "apply", str(tmp_path / LOT / "results.db")),
        *("--rules", str(rules), "--report", str(report), "--json"),
    )
    assert done.returncode == 12, done.stderr
    after = json.loads(done.stdout)
    assert after["live"] == result["truth"]["policies"]
    assert [stage["policy"] for stage in after["stages"]] == [
        "measured",
        "dynamic",
        "neighbours",
        "clusters",
        "statistical",
    ]
    for name in ("escapes", "overkill"):
        assert after["stages"][0][name]["count"] == after["live"][-1][name]["count"]
    held = after["stages"][-1]
    assert (held["good"], held["escapes"]["count"]) == (0, 0)
    assert held["overkill"]["count"] == held["overkill"]["of"] > 0
    shown = here(
        *("disposition", "apply", str(tmp_path / LOT / "results.db")),
        *("--rules", str(rules), "--report", str(report)),
    )
    assert "(live) PAT" in shown.stdout


def test_retest_that_is_turned_off_is_told(ran: Callable[[str], tuple[Path, dict[str, Any]]]) -> None:
    off = [event for event in read(ran("TURNED_OFF")[0] / "journal") if isinstance(event, RuleTripped)]
    assert "retest off" in {event.rule for event in off}
    seen = {event.seen for event in off if event.rule == "retest off"}
    assert all(text.endswith("retests have helped, retest stops") for text in seen)


def test_check_says_what_is_not_retested_at_once(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "sim" / "station.toml").read_text("utf-8")
    path = tmp_path / "station.toml"
    for retest_code, note in (('retest_code = "R"', ""), ("", "note: handler lands no device again")):
        path.write_text(text.replace('retest_code = "R"', retest_code), "utf-8")
        done = here("check", "--station", str(path))
        assert done.returncode == 0, done.stderr
        assert ("note: " in done.stdout, note in done.stdout) == (bool(note), True)


@pytest.mark.parametrize("policy", ["FINAL_AT_END", "FINAL_OTHER_SITE", "OTHER_SITE", "OTHER_SITE_AT_END"])
def test_a_machine_that_cannot_is_refused_by_name_before_anything_is_opened(
    policy: str, tmp_path: Path
) -> None:
    path = policy_file(tmp_path, policy)
    text = path.read_text("utf-8").replace("refeeds = [5]", "refeeds = []")
    if "FINAL" not in policy:
        text = text.replace("[equipment.options]\n", '[equipment.options]\nmode = "prober_master"\n', 1)
    path.write_text(text, "utf-8")
    name, machine = {"FINAL_AT_END": ("at_end", "handler does not bring devices of hard bin 5 again")}.get(
        policy, ("other_site", "handler picks the site" if "FINAL" in policy else "prober steps by itself")
    )
    asked = ("check", "--station", str(path)), ("run", "--station", str(path), "--out", str(tmp_path / "out"))
    for command in asked:
        done = here(*command)
        assert (done.returncode, done.stdout) == (3, "")
        assert f"retest.{name}: {machine}" in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.glob("out/*")) == []
