"""Alarms about work that is not forbidden: too much of it, or when nobody should be there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from station.errors import ConfigError
from station.vault import configuration
from station.vault.unusual import EVENT, WEEK, AlarmsTable, Shift, Unusual
from tests.station.vault.dies import DirectLink, sound_chip
from tests.station.vault.vaults import opened_vault

MONDAY = datetime(2026, 11, 30, tzinfo=UTC).timestamp()
HOUR = 3600.0


def test_more_in_an_hour_than_is_expected_is_told_once_an_hour() -> None:
    unusual = Unusual(AlarmsTable(issued_per_hour_max=10))
    assert not any([*unusual.issued(float(at))] for at in range(0, 36_000, 360)), "10 in each hour"
    unusual = Unusual(AlarmsTable(issued_per_hour_max=10))
    facts = [(second, fact) for second in range(0, 7300, 60) for fact in unusual.issued(second)]
    assert [second for second, _ in facts] == [600, 4200]
    assert facts[0][1].event == "rate.unusual"
    assert facts[0][1].data == {
        "kind": "rate",
        "issued": 11,
        "why": "11 dies got certificates within 600 s, 10 an hour are expected",
    }


def test_without_limits_nothing_is_unusual() -> None:
    unusual = Unusual()
    assert not any([*unusual.issued(float(at)), *unusual.came("cell-1", float(at))] for at in range(1000))


def test_a_die_outside_all_shifts_is_told_once_until_one_comes_within() -> None:
    unusual = Unusual(AlarmsTable(shifts=("mon-fri 06:00-14:00",)))
    hours = (5, 5.5, 6, 13.9, 14, 14.5, 24 + 7, 5 * 24 + 10, 5 * 24 + 11)
    told = [hour for hour in hours for _ in unusual.came("cell-1", MONDAY + hour * HOUR)]
    assert told == [5, 14, 5 * 24 + 10]
    (fact,) = unusual.came("cell-2", MONDAY + 14.25 * HOUR)
    assert fact.data["why"] == "cell-2 brings dies outside all shifts, mon 14:15 UTC"


def test_a_shift_is_in_the_time_of_its_zone() -> None:
    unusual = Unusual(AlarmsTable(shifts=("mon 06:00-14:00",), zone="Asia/Tokyo"))
    assert [*unusual.came("cell-1", MONDAY - 2 * HOUR)] == [], "07:00 on Monday in Tokyo"
    assert len([*unusual.came("cell-1", MONDAY + 6 * HOUR)]) == 1, "15:00"


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("sat 22:00-06:00", 8),
        ("mon-sun 00:00-24:00", 7 * 24),
        ("fri-mon 08:00-09:00", 4),
        ("sun 23:30-00:30", 1),
        ("mon 08:00-08:00", 24),
    ],
)
def test_how_long_shifts_are(text: str, hours: int) -> None:
    shift = Shift.read(text)
    assert sum(map(shift.has, range(WEEK))) == hours * 60


@given(st.text(alphabet="monfrisat-0123456789: ", max_size=24))
def test_any_text_is_a_shift_or_none(text: str) -> None:
    try:
        shift = Shift.read(text)
    except ValueError:
        return
    assert any(map(shift.has, range(WEEK)))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('shifts = ["monday"]', "alarms: 'monday' is no shift such as 'mon-fri 06:00-22:00'"),
        ('shifts = ["mon-xyz 06:00-22:00"]', "alarms: 'mon-xyz 06:00-22:00': days are mon, tue, wed"),
        ('shifts = ["mon 06:00-25:00"]', "alarms: 'mon 06:00-25:00': times are from 00:00 to 24:00"),
        ('zone = "Mars/Olympus"', "alarms: this machine knows no zone 'Mars/Olympus'"),
        ('zone = "../etc/passwd"', "alarms: this machine knows no zone"),
        ("issued_per_hour_max = -1", "issued_per_hour_max"),
    ],
)
def test_a_table_that_cannot_be_meant(tmp_path: Path, lines: str, why: str) -> None:
    path = tmp_path / "vault.toml"
    path.write_text(f"[alarms]\n{lines}\n")
    with pytest.raises(ConfigError) as refused:
        configuration.load(path)
    assert why in str(refused.value)


async def test_alarms_are_leaves_and_stop_nothing(tmp_path: Path) -> None:
    table = AlarmsTable(issued_per_hour_max=1, shifts=("tue 06:00-14:00",))
    async with opened_vault(tmp_path, unusual=Unusual(table)) as vault:
        for number in (1, 2, 3):
            await vault.personalise(f"L1/{number}", DirectLink(sound_chip(number, payload=4096)))
        entries = await vault.journal.commit(
            lambda db: [json.decode(entry) for (entry,) in db.execute("SELECT entry FROM leaf ORDER BY idx")]
        )
        told = await vault.means.registry.notices(0, len(entries), lambda _: True)
    events = [entry["event"] for entry in entries]
    kinds = [entry["data"]["kind"] for entry in entries if entry["event"] == EVENT]
    assert kinds == ["shift", "rate"]
    assert events.count("die.sealed") == 3
    assert events.index(EVENT) < events.index("die.issued")
    assert [(notice.kind, notice.scope) for notice in told] == [("alarm", "line")] * 2
    assert vault.means.endorsements.p99_s > 0
