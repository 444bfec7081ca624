"""What is done about a file or a store that fails, while the station lives on."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from station.datalog.rebuild import OpenRun, rebuild
from station.datalog.stdf import file as stdf_file
from station.datalog.stdf.file import StdfFile
from station.datalog.store import Store
from station.engine.records import Records
from station.errors import StorageError
from tests.station.datalog.lots import BEGAN, lot, touchdowns


class FullDisk:
    """The module `os`, with no room for what is written by it."""

    def write(self, file: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module has
        return getattr(os, name)


class UnsureDisk(FullDisk):
    """The module `os`, with a disk that cannot say whether it has what was written."""

    def write(self, file: int, data: bytes) -> int:
        return os.write(file, data)

    def fsync(self, file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results.db")


@pytest.fixture
def records(tmp_path: Path, store: Store) -> Records:
    return Records(store, StdfFile(tmp_path, lot()), OpenRun(store, lot(), tmp_path))


async def test_a_file_that_failed_is_written_anew_and_the_lot_goes_on(
    tmp_path: Path, store: Store, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *others = touchdowns()
    await records.open(lot())
    assert not await records.mend(BEGAN)
    for landing in (first, second):
        await records.commit(landing)
    await records.project(first)
    with monkeypatch.context() as patched:
        patched.setattr(stdf_file, "os", FullDisk())
        with pytest.raises(StorageError, match="No space left"):
            await records.project(second)
        with pytest.raises(StorageError, match="No space left"):
            await records.mend(BEGAN + 50)
    assert await records.mend(BEGAN + 60)
    for landing in others:
        await records.commit(landing)
        await records.project(landing)
    path = await records.finish(BEGAN + 100)
    assert path.read_bytes() == rebuild(store, 1, tmp_path / "again").read_bytes()
    assert [event.text for event in store.events(1)] == ["datalog written anew from the store"] * 2


@pytest.mark.parametrize("disk", [FullDisk(), UnsureDisk()])
async def test_a_file_that_failed_as_it_was_closed_is_written_anew_and_closed(
    tmp_path: Path, store: Store, records: Records, monkeypatch: pytest.MonkeyPatch, disk: FullDisk
) -> None:
    await records.open(lot())
    for landing in touchdowns():
        await records.commit(landing)
        await records.project(landing)
    for _ in range(2):
        with monkeypatch.context() as patched, pytest.raises(StorageError, match="No space|Input/output"):
            patched.setattr(stdf_file, "os", disk)
            await records.finish(BEGAN + 100)
    path = await records.finish(BEGAN + 200)
    assert store.state(1).finished == BEGAN + 200
    assert path.read_bytes() == rebuild(store, 1, tmp_path / "again").read_bytes()


async def test_a_store_that_was_locked_at_the_end_is_ended_as_of_then(
    tmp_path: Path, store: Store, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(store: Store, ended: float) -> None:
        raise StorageError("database is locked")

    await records.open(lot())
    with monkeypatch.context() as patched:
        patched.setattr(Store, "finish", locked)
        with pytest.raises(StorageError, match="locked"):
            await records.finish(BEGAN + 100)
    path = await records.finish(BEGAN + 200)
    assert store.state(1).finished == BEGAN + 100
    assert path.read_bytes() == rebuild(store, 1, tmp_path / "again").read_bytes()
