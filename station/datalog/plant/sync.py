"""From a station's store to the plant's database, by the outbox: in order, and each entry with one effect."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Engine, Table, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from station.datalog import schema
from station.datalog.store import FINISHED, Store
from station.errors import StorageError

Row = dict[str, object]


def synced(store: Store, plant: Engine, now: Callable[[], float]) -> int:
    """Tell the plant what its database does not have yet, and return how many entries that were.

    An entry is marked as told when the plant has it on disk; told again after a crash, it changes nothing.
    """
    told = 0
    for number, kind, reference in store.pending():
        try:
            with plant.begin() as connection:
                _told(store, connection, kind, reference)
        except DBAPIError as error:
            raise StorageError(f"{plant.url.render_as_string()}: {error.orig}") from error
        store.sent(number, now())
        told += 1
    return told


def _told(store: Store, plant: Connection, kind: str, reference: str) -> None:
    run, _, seq = reference.partition("/")
    match kind:
        case "run":
            _run(store, plant, int(run))
        case "touchdown":
            _touchdown(store, plant, int(run), int(seq))
        case "end":
            _end(store, plant, int(run))
        case _:
            raise StorageError(f"{store.path}: nobody knows what {kind!r} in the outbox is")


def _run(store: Store, plant: Connection, run: int) -> None:
    (row,) = store.rows(schema.RUN, id=run)
    (tests,) = store.rows(schema.TEST_SET, id=row["test_set_id"])
    (limits,) = store.rows(schema.LIMIT_SET, id=row["limit_set_id"])
    test_set = _kept(plant, schema.TEST_SET, tests, "sha256")
    limit_set = _kept(plant, schema.LIMIT_SET, limits | {"test_set_id": test_set}, "sha256")
    new = row | {"test_set_id": test_set, "limit_set_id": limit_set, "t1": None, "state": "running"}
    there = _kept(plant, schema.RUN, new, "uuid")
    plant.execute(update(schema.RUN).where(schema.RUN.c.id == there).values(mir=row["mir"]))
    for bin_ in store.rows(schema.BIN_DEF, run_id=run):
        plant.execute(insert(schema.BIN_DEF).values(bin_ | {"run_id": there}).on_conflict_do_nothing())


def _touchdown(store: Store, plant: Connection, run: int, seq: int) -> None:
    there = _there(store, plant, run)
    (row,) = store.rows(schema.TOUCHDOWN, run_id=run, seq=seq)
    touchdown = _inserted(plant, schema.TOUCHDOWN, row | {"run_id": there})
    if touchdown is None:  # it is known, and with it its devices: they came in one transaction
        return
    for device in store.rows(schema.DEVICE, td_id=row["id"]):
        earlier = None if device["supersedes"] is None else _earlier(plant, there, device)
        new = device | {"run_id": there, "td_id": touchdown, "supersedes": earlier}
        _inserted(plant, schema.DEVICE, new)


def _earlier(plant: Connection, run: int, device: Row) -> object:
    columns = schema.DEVICE.c
    query = select(columns.id).where(columns.run_id == run, columns.part_id == device["part_id"])
    return plant.execute(query.order_by(columns.exec_no.desc()).limit(1)).scalar()


def _end(store: Store, plant: Connection, run: int) -> None:
    there, columns = _there(store, plant, run), schema.RUN.c
    state = plant.execute(select(columns.state).where(columns.id == there)).scalar_one()
    if state == FINISHED:
        return
    for event in store.rows(schema.EVENT, run_id=run):
        _inserted(plant, schema.EVENT, event | {"run_id": there})
    for summary in store.rows(schema.SUMMARY, run_id=run):
        plant.execute(insert(schema.SUMMARY).values(summary | {"run_id": there}))
    (row,) = store.rows(schema.RUN, id=run)
    ended = {name: row[name] for name in ("t1", "state", "disposition")}
    plant.execute(update(schema.RUN).where(columns.id == there).values(ended))


def _there(store: Store, plant: Connection, run: int) -> int:
    """Return the number that the plant has given to a run."""
    (row,) = store.rows(schema.RUN, id=run)
    found = plant.execute(select(schema.RUN.c.id).where(schema.RUN.c.uuid == row["uuid"])).scalar()
    if found is None:
        raise StorageError(f"{store.path}: the plant does not know run {run} of lot {row['lot']}")
    return int(found)


def _kept(plant: Connection, table: Table, row: Mapping[str, object], key: str) -> int:
    """Return the number of a row that may be known already, by what it is known by."""
    _inserted(plant, table, row)
    return int(plant.execute(select(table.c.id).where(table.c[key] == row[key])).scalar_one())


def _inserted(plant: Connection, table: Table, row: Mapping[str, object]) -> int | None:
    """Insert a row under a number of the plant's own; None if it is known."""
    values = {name: value for name, value in row.items() if name != "id"}
    statement = insert(table).values(values).on_conflict_do_nothing().returning(table.c.id)
    found = plant.execute(statement).scalar()
    return None if found is None else int(found)
