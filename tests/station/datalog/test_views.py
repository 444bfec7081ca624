"""SQL over a stored run, and what it does not reach."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from station.cli.store import store as command
from station.datalog.store import Store
from station.datalog.views import asked
from station.errors import AnalysisError
from tests.station.datalog.lots import BEGAN, lot, touchdowns


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = Store(tmp_path / "results.db")
    store.open()
    store.begin(lot())
    for result in touchdowns():
        store.commit(result)
    store.finish(BEGAN + 100)
    store.close()
    return store.path


def test_values_tests_bins_and_contacts_join(path: Path) -> None:
    ran = CliRunner().invoke(
        command,
        [
            "query",
            str(path),
            "SELECT t.name, count(*) AS n, min(value) AS least FROM meas JOIN test t USING (test) "
            "WHERE test = 310 GROUP BY ALL",
        ],
    )
    assert ran.output.splitlines() == ["name\tn\tleast", "leakage\t3\t2e-09"]
    store = Store(path)
    last = "SELECT part, arg_max(soft_bin, contact) AS bin FROM contact GROUP BY part ORDER BY part"
    assert [row["bin"] for row in asked(store, 1, last).to_pylist()] == [1, 1, 300, 1]
    store.close()


@pytest.mark.parametrize(
    "sql", ["SELECT nothing", "SELECT * FROM read_csv('/etc/passwd')", "ATTACH '/tmp/x.db'"]
)
def test_what_is_not_understood_or_not_allowed_is_one_message(path: Path, sql: str) -> None:
    store = Store(path)
    with pytest.raises(AnalysisError, match="the tables are meas, test, bin, contact"):
        asked(store, 1, sql)
    store.close()


def test_a_run_without_a_contact_is_asked_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.db")
    store.open()
    run = store.begin(lot())
    whole = (
        "SELECT count(*) AS n FROM meas JOIN contact USING (part) WHERE contact.soft_bin = 1 AND wafer = 'W1'"
    )
    assert asked(store, run, whole).to_pylist() == [{"n": 0}]
    assert asked(store, run, "SELECT name FROM bin WHERE soft_bin = 1").to_pylist() == [{"name": "good"}]
    store.close()
