"""The plant's database: one schema, an outbox that may be told twice, and runs that go to Parquet."""

import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from msgspec.structs import replace
from sqlalchemy import Engine, create_engine, func, select, text

from station import past
from station.chaos import postgres
from station.datalog import schema
from station.datalog.parquet import export, table
from station.datalog.plant.database import reached, upgraded
from station.datalog.plant.retention import archived
from station.datalog.plant.sync import synced
from station.datalog.store import Store
from station.disposition.parts import parts_of, plant_parts
from station.errors import ConfigError, StorageError
from station.model import Place
from tests.station.datalog.lots import BEGAN, lot, touchdowns
from tests.synced import watched

TABLES = (schema.RUN, schema.TOUCHDOWN, schema.DEVICE, schema.BIN_DEF, schema.EVENT, schema.SUMMARY)
OWN = {"id", "run_id", "td_id", "test_set_id", "limit_set_id", "supersedes"}
"""Numbers that each database gives by itself."""


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    found = postgres.programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.running(found) as running:
        yield running


@pytest.fixture
def plant(server: postgres.Server) -> Iterator[Engine]:
    engine = reached(server.database())
    upgraded(engine)
    yield engine
    engine.dispose()


def stored(path: Path) -> Store:
    store = Store(path)
    store.open()
    store.begin(lot())
    for result in touchdowns():
        store.commit(result)
    store.event("site", "site 2 off", BEGAN)
    store.finish(BEGAN + 100)
    return store


def counts(plant: Engine) -> list[int]:
    with plant.connect() as connection:
        return [connection.execute(select(func.count()).select_from(t)).scalar_one() for t in TABLES]


def assert_equal(store: Store, plant: Engine) -> None:
    for one in TABLES:
        names = [column.name for column in one.columns if column.name not in OWN]
        with plant.connect() as connection:
            query = select(*(one.c[name] for name in names)).order_by(*one.primary_key.columns)
            there = [tuple(row) for row in connection.execute(query)]
        assert there == [tuple(row[name] for name in names) for row in store.rows(one)], one.name


def test_what_alembic_makes_is_the_schema_of_the_store(plant: Engine, tmp_path: Path) -> None:
    upgraded(plant)
    with plant.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []
    local = create_engine(f"sqlite:///{tmp_path / 'new.db'}")
    upgraded(local)
    with local.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []
    local.dispose()


def test_the_plant_has_what_the_station_has(plant: Engine, tmp_path: Path) -> None:
    store = stored(tmp_path / "results.db")
    assert synced(store, plant, lambda: BEGAN) == 2 + len(touchdowns())
    assert store.pending() == ()
    assert synced(store, plant, lambda: BEGAN) == 0
    assert_equal(store, plant)
    with plant.connect() as connection:
        query = "SELECT value FROM meas WHERE test = 300 ORDER BY device_id"
        measured = [value for (value,) in connection.execute(text(query))]
    local = store.column(1, 300)
    assert measured == [value for value in local if value == value]
    store.close()


def test_told_twice_has_one_effect(plant: Engine, tmp_path: Path) -> None:
    store = stored(tmp_path / "results.db")

    def crash() -> float:
        raise KeyboardInterrupt

    for _ in range(2):  # the plant has it on disk, and the station does not know
        with pytest.raises(KeyboardInterrupt):
            synced(store, plant, crash)
    assert synced(store, plant, lambda: BEGAN) == 2 + len(touchdowns())
    assert_equal(store, plant)
    before = counts(plant)
    again = Store(tmp_path / "results.db")
    with again._writing("test") as connection:
        connection.execute(schema.OUTBOX.update().values(sent_at=None))
    assert synced(again, plant, lambda: BEGAN) == 2 + len(touchdowns())
    assert counts(plant) == before
    again.close()
    store.close()


def test_the_plant_is_told_with_what_a_lot_goes_on(plant: Engine, tmp_path: Path) -> None:
    store = Store(tmp_path / "results.db")
    store.open()
    run = store.begin(lot())
    store.commit(touchdowns()[0])
    synced(store, plant, lambda: BEGAN)
    store.refit(run, replace(lot(), handler_id="H4", version="9.0.0"))
    assert synced(store, plant, lambda: BEGAN) == 1
    assert_equal(store, plant)
    store.close()


def test_two_stations_share_the_plant(plant: Engine, tmp_path: Path) -> None:
    stores = [stored(tmp_path / "one.db"), Store(tmp_path / "two.db")]
    stores[1].open()
    stores[1].begin(replace(lot(), station="CELL8"))
    stores[1].commit(touchdowns()[0])
    for store in stores:
        synced(store, plant, lambda: BEGAN)
        store.close()
    with plant.connect() as connection:
        found = connection.execute(select(schema.RUN.c.station, schema.RUN.c.state).order_by(schema.RUN.c.id))
        assert [tuple(row) for row in found] == [("CELL7", "finished"), ("CELL8", "running")]
        assert connection.execute(select(func.count()).select_from(schema.TEST_SET)).scalar_one() == 1


def test_what_the_plant_was_never_told_of_is_one_message(plant: Engine, tmp_path: Path) -> None:
    store = stored(tmp_path / "results.db")
    store.sent(1, BEGAN)
    with pytest.raises(StorageError, match="the plant does not know run 1 of lot L1017"):
        synced(store, plant, lambda: BEGAN)
    store.close()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nonsense", "no address"),
        ("sqlite:////tmp/x.db", "sqlite: no address"),
        ("postgresql://u:secret@h/d", "holds a password"),
        ("postgresql://u@h/d?password=secret", "holds a password"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        reached(address)
    assert "secret" not in str(caught.value)


def test_a_plant_that_does_not_answer_leaves_the_outbox(tmp_path: Path) -> None:
    store = stored(tmp_path / "results.db")
    waiting = store.pending()
    nowhere = reached(f"postgresql://u@/d?host={tmp_path}")
    with pytest.raises(StorageError, match="postgresql"):
        synced(store, nowhere, lambda: BEGAN)
    assert store.pending() == waiting
    store.close()


def test_a_run_goes_to_parquet_and_is_pruned_when_it_was_told(tmp_path: Path) -> None:
    store = stored(tmp_path / "results.db")
    measured = table(store, 1)
    with pytest.raises(StorageError, match="waits for the plant"):
        archived(store, 1, tmp_path / "archive", prune=True)
    store.sent(99, BEGAN)
    found = archived(store, 1, tmp_path / "archive", prune=True)
    path = tmp_path / "archive" / "lot=L1017" / "run=1" / found.file
    assert sha256(path.read_bytes()).hexdigest() == found.sha256
    assert pq.read_table(path, partitioning=None).equals(measured)
    assert found.rows == measured.num_rows
    assert list(store.devices(1)) == []
    assert [event.text for event in store.events(1)] == ["site 2 off"]
    assert [row["state"] for row in store.rows(schema.RUN)] == ["archived"]
    with pytest.raises(StorageError, match="not overwritten"):
        archived(store, 1, tmp_path / "archive", prune=False)
    store.close()


def test_an_archive_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    store, folder = stored(tmp_path / "results.db"), tmp_path / "archive"
    store.sent(99, BEGAN)
    path = folder / "lot=L1017" / "run=1" / "results.parquet"
    export(store, 1, path)
    found = archived(store, 1, folder, prune=False)
    assert sha256(path.read_bytes()).hexdigest() == found.sha256
    assert archived(store, 1, folder, prune=True).pruned
    assert list(store.devices(1)) == []
    store.close()


@pytest.mark.parametrize("content", [b"", b"something else"])
def test_a_file_that_does_not_hold_the_run_prunes_nothing(content: bytes, tmp_path: Path) -> None:
    store = stored(tmp_path / "results.db")
    store.sent(99, BEGAN)
    path = tmp_path / "lot=L1017" / "run=1" / "results.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="not what the store has of run 1; nothing was pruned"):
        archived(store, 1, tmp_path, prune=True)
    assert list(store.devices(1))
    assert path.read_bytes() == content
    store.close()


def test_a_run_is_pruned_when_its_file_outlives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, before = stored(tmp_path / "results.db"), list[Path]()
    store.sent(99, BEGAN)
    synced, prune = watched(monkeypatch), Store.prune

    def pruned(of: Store, run: int) -> None:
        before.extend(synced)
        prune(of, run)

    monkeypatch.setattr(Store, "prune", pruned)
    archived(store, 1, tmp_path / "archive", prune=True)
    lot = tmp_path / "archive" / "lot=L1017"
    assert {tmp_path, lot.parent, lot, lot / "run=1"} <= set(before)
    store.close()


def test_numbers_are_the_same_bits_in_an_array() -> None:
    dialect = create_engine("postgresql+psycopg://").dialect
    data = struct.pack("<3d", 1.5, -0.0, 5e-324)
    kind = schema.Floats()
    assert kind.process_result_value(kind.process_bind_param(data, dialect), dialect) == data


def test_a_lot_may_rest_on_what_the_plant_has(server: postgres.Server, tmp_path: Path) -> None:
    address = server.database()
    engine = reached(address)
    upgraded(engine)
    store = Store(tmp_path / "results.db")
    store.open()
    store.begin(replace(lot(), flow="CP1"))
    for result in touchdowns():
        placed = (replace(one, place=Place("W1", one.part, 0)) for one in result.devices)
        store.commit(replace(result, devices=tuple(placed)))
    store.finish(BEGAN + 100)
    synced(store, engine, lambda: BEGAN)
    store.close()
    engine.dispose()
    name, product = lot().lot, lot().product
    here = past.read([str(store.path)], product, "FT1")
    there = past.read([f"{address}#none,{name}"], product, "FT1")
    assert [one.run for one in there.runs] == [one.run for one in here.runs]
    (parts,) = plant_parts(f"{address}#{name}")
    local = Store(tmp_path / "results.db")
    ours = parts_of(local, 1)
    local.close()
    assert (parts.info, parts.digest, parts.places) == (ours.info, ours.digest, ours.places)
    assert np.array_equal(parts.values, ours.values, equal_nan=True)
    with pytest.raises(ConfigError, match="no ended run"):
        plant_parts(f"{address}#other")
    places = {Place("W1", one.part, 0) for result in touchdowns() for one in result.devices}
    for place in places:
        assert there.of("", place) == here.of("", place)
        assert there.of("", place)
    again = past.read_again(replace(lot(), earlier=there.runs))
    assert again.of("", Place("W1", 1, 0)) == here.of("", Place("W1", 1, 0))
    for other, said in (
        (address, "which lots"),
        (f"{address}#other", "it has no run"),
        (f"{address}x#L", "earlier results: postgresql:.*No such file"),
    ):
        with pytest.raises(ConfigError, match=said):
            past.read([other], product, "FT1")
