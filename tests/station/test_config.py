"""station.toml: every mistake is one message that says which file, which key and what is allowed."""

from pathlib import Path

import pytest

from station.config import load
from station.errors import ConfigError

GOOD = """
[station]
name = "a"
[cell]
product = "se1"
sequence = "x"
handler = "h"
sites = 2
[[equipment]]
name = "h"
driver = "binon"
port = "visa:GPIB1::1::INSTR"
[[equipment]]
name = "smu-{site}"
driver = "keithley_2450"
port = "visa:GPIB0::{site}::INSTR"
[site]
"io.IO" = "smu-{site}"
"""


def file(folder: Path, text: str) -> Path:
    path = folder / "station.toml"
    path.write_text(text)
    return path


def test_one_machine_for_each_site(tmp_path: Path) -> None:
    config = load(file(tmp_path, GOOD))
    assert [placed.name for placed in config.equipment] == ["h", "smu-1", "smu-2"]
    assert config.equipment[2].port == "visa:GPIB0::2::INSTR"
    assert config.sites == {1: {"io.IO": "smu-1"}, 2: {"io.IO": "smu-2"}}
    assert len(load(file(tmp_path, GOOD), sites=5).sites) == 5


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("sites = 2", "sites = 65", r"cell.sites: .*64 .*65"),
        ("sites = 2", 'sites = "two"', r"cell.sites: .*int.*'two'"),
        ("sites = 2", "", r"cell: .*sites.*allowed here: product, sequence, handler, sites"),
        ("driver = ", "drver = ", r"equipment\[0\]: .*drver.*allowed here: name, driver, port, options"),
        ('name = "a"', 'name = "a"\ncolour = 1', r"station: .*colour.*allowed here: name, plant"),
        ('handler = "h"', 'handler = "q"', r"cell.handler: no equipment is called 'q'; there are: h, smu-1"),
        ('"io.IO" = "smu', '"io.IO" = "sum', r"site.io.IO: no equipment is called 'sum-1'"),
        ("GPIB0::{site}", "GPIB0::9", r"port 'visa:GPIB0::9::INSTR' is used twice"),
        ("[site]", "[site", "not TOML"),
    ],
)
def test_a_mistake_is_one_clear_message(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    path = file(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=says) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "nothing.toml")
