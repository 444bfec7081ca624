"""`hardbin equip` and `hardbin check`: at simulated machines, and at a real socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import json

from drivers.roles import Identity
from station.cli import code_of
from station.cli.codes import Exit
from station.equip import found, origins
from station.equip.dialogue import load
from station.equip.ends import EchoProcess
from station.surroundings import simulated_station_file

STATION = str(simulated_station_file().with_name("exatron.toml"))


BENCH = str(Path(__file__).parents[3] / "sequences" / "example" / "bench.toml")
BESIDE = """
[[equipment]]
name = "safety"
driver = "modbus"
port = "tcp:interlock-1:502"
[equipment.options.points.door]
kind = "input"
address = 0
interlock = true
[[equipment]]
name = "tower"
driver = "patlite"
port = "tcp:tower-1:10000"
[[equipment]]
name = "lines"
driver = "ftdi_mpsse"
port = "usb:0403:6014:FT0001"
options = { outputs = ["D0", "D1"], resting_high = ["D1"] }
"""


@pytest.fixture
def echo() -> Iterator[EchoProcess]:
    process = EchoProcess(1)
    yield process
    process.close()


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


# -- simulated machines
def test_every_machine_of_a_station_says_who_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["equip", "probe", "--station", STATION, "--json"]) == Exit.OK
    answers = {answer["place"]: answer for answer in json.decode(told(capsys))}
    assert set(answers) == {"handler", "smu", "fine", "supply", "reader"}
    assert answers["fine"]["model"] == "MODEL 2450"
    assert answers["supply"]["drivers"] == ["keysight_e36300"]
    assert not any(answer["error"] for answer in answers.values())


def test_a_mute_machine_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    code = code_of(["equip", "probe", "fine", "supply", "--station", STATION, "--fault", "fine.mute"])
    assert code == Exit.LINK
    fine, supply = told(capsys).splitlines()
    assert "reading for 2 s" in fine
    assert "E36312A" in supply


def test_machines_tell_how_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ("supply-1", "matrix", "air", "codes")
    assert code_of(["equip", "probe", "--health", *wanted, "--station", BENCH, "--json"]) == Exit.OK
    told_ = {answer["place"]: answer["health"] for answer in json.decode(told(capsys))}
    assert told_ == {
        "supply-1": dict.fromkeys("123", "not tripped"),
        "matrix": {"": "closed: none"},
        "air": {"": "23 °C, at rest"},
        "codes": {},
    }


def test_what_is_wrong_with_a_machine_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell, _, _ = Path(BENCH).read_text("utf-8").partition("[site]")
    station = tmp_path / "station.toml"
    station.write_text(f"{cell}{BESIDE}[site]\nvdd = 'supply-1.1'\n", "utf-8")
    asked = ("equip", "probe", "--health", "--station", str(station))
    machines = ("safety", "tower", "lines", "air", "dmm")
    faults = ("safety.interlock_open", "air.eror=1", "dmm.mute")
    thrown = (word for fault in faults for word in ("--fault", fault))
    assert code_of([*asked, *machines, *thrown]) == Exit.EQUIPMENT
    safety, tower, lines, air, dmm = told(capsys).splitlines()
    assert "safety is open: door" in safety
    assert tower.endswith("dark")
    assert "low: D0" in lines
    assert "air: " in air
    assert "reading for 2 s" in dmm
    assert code_of([*asked, "safety"]) == Exit.OK
    assert "closed" in told(capsys)


def test_only_machines_can_be_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["equip", "probe", "--health", "visa:GPIB0::7::INSTR", "--station", STATION]) == Exit.USAGE
    assert "--health is for the machines of a --station FILE" in capsys.readouterr().err


def test_send_prints_the_answers(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [":NONSENSE", "*IDN?", ":SYST:ERR?"]
    code = code_of(["equip", "send", "fine", *texts, "--status", "--clear", "--station", STATION])
    assert code == Exit.OK
    identity, errors, status = told(capsys).splitlines()
    assert identity.startswith("KEITHLEY INSTRUMENTS,MODEL 2450")
    assert (errors[:4], status) == ("-113", "0x00")


def test_send_reaches_the_pipes_of_a_usb_device(capsys: pytest.CaptureFixture[str]) -> None:
    slot_status = "65 00 00 00 00 00 00 00 00 00"
    assert code_of(["equip", "send", "--hex", "reader", slot_status, "--station", STATION]) == Exit.OK
    assert told(capsys).startswith("81 00 00 00 00 00 00")


@pytest.mark.parametrize(("machine", "what"), [("handler", "touchdown"), ("supply", "identity")])
def test_cycle_uses_a_machine_as_a_lot_does(
    machine: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = code_of(["equip", "cycle", machine, "--station", STATION, "--touchdowns", "5", "--json"])
    assert code == Exit.OK
    cycled = json.decode(told(capsys))
    assert (cycled["cycles"], cycled["error"]) == (5, "")
    assert cycled["what"].startswith(what)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reader"], "no card makes contact"),
        (["handler", "--fault", "handler.jam@after=2"], "handler: alarm ERROR: JAM"),
        (["handler", "--bin", "99"], "has no bin 99; it has: 1, 2"),
        (["fine", "--fault", "fine.mute@after=20"], "reading for"),
    ],
)
def test_cycle_ends_with_the_first_fault(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = code_of(["equip", "cycle", *arguments, "--station", STATION, "--touchdowns", "50"])
    assert code in (Exit.EQUIPMENT, Exit.LINK)
    assert message in capsys.readouterr().err


def test_a_shipped_dialogue_is_compared_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    dialogues = ["keithley_2450/connects", "keithley_2450/another_language"]
    assert code_of(["equip", "trace", "fine", *dialogues, "--station", STATION]) == Exit.EQUIPMENT
    assert told(capsys).splitlines() == [
        "keithley_2450/connects: as written",
        "keithley_2450/another_language: 1 differences",
        "  line 6: written b'TSP\\n', met b'SCPI\\n'",
    ]


def test_nothing_is_recorded_from_a_simulator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = ["--record", str(tmp_path / "x.txt"), "--model", "2450, 1"]
    assert code_of(["equip", "send", "fine", "*IDN?", "--station", STATION, *record]) == Exit.USAGE
    assert "never comes from the simulator" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_list_tells_what_drivers_rest_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["equip", "list", "--station", STATION, "--json"]) == Exit.OK
    rows = {row["name"]: row for row in json.decode(told(capsys))}
    assert rows["reader"]["basis"] == str(origins.basis("ccid"))
    assert code_of(["equip", "list"]) == Exit.OK


# -- a real socket
def test_what_a_real_machine_says_is_recorded(
    echo: EchoProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, file = f"tcp:127.0.0.1:{echo.port}", tmp_path / "reads.txt"
    command = ["equip", "send", place, "READ?", "--record", str(file), "--model", "echo, 1.0"]
    assert code_of(command) == Exit.OK
    assert told(capsys) == "+1.234560E+00\n"
    recorded = load(file)
    assert (recorded.origin, recorded.source[10:]) == ("captured", ", echo, 1.0")
    assert [turn.data for turn in recorded.turns] == [b"READ?\n", b"+1.234560E+00\n"]
    assert code_of(command) == Exit.CONFIG
    assert "never overwritten" in capsys.readouterr().err


def test_what_a_real_machine_answers_is_compared_and_kept(
    echo: EchoProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "echo" / "reads.txt"
    script.parent.mkdir()
    script.write_text("origin assumed\n> READ?\n< +1.234560E+00\n> A?\n< B\n> \n<-\n")
    place, out = f"tcp:127.0.0.1:{echo.port}", tmp_path / "out"
    command = ["equip", "trace", place, str(script), "--out", str(out), "--model", "echo, 1.0"]
    assert code_of(command) == Exit.EQUIPMENT
    assert "line 5: written b'B\\n', met b'+1'" in told(capsys)
    assert load(out / "echo" / "reads.txt").origin == "captured"


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("tcp:127.0.0.1:1", Exit.LINK, "cannot connect"),
        ("serial:/dev/nothing", Exit.LINK, "cannot open"),
        ("visa:nonsense", Exit.CONFIG, "is no VISA resource name"),
        ("usb:1:2", Exit.CONFIG, "write visa:<resource>"),
        ("smu", Exit.CONFIG, "no machine 'smu'; there are: none"),
    ],
)
def test_places_that_cannot_be_reached(
    place: str, code: Exit, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(["equip", "send", place, "x?"]) == code
    assert message in capsys.readouterr().err


def test_identity_names_its_drivers() -> None:
    assert found.answered("x", Identity("KEYSIGHT", "E36313A")).drivers == ("keysight_e36300",)
    assert found.answered("x", Identity("", "")).drivers == ()


# -- check
def test_check_says_what_drivers_rest_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["check", "--station", STATION]) == Exit.OK
    assert "sequence se1-final-test: can be built" in told(capsys)


def test_production_refuses_assumption(capsys: pytest.CaptureFixture[str]) -> None:
    code = code_of(["check", "--station", STATION, "--production", "--json"])
    report = json.decode(told(capsys))
    assumed = [row["driver"] for row in report["drivers"] if not row["captured"] and not row["manual"]]
    assert report["refused"] == assumed
    assert code == (Exit.CONFIG if assumed else Exit.OK)


def test_check_refuses_a_file_that_cannot_be_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "station.toml"
    file.write_text(Path(STATION).read_text("utf-8").replace('driver = "ccid"', 'driver = "cid"'))
    assert code_of(["check", "--station", str(file)]) == Exit.CONFIG
    assert "no driver 'cid'" in capsys.readouterr().err
