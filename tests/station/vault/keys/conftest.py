"""Cheap passphrases where their price is not what is tested."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from station.vault.keys import sealing
from station.vault.keys.service import Service
from tests.station.vault.keys.stores import OPEN, At, development


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MEMORY_KIB", 8)


@pytest.fixture
def clock() -> At:
    return At()


@pytest.fixture
def service(tmp_path: Path, clock: At, cheap: None) -> Iterator[Service]:
    """A development store, active."""
    del cheap
    made = Service(tmp_path, clock, OPEN, production=False)
    made.answer(development())
    yield made
    made.close()
