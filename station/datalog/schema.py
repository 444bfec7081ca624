"""The tables of the store, and the settings under which SQLite keeps them."""

import sqlite3
import struct
from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    CursorResult,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.types import TypeEngine

VERSION = 1
MMAP = "mmap_size = 268435456"
PRAGMAS = (
    "page_size = 8192",
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 4000",
    MMAP,
    "foreign_keys = ON",
    "busy_timeout = 5000",
)

METADATA = MetaData()


class Floats(TypeDecorator[bytes]):
    """Little-endian float64: bytes on SQLite, an array of numbers on PostgreSQL, bytes to us on both."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        array: TypeEngine[Any] = ARRAY(DOUBLE_PRECISION)
        return dialect.type_descriptor(array if dialect.name == "postgresql" else LargeBinary())

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | list[float] | None:
        if value is None or dialect.name != "postgresql":
            return value
        return list(struct.unpack(f"<{len(value) // 8}d", value))

    def process_result_value(self, value: Sequence[float] | bytes | None, dialect: Dialect) -> bytes | None:
        if value is None or dialect.name != "postgresql":
            return value if value is None or isinstance(value, bytes) else b""
        return struct.pack(f"<{len(value)}d", *value)


TEST_SET = Table(
    "test_set",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("n", Integer, nullable=False),
    Column("defs", JSON, nullable=False),
)
"""Tests in datalog order: number, name, kind, unit, pins. Never changed."""

LIMIT_SET = Table(
    "limit_set",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("test_set_id", ForeignKey("test_set.id"), nullable=False),
    Column("sha256", Text, nullable=False, unique=True),
    Column("lo", LargeBinary, nullable=False),
    Column("hi", LargeBinary, nullable=False),
    Column("incl", LargeBinary, nullable=False),
    Column("source", Text, nullable=False),
)
"""`lo`, `hi`: little-endian float64 by test, NaN = open. `incl`: one byte a test, 3 = both inclusive."""

RUN = Table(
    "run",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("uuid", Text, nullable=False, unique=True),
    Column("station", Text, nullable=False),
    Column("lot", Text, nullable=False),
    Column("sublot", Text, nullable=False),
    Column("part_typ", Text, nullable=False),
    Column("test_cod", Text, nullable=False),
    Column("pass_no", Integer, nullable=False),
    Column("sequence", Text, nullable=False),
    Column("seq_rev", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("test_set_id", ForeignKey("test_set.id"), nullable=False),
    Column("limit_set_id", ForeignKey("limit_set.id"), nullable=False),
    Column("t0", Float, nullable=False),
    Column("t1", Float),
    Column("state", Text, nullable=False),
    Column("disposition", Text, nullable=False),
    Column("mir", JSON, nullable=False),
)
"""One lot at one station. `state`: running, finished. `mir`: the whole `LotInfo`."""

TOUCHDOWN = Table(
    "touchdown",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("t0", Float, nullable=False),
    Column("t1", Float, nullable=False),
    UniqueConstraint("run_id", "seq"),
)

DEVICE = Table(
    "device",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("td_id", ForeignKey("touchdown.id"), nullable=False),
    Column("head", Integer, nullable=False),
    Column("supersedes", ForeignKey("device.id")),
    Column("site", Integer, nullable=False),
    Column("part_id", Integer, nullable=False),
    Column("exec_no", Integer, nullable=False),
    Column("part_flg", Integer, nullable=False),
    Column("hbin", Integer, nullable=False),
    Column("sbin", Integer, nullable=False),
    Column("t0", Float, nullable=False),
    Column("test_ms", Integer, nullable=False),
    Column("n_exec", Integer, nullable=False),
    Column("vals", Floats, nullable=False),
    Column("flags", LargeBinary),
    Column("extra", LargeBinary),
    Index("device_part", "run_id", "part_id", "exec_no", unique=True),
    Index("device_touchdown", "td_id"),
)
"""One contact of one device. Its BLOBs: `station.datalog.rows`."""

BIN_DEF = Table(
    "bin_def",
    METADATA,
    Column("run_id", ForeignKey("run.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("num", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("pf", Text, nullable=False),
)
"""`kind`: hard, soft. `pf`: P, F or a space."""

EVENT = Table(
    "event",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("td_seq", Integer, nullable=False),
    Column("t", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Index("event_run", "run_id", "td_seq"),
)
"""What stands in the datalog between touchdowns; `td_seq`: the touchdown before it, 0 = none."""

SUMMARY = Table(
    "summary",
    METADATA,
    Column("run_id", ForeignKey("run.id"), primary_key=True),
    Column("site", Integer, primary_key=True),
    Column("test", Integer, primary_key=True),
    Column("n", Integer, nullable=False),
    Column("mean", Float, nullable=False),
    Column("m2", Float, nullable=False),
    Column("min", Float),
    Column("max", Float),
    Column("fail", Integer, nullable=False),
)
"""Valid results of each test at each site, written when the run ends."""

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("sent_at", Float),
    sqlite_autoincrement=True,
)
"""What others must be told: written in the transaction of what it announces."""


MEASURED_OF_RUN = (
    "UPDATE device SET supersedes = NULL WHERE run_id = ?",
    "DELETE FROM device WHERE run_id = ?",
    "DELETE FROM touchdown WHERE run_id = ?",
)
KNOWN_OF_RUN = (
    "DELETE FROM event WHERE run_id = ?",
    "DELETE FROM bin_def WHERE run_id = ?",
    "DELETE FROM summary WHERE run_id = ?",
    "DELETE FROM outbox WHERE substr(ref || '/', 1, instr(ref || '/', '/') - 1) = CAST(? AS TEXT)",
    "DELETE FROM run WHERE id = ?",
)


def prepared(statement: ClauseElement, *columns: str) -> str:
    """Return a statement as SQLite's driver takes it: `?` for what is filled in, in the table's order."""
    compiled = statement.compile(dialect=sqlite.dialect(), column_keys=list(columns) or None)
    return str(compiled)


def rows(result: CursorResult[Any]) -> Iterable[tuple[Any, ...]]:
    """Return the rows of a result as the driver's own cursor gives them: many in half the time."""
    return cast("Iterable[tuple[Any, ...]]", result.cursor)


def bare(connection: Connection) -> sqlite3.Connection:
    """Return what a connection to SQLite is beneath: the one write of each touchdown goes there directly."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)
