"""A run as tables for engineers: Arrow in memory, and SQL over it by DuckDB; nothing is written."""

import duckdb
import pyarrow as pa

from station.datalog import parquet
from station.datalog.rows import DeviceRows
from station.datalog.store import Store
from station.errors import AnalysisError

TABLES = ("meas", "test", "bin", "contact")
TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
TEST = pa.schema(
    [("test", WHOLE), ("name", TEXT), ("kind", TEXT), ("unit", TEXT), ("low", REAL), ("high", REAL)]
)
BIN = pa.schema([("soft_bin", WHOLE), ("name", TEXT), ("hard_bin", WHOLE), ("kind", TEXT)])
CONTACT = pa.schema(
    [("part", WHOLE), ("code", TEXT), ("contact", WHOLE), ("site", WHOLE), ("soft_bin", WHOLE)]
    + [("hard_bin", WHOLE), ("test_ms", WHOLE), ("wafer", TEXT), ("x", WHOLE), ("y", WHOLE)]
)


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
    return {
        "meas": parquet.table(store, run),
        "test": pa.Table.from_pylist(tests, TEST),
        "bin": pa.Table.from_pylist(bins, BIN),
        "contact": pa.Table.from_pylist(_contacts(store, run), CONTACT),
    }


def asked(store: Store, run: int, sql: str) -> pa.Table:
    """Return the answer to a question in SQL; AnalysisError says what DuckDB did not understand.

    The database is one in memory without access to files or network.
    """
    with duckdb.connect(config={"enable_external_access": False}) as connection:
        try:
            for name, table in views(store, run).items():
                connection.register(name, table)
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
