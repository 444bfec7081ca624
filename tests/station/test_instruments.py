"""Machines by their serial numbers: what is read, what forbids a lot, what a lot that goes on has had."""

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from drivers.errors import EquipmentError
from drivers.roles import Identity, Machine
from sim.time import new_loop
from station import config as station_config
from station import instruments
from station.config import StationConfig
from station.errors import ConfigError
from station.set_up import Binding, Instrument

FILE = """
[station]
name = "a"
calibration_notice_days = 14
[cell]
product = "se1"
sequence = "x"
handler = "h"
sites = 2
[[equipment]]
name = "h"
driver = "binon"
port = "visa:GPIB1::1::INSTR"
serial = "H7"
[[equipment]]
name = "smu-{site}"
driver = "keithley_2450"
port = "visa:GPIB0::{site}::INSTR"
serial = ["A1", "A2"]
calibration_due = 2027-03-01
[site]
"io.IO" = "smu-{site}"
vdd = "smu-{site}.b"
"""


class Told(Machine):
    """Says who it is, or why not."""

    def __init__(self, serial: str = "", fails: str = "", *, hangs: bool = False) -> None:
        self.channels = {}
        self._serial, self._fails, self._hangs = serial, fails, hangs

    async def connect(self) -> None: ...

    async def aclose(self) -> None: ...

    async def identify(self) -> Identity:
        if self._hangs:
            await asyncio.Event().wait()
        if self._fails:
            raise EquipmentError(self._fails)
        return Identity("maker", "MODEL 2450", f" {self._serial}", "1.7")


def station(folder: Path, text: str = FILE) -> StationConfig:
    path = folder / "station.toml"
    path.write_text(text)
    return station_config.load(path)


def at(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def read(config: StationConfig, **machines: Told) -> instruments.Inventory:
    named = {name.replace("_", "-"): machine for name, machine in machines.items()}
    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(instruments.read(config, named))


def test_what_answers_and_what_the_file_says_become_one_record(tmp_path: Path) -> None:
    found = read(station(tmp_path), h=Told(), smu_1=Told("A1"), smu_2=Told("A2"))
    handler, first, _ = found.instruments
    assert (handler.serial, handler.stated, handler.calibration_due) == ("H7", True, "")
    assert first == Instrument("smu-1", "keithley_2450", "maker", "MODEL 2450", "A1", "1.7", "2027-03-01")
    assert instruments.bindings(station(tmp_path))[:2] == (
        Binding(1, "io.IO", "smu-1"),
        Binding(1, "vdd", "smu-1", "b"),
    )


def test_every_machine_that_is_another_one_is_named(tmp_path: Path) -> None:
    config = station(tmp_path)
    found = read(config, h=Told("H8"), smu_1=Told("A2"), smu_2=Told("A2"))
    assert instruments.examined(config, found, at("2027-01-01")).wrong == (
        "h: serial number H8 answers, the station file says H7",
        "smu-1: serial number A2 answers, the station file says A1",
    )


def test_a_machine_that_does_not_say_who_it_is_cannot_be_taken_for_another(tmp_path: Path) -> None:
    config = station(tmp_path)
    found = read(config, h=Told(), smu_1=Told(fails="no answer to *IDN?"), smu_2=Told(hangs=True))
    assert instruments.examined(config, found, at("2027-01-01")).wrong == (
        "smu-1: it does not say who it is: no answer to *IDN?",
        "smu-2: it does not say who it is: no answer within 10 s",
    )


@pytest.mark.parametrize(
    ("day", "wrong", "near"),
    [
        ("2027-02-14", "", ""),
        ("2027-02-15", "", "smu-1: its calibration is due on 2027-03-01, in 14 days"),
        ("2027-03-01T23:59:59", "", "smu-1: its calibration is due on 2027-03-01, today"),
        ("2027-03-02", "smu-1: its calibration was due on 2027-03-01, today is 2027-03-02", ""),
    ],
)
def test_calibration_holds_to_the_end_of_its_last_day(
    tmp_path: Path, day: str, wrong: str, near: str
) -> None:
    config = station(tmp_path)
    found = read(config, h=Told(), smu_1=Told("A1"), smu_2=Told("A2"))
    examined = instruments.examined(config, found, at(day))
    assert examined.waivable.get("calibration", "").split("; ")[0] == wrong
    assert (*examined.near, "")[0] == near
    assert examined.wrong == () and len(examined.near) in (0, 2)


def test_each_landing_has_the_machine_that_was_there_then() -> None:
    was = (Instrument("smu", "d", serial="A"), Instrument("dmm", "d", serial="M"))
    same = instruments.followed(was, was, 8)
    assert same == was
    other = instruments.followed(was, (Instrument("smu", "d", serial="B"), was[1]), 8)
    assert other == (*was, Instrument("smu", "d", serial="B", since=8))
    assert instruments.followed(other, other[1:], 12) == other
    back = instruments.followed(other, was, 20)
    serials = [instruments.at_work(back, seq)["smu"].serial for seq in (1, 7, 8, 19, 20)]
    assert serials == ["A", "A", "B", "B", "A"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["A1", "A2"]', '["A1"]', "equipment 'smu-{site}': serial: 2 are needed, there are 1"),
        (
            '["A1", "A2"]',
            '"A1"',
            "equipment 'smu-{site}': serial: a list is needed, one serial number a site",
        ),
        ("2027-03-01", "[2027-03-01]", "calibration_due: 2 are needed, there are 1"),
        ("2027-03-01", '"soon"', "equipment[1].calibration_due"),
        ('"H7"', '"H 7"', "equipment[0].serial"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        station(tmp_path, FILE.replace(old, new))
    assert says in str(refused.value)


def test_more_may_be_listed_than_there_are_sites(tmp_path: Path) -> None:
    config = station(tmp_path, FILE.replace("2027-03-01", "[2027-03-01, 2027-04-01, 2027-05-01]"))
    assert [one.calibration_due for one in config.equipment] == [None, date(2027, 3, 1), date(2027, 4, 1)]
