"""Lots that were left open: one goes on in the folder of its name, nowhere else."""

import shutil
from pathlib import Path

import pytest

from station.custody.journal import Journal
from station.errors import ConfigError
from station.open_lot import history_in, open_lots
from tests.station.console.lots import loaded


async def test_a_folder_under_another_name_is_no_lot_to_go_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "L1"
    folder.mkdir()
    journal = Journal(folder / "journal", reserve_bytes=0)
    journal.open()
    await journal.commit(loaded(name="L1"))
    journal.close()
    shutil.copytree(folder, tmp_path / "copy")
    assert history_in(folder).info.lot == "L1"
    with pytest.raises(ConfigError, match="copy: this is the journal of lot L1"):
        history_in(tmp_path / "copy")
    assert [found for found, _ in open_lots(tmp_path, "ws-07")] == [folder]
