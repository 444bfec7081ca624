"""Machines that do not open or close: everything is let go, in bounded time; and a cell without a vault."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from drivers.errors import EquipmentError, TransportError
from drivers.roles import Identity, Machine
from drivers.transports.visa import VisaLibrary
from sim.time import new_loop
from station import assemble, binding, config
from station.cli import code_of
from station.surroundings import FINAL_TEST, WAFER_SORT, simulated_station_file


class Box(Machine):
    """Opens and closes as it is told."""

    def __init__(self, connecting: BaseException | None = None, *, hangs: str = "") -> None:
        self.channels = {}
        self.connecting, self.hangs = connecting, hangs
        self.closed = False
        self.go = asyncio.Event()

    async def connect(self) -> None:
        if self.hangs == "connect":
            await asyncio.Event().wait()
        if self.connecting is not None:
            raise self.connecting

    async def identify(self) -> Identity:
        return Identity("", "")

    async def aclose(self) -> None:
        while self.hangs == "close" and not self.go.is_set():
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                continue
        if self.hangs == "close badly":
            raise AttributeError("bug in a driver")
        self.closed = True


class Library:
    """Stands for PyVISA's library."""

    closed = False

    def close(self) -> None:
        self.closed = True


def made(**machines: Box) -> tuple[assemble.Equipment, Library]:
    library = Library()
    return assemble.Equipment(cast("Any", machines), cast("VisaLibrary", library), {}), library


def test_closing_is_bounded_and_never_raises() -> None:
    async def close() -> None:
        good, bad, hanging = Box(), Box(hangs="close badly"), Box(hangs="close")
        equipment, library = made(good=good, bad=bad, hanging=hanging)
        await equipment.aclose()
        assert asyncio.get_running_loop().time() <= 2 * assemble.CLOSE_BOUND_S
        assert good.closed and library.closed
        hanging.go.set()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(close())


def test_every_machine_that_does_not_open_is_named() -> None:
    async def connect() -> None:
        gone = TransportError("gone: no such device")
        equipment, _ = made(good=Box(), gone=Box(gone), mute=Box(hangs="connect"))
        with pytest.raises(TransportError, match=r"gone: no such device; mute: no connection within 30 s"):
            await equipment.connect()
        mixed, _ = made(gone=Box(gone), wrong=Box(EquipmentError("wrong: another model")))
        with pytest.raises(EquipmentError) as caught:
            await mixed.connect()
        assert type(caught.value) is EquipmentError

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(connect())


def test_a_sequence_that_personalises_needs_a_vault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = simulated_station_file().read_text()
    station = tmp_path / "station.toml"
    station.write_text(text.replace('mode = "development"', 'mode = "none"'))
    out = tmp_path / "lots"
    assert code_of(["run", "--station", str(station), "--out", str(out)]) == 3
    said = capsys.readouterr().err
    assert "[vault]: mode is 'none'" in said
    assert 'write mode = "development"' in said
    assert not list(out.iterdir())


@pytest.mark.parametrize(("flow", "cleans"), [(FINAL_TEST, False), (WAFER_SORT, True)])
def test_a_prober_may_clean_and_a_handler_may_not(flow: str, cleans: bool) -> None:
    assert assemble.may_clean(config.load(simulated_station_file(flow))) is cleans


def test_which_sequences_need_a_vault() -> None:
    assert binding.needs_vault(assemble.sequence_named("se1-final-test"))
    assert not binding.needs_vault(assemble.sequence_named("sequences.example.first:FIRST"))


def test_a_channel_that_a_row_misses_is_named_as_the_station_file_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join(
        line for line in simulated_station_file().read_text().splitlines() if '"io.RST"' not in line
    )
    station = tmp_path / "station.toml"
    station.write_text(text)
    run = [
        "run",
        "--station",
        str(station),
        "--out",
        str(tmp_path),
        "--devices",
        "4",
        "--sites",
        "2",
        "--json",
    ]
    assert code_of(run) == 12
    assert "the station file has no site.io.RST; there are: io." in capsys.readouterr().out
