"""`hardbin sim serve`: PyVISA-py and pySerial, in this process, at machines that another process serves."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pyvisa
from pyvisa.resources import MessageBasedResource

from drivers.errors import InstrumentError
from drivers.smu.keithley_2450 import Keithley2450, Keithley2450Options
from drivers.transports.visa import VisaLibrary, VisaPort
from sim.machines import MODELS
from sim.wiring import RESERVED
from station.cli import code_of
from station.equip import control
from station.errors import ConfigError

MACHINES = ("keithley_2450=hislip", "keysight_e36300=tcp", "keithley_2600b=vxi11", "velleman_k8090")


STATION = """
[station]
name = "bench"

[cell]
product = "se1"
sequence = "se1-final-test"
handler = "handler"
sites = 1

[[equipment]]
name = "handler"
driver = "binon"
port = "{port}"

[site]
"""


class Running(NamedTuple):
    """The process, where its machines are, and the socket that turns their knobs."""

    process: subprocess.Popen[str]
    places: dict[str, dict[str, str]]
    control: Path


@contextmanager
def served(socket: Path, *machines: str) -> Iterator[Running]:
    """Serve machines in a process of their own, and end it as a person would."""
    command = [sys.executable, "-m", "station.cli", "sim", "serve", *machines, "--json"]
    with subprocess.Popen([*command, "--control", str(socket)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        places = {place["name"]: place for place in json.loads(process.stdout.readline() or "[]")}
        yield Running(process, places, socket)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert not socket.exists()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with served(tmp_path_factory.mktemp("served") / "control", *MACHINES) as process:
        yield process


@pytest.fixture
def visa() -> Iterator[pyvisa.ResourceManager]:
    manager = pyvisa.ResourceManager("@py")
    yield manager
    manager.close()


def opened(manager: pyvisa.ResourceManager, running: Running, name: str) -> MessageBasedResource:
    ends: dict[str, Any] = {"read_termination": "\n", "write_termination": "\n", "timeout": 10_000}
    resource = manager.open_resource(running.places[name]["resource"], **ends)
    assert isinstance(resource, MessageBasedResource)
    return resource


@pytest.mark.parametrize(
    ("name", "model"),
    [("keithley_2450", "2450"), ("keysight_e36300", "E36312A"), ("keithley_2600b", "2636B")],
)
def test_pyvisa_py_identifies(running: Running, visa: pyvisa.ResourceManager, name: str, model: str) -> None:
    with opened(visa, running, name) as resource:
        assert [model in resource.query("*IDN?") for _ in range(3)] == [True] * 3


@pytest.mark.parametrize("name", ["keithley_2450", "keithley_2600b"])
def test_a_bus_has_status_bytes_and_device_clear(
    running: Running, visa: pyvisa.ResourceManager, name: str
) -> None:
    with opened(visa, running, name) as resource:
        resource.write("*IDN?")
        while not resource.read_stb() & 0x10:
            pass
        assert "KEITHLEY" in resource.read().upper()
        resource.clear()
        assert resource.read_stb() & 0x50 == 0
        assert "KEITHLEY" in resource.query("*IDN?").upper()


def test_another_process_is_a_client_as_the_page_shows(running: Running) -> None:
    command = [sys.executable, "-m", "tests.docs.served_client", running.places["keithley_2450"]["resource"]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("KEITHLEY INSTRUMENTS,MODEL 2450")


def test_answers_come_in_pieces_of_any_size(running: Running, visa: pyvisa.ResourceManager) -> None:
    with opened(visa, running, "keithley_2600b") as resource:
        whole = resource.query("*IDN?")
        resource.write("*IDN?")
        parts = [resource.read_bytes(5) for _ in range(len(whole) // 5)]
        assert whole.startswith(b"".join(parts).decode())
        resource.clear()


def test_a_socket_takes_one_client_at_a_time(running: Running, visa: pyvisa.ResourceManager) -> None:
    with opened(visa, running, "keysight_e36300") as resource:
        assert resource.query("*IDN?")
        with opened(visa, running, "keysight_e36300") as second, pytest.raises((pyvisa.Error, OSError)):
            second.timeout = 300
            second.query("*IDN?")
        assert resource.query("*IDN?")


def test_hislip_takes_several_clients(running: Running, visa: pyvisa.ResourceManager) -> None:
    with opened(visa, running, "keithley_2450") as first, opened(visa, running, "keithley_2450") as second:
        first.write(":SOUR:VOLT 1.5")
        assert float(second.query(":SOUR:VOLT?")) == 1.5
        first.write("*RST")


async def test_our_own_driver_works_at_it(running: Running) -> None:
    library = VisaLibrary("@py")
    port = VisaPort("visa:smu", running.places["keithley_2450"]["resource"], library)
    machine = Keithley2450("smu", port, Keithley2450Options(nplc=0.01))
    await machine.connect()
    async with machine.channels[""].forcing_voltage(1.0, limit_a=1e-3):
        assert abs(await machine.channels[""].measure()) < 1e-6
        control.ask(running.control, control.Turn("keithley_2450.scpi_error=-222@once"))
        with pytest.raises(InstrumentError):
            await machine.channels[""].measure()
    await machine.aclose()
    library.close()


def test_our_own_handler_driver_hears_its_service_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(tmp_path / "control", "binon=hislip") as running:
        cycled(running, tmp_path, capsys)


def cycled(running: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = running.places["binon"]["resource"].partition("hislip0,")[2].partition("::")[0]
    station = tmp_path / "station.toml"
    station.write_text(STATION.format(port=f"hislip:127.0.0.1:{port}"))
    cycle = ["equip", "cycle", "handler", "--station", str(station), "--hardware", "--touchdowns", "2"]
    assert code_of(cycle) == 0
    assert "2 of 2 cycles" in capsys.readouterr().out
    control.ask(running.control, control.Turn("binon.jam@once"))
    assert code_of(cycle) == 10
    assert "alarm of the handler" in capsys.readouterr().err


def test_a_terminal_answers_a_shipped_dialogue(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"serial:{running.places['velleman_k8090']['address']}"
    assert code_of(["equip", "trace", place, "velleman_k8090/connects", "--baud", "19200"]) == 0
    assert capsys.readouterr().out == "velleman_k8090/connects: as written\n"


def test_knobs_that_cannot_be_turned(running: Running) -> None:
    for request, message in (
        (control.Turn("keithley_2450.nonsense"), "keithley_2450 has no fault 'nonsense'; it has:"),
        (control.Turn("smu.mute"), "no such machine; there are: keithley_2450, keithley_2600b"),
        (control.Clear("smu"), "no machine 'smu'; there are:"),
    ):
        with pytest.raises(ConfigError, match=message):
            control.ask(running.control, request)


def test_knobs_are_turned_and_turned_back(running: Running) -> None:
    turned = control.ask(running.control, control.Turn("keithley_2600b.drop_reply@after=2@once"))
    assert turned["keithley_2600b"] == ["drop_reply"]
    assert control.ask(running.control, control.Show())["keithley_2600b"] == ["drop_reply"]
    assert control.ask(running.control, control.Clear("keithley_2600b"))["keithley_2600b"] == []


def test_every_knob_that_is_listed_can_be_turned(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(running.places)
    assert code_of(["equip", "sim", "faults", *names, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {name: set(knobs) for name, knobs in listed.items()} == {n: MODELS[n].knobs for n in names}
    where = ["--control", str(running.control), "--json"]
    for name, knobs in listed.items():
        for knob in knobs:
            assert code_of(["equip", "sim", "fault", name, knob, "--after", "1000", *where]) == 0
        turned = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert sorted(turned[name]) == knobs
        assert code_of(["equip", "sim", "fault", name, "--clear", *where]) == 0
        assert json.loads(capsys.readouterr().out)[name] == []


def test_all_knobs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["equip", "sim", "faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.partition(":")[0] for line in lines} == {*MODELS, *RESERVED}
    assert code_of(["equip", "sim", "faults", "nonsense"]) == 3
    assert "no simulator for nonsense; there are: accretech_uf, binon" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "name models to serve"),
        (("keithley_2450", "keithley_2450=tcp"), 2, "named twice"),
        (
            ("nonsense",),
            3,
            "'nonsense': no machine of the station, nor a model that can be served: ",
        ),
        (("ccid",), 3, "'ccid': no machine of the station, nor a model"),
        (("keithley_2450=gpib",), 3, "wire 'gpib': write tcp, hislip or vxi11"),
        (("keithley_2450=tcp:127.0.0.1:99999",), 3, "'99999' is no TCP port"),
        (("gem",), 3, "equipment 'gem': profile: a table"),
        (("exatron=hislip",), 3, "hislip is for machines on a bus; a exatron takes tcp or pty"),
        (("keithley_2450=tcp:192.0.2.1:1",), 3, "cannot serve"),
    ],
)
def test_what_cannot_be_served(
    arguments: tuple[str, ...], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "station.cli", "sim", "serve", *arguments, "--control", "c"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == code
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_control_socket_serves_one_process(running: Running, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "station.cli", "sim", "serve", "keithley_2450"]
    command += ["--control", str(running.control)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr.split(": ", 2)[2].strip()) == (
        14,
        "machines are served there already; choose another --control",
    )
