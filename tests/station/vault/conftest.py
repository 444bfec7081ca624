"""Registries of a plant for the vault's tests."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.chaos import postgres
from tests.station.vault.sites import ServedSite, Site, SqliteSite


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """One PostgreSQL server for all tests of a run."""
    found = postgres.programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.running(found) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """An empty registry of a plant, which can be taken away and given back."""
    if request.param == "sqlite":
        with sqlite3.connect(tmp_path / "site.sqlite") as db:
            yield SqliteSite(tmp_path / "site.sqlite", db)
        db.close()
    else:
        served = ServedSite(request.getfixturevalue("server"))
        yield served
        served.up()
