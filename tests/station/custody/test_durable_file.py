"""Files and folders that after a power cut are there, whole."""

from pathlib import Path

import pytest

from station.custody import durable_file
from tests.synced import watched


def test_a_folder_that_is_kept_has_its_way_to_it_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, folder = watched(monkeypatch), tmp_path / "a" / "b"
    durable_file.keep_folder(folder, mode=0o700)
    assert synced == [tmp_path, tmp_path / "a"] and folder.stat().st_mode & 0o777 == 0o700
    durable_file.keep_folder(folder)
    assert len(synced) == 2
    with pytest.raises(FileExistsError):
        durable_file.keep_folder(folder, new=True)
