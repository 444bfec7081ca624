"""The truth of the measurements: one SQLite database a station, one transaction a touchdown."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, bindparam, create_engine, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from station.datalog import schema
from station.datalog.rows import DeviceRow, DeviceRows
from station.datalog.sets import limit_set, test_set
from station.datalog.stdf import flags
from station.datalog.stdf.trailer import hard_bin_name
from station.datalog.totals import statistics
from station.errors import StorageError
from station.model import LotInfo, TouchdownResult

HEAD = 1
RUNNING, FINISHED, ARCHIVED = "running", "finished", "archived"
DEVICE = schema.DEVICE.c
ROW = tuple(DEVICE[name] for name in DeviceRow._fields)
INSERT_DEVICE = schema.prepared(
    insert(schema.DEVICE), "run_id", "td_id", "head", "supersedes", *DeviceRow._fields
)
INSERT_TOUCHDOWN = schema.prepared(insert(schema.TOUCHDOWN), "run_id", "seq", "t0", "t1")
INSERT_OUTBOX = schema.prepared(insert(schema.OUTBOX), "kind", "ref", "tries")
TAKE_BACK = (
    "DELETE FROM outbox WHERE kind = 'touchdown' AND ref = "
    "(SELECT run_id || '/' || seq FROM touchdown WHERE id = ?)",
    "DELETE FROM device WHERE td_id = ?",
    "DELETE FROM touchdown WHERE id = ?",
)
INSERT_BIN = schema.prepared(insert(schema.BIN_DEF), "run_id", "kind", "num", "name", "pf")
DEVICES_OF = schema.prepared(select(*ROW).where(DEVICE.td_id == bindparam("td")).order_by(DEVICE.id))
DEVICES = schema.prepared(select(*ROW).where(DEVICE.run_id == bindparam("run")).order_by(DEVICE.id))
COLUMN = "SELECT substr(vals, ?, 8) FROM device WHERE run_id = ? ORDER BY id"
EARLIER = schema.prepared(
    select(func.max(DEVICE.id)).where(DEVICE.run_id == bindparam("run"), DEVICE.part_id == bindparam("part"))
)


class Event(Struct, frozen=True):
    """What happened behind touchdown `after` (0 = before the first one); `at` is unix time."""

    after: int
    at: float
    kind: str
    text: str


class RunState(Struct, frozen=True):
    """How a run ended, if it did: `finished` is unix time."""

    run: int
    lot: str
    finished: float | None
    disposition: str


class Contact(NamedTuple):
    """One contact of one part, without its measurements."""

    site: int
    part: int
    contact: int
    flags: int
    """PART_FLG."""
    soft_bin: int


class Store:
    """The database of a station: one writer at a time, from any thread; readers have their own connections.

    `begin`, then `commit` for each touchdown, then `finish`. What cannot be made durable is a `StorageError`,
    and nothing of it is in the database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = create_engine("sqlite://", creator=self._connect, poolclass=StaticPool)
        self._checker = create_engine(
            "sqlite://", creator=self._connect_reader, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
        )
        self._readers = create_engine("sqlite://", creator=self._connect_reader, poolclass=NullPool)
        self._run, self._seq = 0, 0
        self._rows: DeviceRows | None = None
        self._unsure: int | None = None
        """A touchdown that did not read back, and is to be taken out again."""

    def open(self) -> None:
        """Open the database, making it where there is none; one of another version is refused."""
        with self._guarded("open"), self._writer.begin() as connection:
            found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if found not in {0, schema.VERSION}:
                raise StorageError(
                    f"{self.path}: schema version {found}, this station reads {schema.VERSION}"
                )
            schema.METADATA.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")

    def close(self) -> None:
        """Close every connection; what was committed stays."""
        for engine in (self._checker, self._readers, self._writer):
            engine.dispose()

    def begin(self, info: LotInfo) -> int:
        """Enter a lot and return the number of its run; the same lot cannot begin twice."""
        rows = DeviceRows(info)
        with self._writing(f"lot {info.lot}") as connection:
            run = self._insert_run(connection, info)
            self._insert_bins(connection, run, info)
            connection.exec_driver_sql(INSERT_OUTBOX, ("run", f"{run}", 0))
        self._run, self._seq, self._rows = run, 0, rows
        return run

    def resume(self, run: int) -> int:
        """Go on with a run that was interrupted; return its last touchdown's number."""
        self._rows = DeviceRows(self.info(run))
        last = select(func.max(schema.TOUCHDOWN.c.seq)).where(schema.TOUCHDOWN.c.run_id == run)
        with self._reading() as connection:
            self._run, self._seq = run, connection.execute(last).scalar() or 0
        return self._seq

    def refit(self, run: int, info: LotInfo) -> None:
        """Take down that a run goes on with other machines or other software; the plant is told again."""
        known = update(schema.RUN).where(schema.RUN.c.id == run).values(mir=msgspec.to_builtins(info))
        with self._writing(f"lot {info.lot}") as connection:
            connection.execute(known)
            connection.exec_driver_sql(INSERT_OUTBOX, ("run", f"{run}", 0))

    def commit(self, result: TouchdownResult) -> None:
        """Make one touchdown durable: one transaction, then read back and compared; else taken out again."""
        rows = self._begun()
        self._take_back()
        packed = [rows.pack(device) for device in result.devices]
        with self._writing(f"touchdown {result.seq}") as connection:
            bare = schema.bare(connection)
            place = (self._run, result.seq, result.started, result.ended)
            touchdown = bare.execute(INSERT_TOUCHDOWN, place).lastrowid or 0
            values = [(self._run, touchdown, HEAD, self._earlier(connection, row), *row) for row in packed]
            bare.executemany(INSERT_DEVICE, values)
            bare.execute(INSERT_OUTBOX, ("touchdown", f"{self._run}/{result.seq}", 0))
        try:
            self._read_back(touchdown, result.seq, packed)
        except StorageError:
            self._unsure = touchdown
            self._take_back()
            raise
        self._seq = result.seq

    def event(self, kind: str, text: str, at: float) -> None:
        """Record what stands in the datalog behind the last touchdown; `at` is unix time."""
        self._begun()
        values = {"run_id": self._run, "td_seq": self._seq, "t": at, "kind": kind, "body": {"text": text}}
        with self._writing(f"event {kind}") as connection:
            connection.execute(insert(schema.EVENT).values(values))

    def finish(self, ended: float, disposition: str = " ") -> None:
        """End the run, with the statistics of its tests; `ended` is unix time."""
        self._begun()
        rows = list(self._summary(self._run))
        values = {"t1": ended, "state": FINISHED, "disposition": disposition}
        with self._writing(f"end of run {self._run}") as connection:
            if rows:
                connection.execute(insert(schema.SUMMARY), rows)
            connection.execute(update(schema.RUN).where(schema.RUN.c.id == self._run).values(values))
            connection.exec_driver_sql(INSERT_OUTBOX, ("end", f"{self._run}", 0))
        self._rows = None

    def runs(self) -> tuple[RunState, ...]:
        """Return every run, oldest first."""
        columns = schema.RUN.c
        query = select(columns.id, columns.lot, columns.t1, columns.disposition).order_by(columns.id)
        with self._reading() as connection:
            return tuple(RunState(*row) for row in connection.execute(query))

    def state(self, run: int) -> RunState:
        """Return how a run ended, if it did."""
        found = next((state for state in self.runs() if state.run == run), None)
        if found is None:
            raise StorageError(f"{self.path}: there is no run {run}")
        return found

    def info(self, run: int) -> LotInfo:
        """Return what was known of a lot when it began."""
        with self._reading() as connection:
            found = connection.execute(select(schema.RUN.c.mir).where(schema.RUN.c.id == run)).scalar()
        if found is None:
            raise StorageError(f"{self.path}: there is no run {run}")
        return msgspec.convert(found, LotInfo)

    def touchdowns(self, run: int) -> Iterator[TouchdownResult]:
        """Yield the touchdowns of a run as they were committed; test times rounded to 1 ms."""
        rows, columns = DeviceRows(self.info(run)), schema.TOUCHDOWN.c
        query = select(columns.id, columns.seq, columns.t0, columns.t1).where(columns.run_id == run)
        with self._reading() as connection:
            for touchdown, seq, started, ended in connection.execute(query.order_by(columns.id)).fetchall():
                devices = _devices(connection, touchdown)
                yield TouchdownResult(seq, started, ended, tuple(map(rows.unpack, devices)))

    def devices(self, run: int) -> Iterator[DeviceRow]:
        """Yield the rows of a run's contacts, in order."""
        with self._reading() as connection:
            yield from map(DeviceRow._make, schema.rows(connection.exec_driver_sql(DEVICES, (run,))))

    def column(self, run: int, test: int) -> NDArray[np.float64]:
        """Return one test's value of each contact of a run, in order; NaN where there is none."""
        numbers = [definition.number for definition in self.info(run).tests]
        if test not in numbers:
            raise StorageError(f"{self.path}: run {run} has no test {test}")
        with self._reading() as connection:
            found = schema.rows(connection.exec_driver_sql(COLUMN, (1 + 8 * numbers.index(test), run)))
            return np.frombuffer(b"".join([value for (value,) in found]), "<f8")

    def contacts(self, run: int) -> Iterator[Contact]:
        """Yield the contacts of a run in order, without what was measured."""
        columns = schema.DEVICE.c
        query = select(columns.site, columns.part_id, columns.exec_no, columns.part_flg, columns.sbin)
        with self._reading() as connection:
            for row in connection.execute(query.where(columns.run_id == run).order_by(columns.id)):
                yield Contact(*row)

    def events(self, run: int) -> tuple[Event, ...]:
        """Return what happened between the touchdowns, in order."""
        columns = schema.EVENT.c
        query = select(columns.td_seq, columns.t, columns.kind, columns.body).where(columns.run_id == run)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(columns.id)).fetchall()
        return tuple(Event(after, at, kind, body["text"]) for after, at, kind, body in rows)

    def pending(self) -> tuple[tuple[int, str, str], ...]:
        """Return what was not told yet, oldest first: number, kind, reference."""
        columns = schema.OUTBOX.c
        query = select(columns.seq, columns.kind, columns.ref).where(columns.sent_at.is_(None))
        with self._reading() as connection:
            return tuple(
                (seq, kind, ref) for seq, kind, ref in connection.execute(query.order_by(columns.seq))
            )

    def rows(self, table: Table, **where: object) -> list[dict[str, object]]:
        """Return the rows of a table whose columns are as said, in order, for whoever copies them."""
        query = select(table).where(*(table.c[name] == value for name, value in where.items()))
        with self._reading() as connection:
            found = connection.execute(query.order_by(*table.primary_key.columns)).mappings()
            return [dict(row) for row in found]

    def prune(self, run: int) -> None:
        """Take the measurements of a finished run out; what was known of it stays, as state `archived`."""
        with self._writing(f"run {run}") as connection:
            for statement in schema.MEASURED_OF_RUN:
                connection.exec_driver_sql(statement, (run,))
            archived = update(schema.RUN).where(schema.RUN.c.id == run).values(state=ARCHIVED)
            connection.execute(archived)

    def forget(self, run: int) -> None:
        """Take a run out that was begun and did not come in whole, as if it had never been."""
        with self._writing(f"run {run}") as connection:
            for statement in (*schema.MEASURED_OF_RUN, *schema.KNOWN_OF_RUN):
                connection.exec_driver_sql(statement, (run,))
        self._rows = None

    def sent(self, number: int, at: float) -> None:
        """Note that everything up to an outbox number was told; `at` is unix time."""
        columns = schema.OUTBOX.c
        told = (
            update(schema.OUTBOX).where(columns.seq <= number, columns.sent_at.is_(None)).values(sent_at=at)
        )
        with self._writing(f"outbox up to {number}") as connection:
            connection.execute(told)

    def _summary(self, run: int) -> Iterator[dict[str, object]]:
        info = self.info(run)
        for (site, test), found in statistics(self.devices(run), info).items():
            valid = found.count > 0
            yield {
                "run_id": run,
                "site": site,
                "test": test,
                "n": found.count,
                "mean": found.mean,
                "m2": found.m2,
                "min": found.low if valid else None,
                "max": found.high if valid else None,
                "fail": found.failed,
            }

    def _insert_run(self, connection: Connection, info: LotInfo) -> int:
        tests = _kept(connection, schema.TEST_SET, test_set(info.tests))
        limits = _kept(connection, schema.LIMIT_SET, limit_set(info) | {"test_set_id": tests})
        identity = f"hardbin:{info.station}/{info.lot}/{info.sublot}/{info.flow}/{info.set_up!r}"
        values = {
            "uuid": str(uuid5(NAMESPACE_URL, identity)),
            "station": info.station,
            "lot": info.lot,
            "sublot": info.sublot,
            "part_typ": info.product,
            "test_cod": info.flow,
            "pass_no": 1 if info.second_pass is None else info.second_pass.number + 1,
            "sequence": info.sequence,
            "seq_rev": info.sequence_version,
            "fingerprint": info.fingerprint,
            "test_set_id": tests,
            "limit_set_id": limits,
            "t0": info.set_up,
            "state": RUNNING,
            "disposition": " ",
            "mir": msgspec.to_builtins(info),
        }
        return int(connection.execute(insert(schema.RUN).values(values)).lastrowid)

    @staticmethod
    def _insert_bins(connection: Connection, run: int, info: LotInfo) -> None:
        rows = [("soft", bin_.number, bin_.name, flags.PASS_FAIL[bin_.kind]) for bin_ in info.bins]
        for hard, kind in {bin_.hard: bin_.kind for bin_ in info.bins}.items():
            rows.append(("hard", hard, hard_bin_name(hard, info), flags.PASS_FAIL[kind]))
        connection.exec_driver_sql(INSERT_BIN, [(run, *row) for row in rows])

    def _begun(self) -> DeviceRows:
        if self._rows is None:
            raise StorageError(f"{self.path}: no lot has begun")
        return self._rows

    def _earlier(self, connection: Connection, row: DeviceRow) -> int | None:
        """Return the contact that this one supersedes."""
        if row.exec_no == 1:
            return None
        found = connection.exec_driver_sql(EARLIER, (self._run, row.part_id)).scalar()
        return None if found is None else int(found)

    def _read_back(self, touchdown: int, seq: int, written: list[DeviceRow]) -> None:
        """Read what was committed through another connection; it must be what was meant."""
        with self._guarded(f"touchdown {seq}"), self._checker.connect() as connection:
            found = _devices(connection, touchdown)
        if found != written:
            raise StorageError(f"{self.path}: touchdown {seq} does not read back as it was written")

    def _take_back(self) -> None:
        if self._unsure is not None:
            with self._writing("what did not read back") as connection:
                for statement in TAKE_BACK:
                    connection.exec_driver_sql(statement, (self._unsure,))
            self._unsure = None

    @contextmanager
    def _writing(self, what: str) -> Iterator[Connection]:
        """One transaction: all of it or nothing."""
        with self._guarded(what), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._guarded("read"), self._readers.connect() as connection:
            yield connection

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:  # of SQLAlchemy, or of a cursor itself
            said = str(error.orig if isinstance(error, DBAPIError) else error)
            reason = "it is stored already" if "UNIQUE constraint failed" in said else said
            raise StorageError(f"{self.path}: {what}: {reason}") from error

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, check_same_thread=False)
        for pragma in schema.PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _connect_reader(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        connection.execute(f"PRAGMA {schema.MMAP}")
        return connection


def _devices(connection: Connection, touchdown: int) -> list[DeviceRow]:
    return [DeviceRow(*row) for row in schema.bare(connection).execute(DEVICES_OF, (touchdown,))]


def _kept(connection: Connection, table: Table, values: dict[str, object]) -> int:
    """Return the number of a set that may be known already."""
    query = select(table.c.id).where(table.c.sha256 == values["sha256"])
    known = connection.execute(query).scalar()
    return int(connection.execute(insert(table).values(values)).lastrowid if known is None else known)
