"""The folder of a lot, before there is one."""

from pathlib import Path

import pytest

from station.errors import ConfigError
from station.lot_folder import make_folder, remove_if_never_loaded


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
