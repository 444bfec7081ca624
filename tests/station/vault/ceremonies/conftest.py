"""Cheap passphrases, and a key store in this process."""

import pytest

from station.vault.ceremonies import conductor, persons
from station.vault.keys import sealing
from tests.station.vault.ceremonies import rooms


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MEMORY_KIB", 8)
    monkeypatch.setattr(persons, "MEMORY_KIB", 8)
    monkeypatch.setattr(conductor, "own", rooms.direct)
