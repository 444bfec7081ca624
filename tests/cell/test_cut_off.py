"""An interlock that opens while a chip is personalised: all is off at once, and the chip is spoiled."""

from pathlib import Path

from msgspec import json

from station import events
from station.custody.journal import read
from tests.cell.lots import here

SIM = Path(__file__).parents[2] / "sim" / "station.toml"
SAFETY = """
[[equipment]]
name = "safety"
driver = "modbus"
port = "tcp:interlock-1:502"

[equipment.options.points.door]
kind = "input"
address = 0
interlock = true

[site]
"""


def test_an_open_door_does_not_wait_for_the_vault(tmp_path: Path) -> None:
    station = tmp_path / "station.toml"
    text = SIM.read_text("utf-8").replace("sites = 16 ", "sites = 1 ").replace("\n[site]\n", SAFETY)
    station.write_text(text, "utf-8")
    where = ("--station", str(station), "--out", str(tmp_path), "--seed", "7", "--devices", "1")
    ran = here("run", "--lot", "T1", *where, "--fault", "safety.interlock_open@after=28", "--json")
    assert ran.returncode == 130, ran.stderr
    result = json.decode(ran.stdout)
    assert (result["state"], result["reason"]) == ("ABORTED", "safety is open: door"), result
    history = list(read(tmp_path / "T1" / "journal"))
    (intended,) = (event for event in history if isinstance(event, events.Intended))
    (ended,) = (event for event in history if isinstance(event, events.PersonalisationEnded))
    assert (ended.disposition, ended.detail) == (None, "cut off, since an interlock opened")
    assert ended.at - intended.at < 4, "it takes twice as long when it is not cut off"
    (closed,) = (event for event in history if isinstance(event, events.ContactsClosed))
    assert [outcome.soft for outcome in closed.outcomes] == [10], "spoiled"
    safe = [event for event in history if isinstance(event, events.MadeSafe)][-1]
    assert safe.unverified == ()
    assert safe.time_to_safe_s < 1.0, "from the open door to the last read-back"
    assert not any(isinstance(event, events.BinsSent) for event in history)
