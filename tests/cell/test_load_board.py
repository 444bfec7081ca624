"""Lots for which a sequence talks to the load board, by SPI in each mode and by I2C."""

from pathlib import Path
from typing import Any

import pytest

from station import events
from station.alarms import is_alarm
from station.custody.journal import read
from tests.cell.lots import lot_here

STATION = """
[station]
name = "load-board"

[cell]
product = "se1"
sequence = "tests.cell.load_board:LOAD_BOARD"
handler = "handler"
sites = 1

[[equipment]]
name = "handler"
driver = "exatron"
port = "serial:hardbin://handler"

[[equipment]]
name = "spi"
driver = "ftdi_mpsse"
port = "usb:0403:6014:FT0001"

[equipment.options]
outputs = ["D0", "D1", "D3"]
resting_high = {high}
spi_select = "D3"
spi_mode = {mode}

[[equipment]]
name = "board"
driver = "ftdi_mpsse"
port = "usb:0403:6014:FT0002"

[equipment.options]
outputs = ["D0", "D1"]
resting_high = ["D0", "D1"]
i2c = {{ memory = 0x50 }}

[[equipment]]
name = "tower"
driver = "patlite"
port = "tcp:tower-1:10000"

[site]
register = "spi.spi"
memory = "board.memory"
"""


def ran(tmp_path: Path, *faults: str, mode: int = 0, devices: int = 1) -> dict[str, Any]:
    """Run a lot; return how many devices went to each bin."""
    high = '["D0", "D3"]' if mode in (2, 3) else '["D3"]'
    station = tmp_path / "station.toml"
    station.write_text(STATION.format(high=high, mode=mode), "utf-8")
    told = [word for fault in faults for word in ("--fault", fault)]
    where = ("--station", str(station), "--devices", str(devices), "--seed", "7")
    _, result = lot_here(tmp_path / "out", *where, *told)
    return {one["name"]: one["count"] for one in result["bins"] if one["count"]}


@pytest.mark.parametrize("mode", range(4))
def test_a_register_on_spi_in_each_mode(mode: int, tmp_path: Path) -> None:
    assert ran(tmp_path, mode=mode) == {"good": 1}


def test_a_board_counts_its_touchdowns_in_its_memory(tmp_path: Path) -> None:
    assert ran(tmp_path, devices=4) == {"good": 3, "worn": 1}


@pytest.mark.parametrize("fault", ["spi.lost_bit", "board.lost_bit@after=4", "board.nack@after=4"])
def test_a_board_that_is_not_understood_judges_no_device(fault: str, tmp_path: Path) -> None:
    assert ran(tmp_path, fault) == {"error": 1}


@pytest.mark.parametrize("fault", ["tower.drop_tx", "tower.drop_tx@after=3", "tower.nak@after=2"])
def test_a_tower_that_is_broken_is_told_and_stops_no_lot(fault: str, tmp_path: Path) -> None:
    assert ran(tmp_path, fault) == {"good": 1}
    history = list(read(tmp_path / "out" / "T1" / "journal"))
    assert [event.new for event in history if isinstance(event, events.StateChanged)][-1] == "CLOSED"
    told = [event for event in history if isinstance(event, events.MachineTold) and event.machine == "tower"]
    assert [(event.what, is_alarm(event)) for event in told] == [("broken", True)]
    safe = [event for event in history if isinstance(event, events.MadeSafe)]
    assert {event.unverified for event in safe} == {()}
