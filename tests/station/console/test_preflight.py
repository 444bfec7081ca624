"""What a person sees between load and start, each check alone."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec
import pytest

from station import events
from station.console.preflight import checks
from station.custody.journal import Journal
from station.set_up import Instrument, Temperature, Traveller
from station.surroundings import simulated_station_file
from station.vault_answers import Quota
from tests.station.console.lots import BEGIN, NOW, journalled, loaded, shift
from tests.station.engine.test_empty import ROWS, empties

TODAY = date(2026, 11, 29)
METER = Instrument("dmm", "keysight_34465a", serial="MY1", calibration_due="2027-06-01")


async def written(
    folder: Path,
    *instruments: Instrument,
    more: tuple[events.Any, ...] = (),
    says: Traveller | None = None,
    tempered: Temperature | None = None,
) -> Path:
    """A lot that is loaded, with these machines."""
    loaded = next(event for event in BEGIN if isinstance(event, events.LotLoaded))
    info = msgspec.structs.replace(loaded.info, instruments=instruments, tempered=tempered)
    loaded = msgspec.structs.replace(loaded, says=says)
    journal = Journal(folder / "journal", reserve_bytes=0)
    journal.open()
    await journal.commit(msgspec.structs.replace(loaded, info=info), *more)
    journal.close()
    return folder


async def test_all_that_is_right_says_so(tmp_path: Path) -> None:
    found = {one.name: one for one in checks(await written(tmp_path, METER), TODAY)}
    assert list(found) == [
        "recipe",
        "machines",
        "lot data",
        "calibration",
        "sites",
        "records",
        "disk",
        "clock",
    ]
    right = {"machines", "lot data", "calibration", "sites", "records"}
    assert {one.name for one in found.values() if one.health == "ok"} >= right
    assert found["machines"].found == "dmm MY1"


@pytest.mark.parametrize(
    ("due", "health"), [("2026-11-28", "bad"), ("2026-12-05", "warning"), ("2027-06-01", "ok")]
)
async def test_a_calibration_that_is_over_or_soon_will_be(tmp_path: Path, due: str, health: str) -> None:
    meter = msgspec.structs.replace(METER, calibration_due=due)
    found = {one.name: one for one in checks(await written(tmp_path, meter), TODAY)}
    assert (found["calibration"].health, found["calibration"].found) == (health, f"dmm {due}")


async def test_a_machine_of_which_nobody_knows_the_number(tmp_path: Path) -> None:
    unknown = msgspec.structs.replace(METER, serial="")
    found = {one.name: one for one in checks(await written(tmp_path, unknown), TODAY)}
    assert (found["machines"].health, found["machines"].found) == ("warning", "dmm")


async def test_a_site_that_is_off(tmp_path: Path) -> None:
    off = events.SiteSet(at=NOW, site=2, on=False, actor="p", reason="pin bent")
    found = {one.name: one for one in checks(await written(tmp_path, METER, more=(off,)), TODAY)}
    assert (found["sites"].health, found["sites"].found) == ("warning", "2: pin bent")
    on = msgspec.structs.replace(off, on=True)
    (tmp_path / "b").mkdir()
    found = {one.name: one for one in checks(await written(tmp_path / "b", METER, more=(off, on)), TODAY)}
    assert found["sites"].health == "ok"


async def test_records_that_were_changed_are_the_only_thing_that_counts(tmp_path: Path) -> None:
    path = await written(tmp_path, METER) / "journal"
    path.write_bytes(path.read_bytes().replace(b"MY1", b"MY2"))
    (only,) = checks(tmp_path, TODAY)
    assert (only.name, only.health) == ("records", "bad")


@pytest.mark.parametrize(
    "change",
    [lambda text: text[: len(text) // 2] + "\nx = [", lambda text: text.replace("se1-final-test", "none")],
    ids=["cut off", "another sequence"],
)
async def test_a_station_file_that_cannot_be_read(tmp_path: Path, change: Callable[[str], str]) -> None:
    file, text = tmp_path / "station.toml", simulated_station_file().read_text()
    assert change(text) != text
    file.write_text(change(text))
    where = await written(tmp_path, METER, says=Traveller("", "PC-1", ""))
    found = {one.name: one for one in checks(where, TODAY, file)}
    assert found["records"].health == "bad"
    assert found["machines"].found == "dmm MY1"
    assert "lot data" not in found, "whether that is the card nobody can tell"


async def test_golden_units_that_were_not_measured(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text(simulated_station_file().read_text() + '\n[golden]\nresult = "golden.json"\n')
    waived = events.CheckWaived(at=NOW, check="golden", actor="p-7", reason="measured by hand")
    for folder, more in (("a", ()), ("b", (waived,))):
        (tmp_path / folder).mkdir()
        where = await written(tmp_path / folder, METER, more=more)
        golden = next(one for one in checks(where, TODAY, file) if one.name == "golden")
        assert golden.health == "bad"
        assert "run `hardbin study golden`" in golden.found
        assert (golden.waivable, golden.waived) == (not more, "p-7: measured by hand" if more else "")


@pytest.mark.parametrize(
    ("says", "health", "found"),
    [
        (None, "ok", "none"),
        (Traveller("se1", "CT-4", "bench 1"), "ok", "se1, CT-4, bench 1"),
        (Traveller("se2"), "bad", "the traveller says se2, this cell tests se1"),
        (
            Traveller(program="bench 2"),
            "bad",
            "the traveller says bench 2, this lot runs by bench or bench 1",
        ),
        (Traveller(card="CT-9"), "bad", "the traveller says CT-9, this cell has CT-4"),
    ],
)
async def test_what_the_traveller_says(
    tmp_path: Path, says: Traveller | None, health: str, found: str
) -> None:
    file = tmp_path / "station.toml"
    asset = '\n[[asset]]\nname = "CT-4"\nkind = "contactor"\nlimit = 9\nwarning = 8\n'
    file.write_text(simulated_station_file().read_text() + asset)
    where = await written(tmp_path, METER, says=says)
    data = next(one for one in checks(where, TODAY, file) if one.name == "lot data")
    assert (data.health, data.found, data.waivable) == (health, found, health == "bad")
    assert data.who == ("engineer",)


async def test_a_temperature_may_be_answered_for_before_it_is_missed(tmp_path: Path) -> None:
    hot = Temperature(85.0, soak_s=60.0)
    missed = (shift("CHECKING", "RUNNING"), shift("RUNNING", "HELD", "25 °C, wanted are 85 °C"))
    for folder, more, health in (("a", (), "ok"), ("b", missed, "bad")):
        (tmp_path / folder).mkdir()
        where = await written(tmp_path / folder, METER, tempered=hot, more=more)
        found = next(one for one in checks(where, TODAY) if one.name == "temperature")
        assert (found.health, found.waivable, found.who) == (health, True, ("engineer",))
        assert found.found.startswith("85 ± 2 °C, 60 s")


async def test_another_lot_of_a_real_cell_is_open(tmp_path: Path) -> None:
    for folder in ("L0", "L1"):
        (tmp_path / folder).mkdir()
    await journalled(tmp_path / "L0", [loaded(name="L0"), shift("LOADING", "LOADED")])
    where = await written(tmp_path / "L1", METER)
    assert "previous lot" not in {one.name for one in checks(where, TODAY)}
    found = next(one for one in checks(where, TODAY, real=True) if one.name == "previous lot")
    assert (found.health, found.found) == ("bad", "lots are open besides this one: L0 (LOADED)")
    assert found.who == ("engineer", "technician")


DOCKED = events.CheckTold(at=NOW, check="docking", health="ok", found="safety: door, docked")
ANSWERS = events.CheckTold(at=NOW, check="vault", health="ok", found="v-1, production")
QUOTA = Quota("WO-7", "set-1", "se1", quantity=400, begun=380, begun_max=420, sealed=370, not_after=0)


def cut_off(reason: str) -> events.CommandAccepted:
    return events.CommandAccepted(
        at=NOW, id="i", command="lot.abort", actor="interlock", source="local", reason=reason
    )


@pytest.mark.parametrize(
    ("more", "health", "found"),
    [
        ((DOCKED,), "ok", "safety: door, docked"),
        (
            (DOCKED, msgspec.structs.replace(DOCKED, health="bad", found="safety is open: docked")),
            "bad",
            "safety is open: docked",
        ),
        (
            (
                DOCKED,
                cut_off("safety is open: door"),
                shift("LOADED", "ABORTING"),
                shift("ABORTING", "ABORTED"),
            ),
            "bad",
            "safety is open: door",
        ),
        (
            (DOCKED, cut_off("safety is open: door"), shift("LOADED", "ABORTED"), shift("ABORTED", "PAUSED")),
            "ok",
            "safety: door, docked",
        ),
    ],
    ids=["closed", "open when it was checked", "opened while the lot waited", "closed again"],
)
async def test_docking(tmp_path: Path, more: tuple[events.Any, ...], health: str, found: str) -> None:
    docking = next(
        one for one in checks(await written(tmp_path, METER, more=more), TODAY) if one.name == "docking"
    )
    assert (docking.health, docking.found, docking.waivable) == (health, found, False)


@pytest.mark.parametrize(
    ("more", "of_vault", "health", "found"),
    [
        ((), (), "ok", "v-1, production"),
        (
            (events.QuotaTold(at=NOW, quota=QUOTA),),
            (),
            "ok",
            "v-1, production; WO-7: 40 of 420 may still be begun",
        ),
        (
            (events.QuotaTold(at=NOW, quota=msgspec.structs.replace(QUOTA, begun=413)),),
            (),
            "warning",
            "v-1, production; WO-7: 7 of 420 may still be begun",
        ),
        ((), ("no answer for 30 s",), "bad", "v-1, production; no answer for 30 s"),
        (
            (
                msgspec.structs.replace(
                    ANSWERS, health="bad", found="v-1, production; two devices of one UID"
                ),
            ),
            (),
            "bad",
            "v-1, production; two devices of one UID",
        ),
        (
            (
                msgspec.structs.replace(
                    shift("CHECKING", "HELD", "vault error 103: no order"), cause="custody"
                ),
            ),
            (),
            "bad",
            "vault error 103: no order",
        ),
        ((shift("CHECKING", "HELD", "the date of dmm is over"),), (), "ok", "v-1, production"),
    ],
    ids=[
        "it answers",
        "an order",
        "less than the lot",
        "away",
        "the line stands",
        "refused",
        "held for another reason",
    ],
)
async def test_the_vault(
    tmp_path: Path, more: tuple[events.Any, ...], of_vault: tuple[str, ...], health: str, found: str
) -> None:
    where = await written(tmp_path, METER, more=(ANSWERS, *more))
    vault = next(one for one in checks(where, TODAY, of_vault=of_vault) if one.name == "vault")
    assert (vault.health, vault.found, vault.waivable) == (health, found, False)


async def test_what_is_measured_with_nothing_in_contact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("station.console.preflight.sequence_named", lambda name: empties(*ROWS))
    why = "empty contacts: site 2: 10 pins_open: 0.1 A"
    bad = events.CheckTold(at=NOW, check="empty contacts", health="bad", found=why, sites=(2,))
    good = events.CheckTold(at=NOW, check="empty contacts", health="ok", found="")
    off = events.SiteSet(at=NOW, site=2, on=False, actor="p", reason="pin bent")
    rows = "10 pins_open, 11 board_checked"
    for folder, more, health, said, sites in (
        ("a", (), "ok", rows, ()),
        ("b", (bad,), "bad", why, (2,)),
        ("c", (bad, off), "warning", why, ()),
        ("d", (bad, off, good), "ok", rows, ()),
    ):
        (tmp_path / folder).mkdir()
        where = await written(tmp_path / folder, METER, more=more)
        every = checks(where, TODAY, simulated_station_file())
        found = next(one for one in every if one.name == "empty contacts")
        assert (found.health, found.waivable, found.who) == (health, True, ("engineer", "technician"))
        assert (found.found, found.sites) == (said, sites)
