"""Before there is a lot."""

import asyncio
from pathlib import Path

import pytest

from drivers.errors import EquipmentError
from station.errors import ConfigError, StoppedError
from station.run import make_folder, remove_if_never_loaded
from station.stop import StopRequest, unless_stopped


async def test_a_request_to_stop_does_not_wait_for_a_machine_that_does_not_answer() -> None:
    stop, ended = StopRequest(), asyncio.Event()

    async def connecting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    asyncio.get_running_loop().call_soon(stop.ask)
    with pytest.raises(StoppedError):
        await unless_stopped(connecting(), stop)
    assert ended.is_set()


async def test_a_failure_to_connect_is_told_as_it_is() -> None:
    async def connecting() -> None:
        raise EquipmentError("fine-1: no answer")

    with pytest.raises(EquipmentError, match="fine-1"):
        await unless_stopped(connecting(), StopRequest())


def test_a_lot_that_was_never_loaded_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "lots" / "L1"
    make_folder(folder)
    (folder / "vault").mkdir()
    remove_if_never_loaded(folder)
    assert not folder.exists()
    make_folder(folder)
    (folder / "journal").write_text("torn")
    make_folder(folder)
    assert list(folder.iterdir()) == []
    (folder / "journal").write_text("history\n")
    remove_if_never_loaded(folder)
    assert folder.exists()
    with pytest.raises(ConfigError, match="never overwritten"):
        make_folder(folder)
