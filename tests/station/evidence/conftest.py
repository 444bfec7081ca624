"""One lot for all: making it takes a second or two."""

import pytest

from tests.station.evidence import lots
from tests.station.evidence.lots import Lot


@pytest.fixture(scope="session")
def lot(tmp_path_factory: pytest.TempPathFactory) -> Lot:
    """A small real lot, with its bundle; nobody changes it."""
    return lots.of(tmp_path_factory.mktemp("lot"))
