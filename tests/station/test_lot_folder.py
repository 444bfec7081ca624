"""The folder of a lot, before there is one."""

from pathlib import Path

import pytest

from station.errors import ConfigError
from station.lot_folder import make_folder, remove_if_never_loaded
from tests.synced import watched


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


def test_a_lot_s_folder_outlives_a_power_cut_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else bins leave of a lot whose folder is gone when the power comes back."""
    synced = watched(monkeypatch)
    make_folder(tmp_path / "lots" / "L1")
    assert set(synced) == {tmp_path, tmp_path / "lots"}
    synced.clear()
    make_folder(tmp_path / "lots" / "L2")
    assert synced == [tmp_path / "lots"]
