"""A file of results that has its name outlives a power cut, whoever writes it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from station.datalog import parquet, ritdb
from station.datalog.new_file import new_file
from station.datalog.stdf import recovery
from station.datalog.store import Store
from tests.station.datalog.lots import lot, touchdowns
from tests.synced import watched


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "results.db")
    made.open()
    made.begin(lot())
    for result in touchdowns():
        made.commit(result)
    return made


def recovered(_: Store, path: Path) -> None:
    recovery.written(path, [b"whole"])


def to_parquet(store: Store, path: Path) -> None:
    parquet.export(store, 1, path)


def to_ritdb(store: Store, path: Path) -> None:
    ritdb.export(store, 1, path)


@pytest.mark.parametrize("written", [recovered, to_parquet, to_ritdb])
def test_its_folder_knows_it(
    written: Callable[[Store, Path], None], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, path = watched(monkeypatch), tmp_path / "file"
    written(store, path)
    assert path.exists()
    assert synced[-1] == tmp_path
    assert len(synced) == 2


def test_nothing_is_left_of_one_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "file") as part:
        part.write_bytes(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_an_open_datalog_is_called_is_left_alone(tmp_path: Path) -> None:
    cut = tmp_path / "lot.std.part"
    cut.write_bytes(b"cut")
    recovery.written(tmp_path / "lot.std", [b"whole"])
    assert cut.read_bytes() == b"cut"
