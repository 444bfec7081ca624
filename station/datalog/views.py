"""A run as tables for engineers: Arrow in memory, and SQL over it by DuckDB; nothing is written."""

import duckdb
import pyarrow as pa

from station.datalog import parquet
from station.datalog.rows import DeviceRows
from station.datalog.store import Store
from station.errors import AnalysisError

TABLES = ("meas", "test", "bin", "contact")


def views(store: Store, run: int) -> dict[str, pa.Table]:
    """Return the tables of a run: `meas` has a row a value, `contact` one a contact, with wafer, x and y."""
    info = store.info(run)
    tests = [
        {
            "test": test.number,
            "name": test.name,
            "kind": test.kind,
            "unit": "" if test.limit is None else test.limit.unit,
            "low": None if test.limit is None else test.limit.low,
            "high": None if test.limit is None else test.limit.high,
        }
        for test in info.tests
    ]
    bins = [
        {"soft_bin": b.number, "name": b.name, "hard_bin": b.hard, "kind": b.kind.value} for b in info.bins
    ]
    kinds = pa.schema(
        [("test", pa.int64()), ("name", pa.string()), ("kind", pa.string()), ("unit", pa.string())]
    )
    kinds = kinds.append(pa.field("low", pa.float64())).append(pa.field("high", pa.float64()))
    return {
        "meas": parquet.table(store, run),
        "test": pa.Table.from_pylist(tests, kinds),
        "bin": pa.Table.from_pylist(bins),
        "contact": pa.Table.from_pylist(_contacts(store, run)),
    }


def asked(store: Store, run: int, sql: str) -> pa.Table:
    """Return the answer to a question in SQL; AnalysisError says what DuckDB did not understand.

    The database is one in memory without access to files or network.
    """
    with duckdb.connect(config={"enable_external_access": False}) as connection:
        for name, table in views(store, run).items():
            connection.register(name, table)
        try:
            found = connection.sql(sql)
            if found is None:
                raise AnalysisError(f"{sql!r}: it asks for nothing; the tables are {', '.join(TABLES)}")
            return found.to_arrow_table()
        except duckdb.Error as error:
            raise AnalysisError(f"{sql!r}: {error}; the tables are {', '.join(TABLES)}") from error


def _contacts(store: Store, run: int) -> list[dict[str, object]]:
    packer = DeviceRows(store.info(run))
    return [
        {
            "part": row.part_id,
            "code": (device := packer.unpack(row)).code or None,
            "contact": row.exec_no,
            "site": row.site,
            "soft_bin": row.sbin,
            "hard_bin": row.hbin,
            "test_ms": row.test_ms,
            "wafer": None if (place := device.place) is None else place.wafer,
            "x": None if place is None else place.x,
            "y": None if place is None else place.y,
        }
        for row in store.devices(run)
    ]
