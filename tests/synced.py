"""What a power cut would leave: the files and folders that were synced, in order."""

import os
from pathlib import Path

import pytest


def watched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list that grows by the path of each file or folder that is synced from now on."""
    synced, sync = list[Path](), os.fsync

    def noted(handle: int) -> None:
        sync(handle)
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())

    monkeypatch.setattr(os, "fsync", noted)
    return synced
