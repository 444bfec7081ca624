"""The registry of a plant: which vault and unit had a UID, a key or a serial number first.

One schema for SQLite and PostgreSQL. A claim is a row that is never changed and never deleted; its primary
key decides which of two vaults was first. Every call blocks, and is bounded by the deadline.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from sqlite3 import SQLITE_BUSY, OperationalError
from sqlite3 import Connection as SQLiteConnection
from threading import Event
from time import monotonic

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from station.vault.plant.uniqueness import Alarm, Answer, Claim, Holder, Kind, Member

METADATA = MetaData()
CLAIM = Table(
    "claim",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("value", LargeBinary, primary_key=True),
    Column("vault", String(64), nullable=False),
    Column("unit", String(128), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
ALARM = Table(
    "alarm",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("vault", String(64), nullable=False, index=True),
    Column("unit", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("other_vault", String(64), nullable=False),
    Column("other_unit", String(128), nullable=False),
    Column("seen", Boolean, nullable=False),
    UniqueConstraint("vault", "unit", "kind", "value", "other_vault", "other_unit"),
)
"""What the holder of a claim must learn: somebody else came with the same."""
VAULT = Table(
    "vault",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("mark", LargeBinary, nullable=False),
)
"""Each vault with a mark of its journal: two of one name would take each other's claims for theirs."""
POSTGRESQL, SQLITE = "postgresql", "sqlite"
AGAIN_S = 0.01
DDL_LOCK = 0x68_62_69_6E
"""PostgreSQL's advisory lock under which the tables are made."""


class SiteDownError(Exception):
    """The registry cannot be reached or does not answer; it is not known whether it took the claims."""


class NameTakenError(Exception):
    """A vault's name is not the one by which the registry knows it."""


class SiteRegistry:
    """The registry, for one thread at a time."""

    def __init__(self, url: URL, deadline_s: float) -> None:
        self._engine = _engine(url, deadline_s)
        self._insert = postgresql.insert if self._engine.dialect.name == POSTGRESQL else sqlite.insert
        self._made = False

    def claim(
        self, member: Member, claims: Collection[Claim], seen: Sequence[int] = (), at_ms: int = 0
    ) -> Answer:
        """Claim all, or none if it fails; the same by the same unit again is no change.

        `seen` are alarms that need not come again. SiteDownError, NameTakenError.
        """
        with self._transaction() as db:
            self._known(db, member)
            lost = tuple(self._claimed(db, member, sorted(claims), at_ms)) if claims else ()
            if seen:
                db.execute(update(ALARM).where(ALARM.c.id.in_(seen)).values(seen=True))
            return Answer(lost, _alarms(db, member))

    def count(self, member: Member) -> int:
        """How many claims a vault has here. SiteDownError."""
        query = select(func.count()).select_from(CLAIM).where(CLAIM.c.vault == member.name)
        with self._transaction() as db:
            return db.execute(query).scalar_one()

    def close(self) -> None:
        """Leave; what was claimed stays."""
        self._engine.dispose()

    def _known(self, db: Connection, member: Member) -> None:
        new = self._insert(VAULT).values(name=member.name, mark=member.mark).on_conflict_do_nothing()
        db.execute(new)
        mark = db.execute(select(VAULT.c.mark).where(VAULT.c.name == member.name)).scalar_one()
        if mark != member.mark:
            raise NameTakenError(f"the registry knows another vault as {member.name}")

    def _claimed(
        self, db: Connection, member: Member, claims: Sequence[Claim], at_ms: int
    ) -> Iterator[tuple[Claim, Holder]]:
        """Insert in one order, so that two vaults with the same claims wait and never block each other."""
        ours = {"vault": member.name, "at_ms": at_ms}
        rows = [{"kind": one.kind.value, "value": one.value, "unit": one.unit, **ours} for one in claims]
        insert = self._insert(CLAIM).on_conflict_do_nothing().returning(CLAIM.c.kind, CLAIM.c.value)
        new = {(kind, value) for kind, value in db.execute(insert, rows)}
        known = [one for one in claims if (one.kind.value, one.value) not in new]
        holders = _holders(db, known) if known else {}
        for one in known:
            holder = holders[one.kind.value, one.value]
            if holder != Holder(member.name, one.unit):
                self._alarm(db, one, holder, member)
                yield one, holder

    def _alarm(self, db: Connection, claim: Claim, holder: Holder, member: Member) -> None:
        values = {
            "vault": holder.vault,
            "unit": holder.unit,
            "kind": claim.kind.value,
            "value": claim.value,
            "other_vault": member.name,
            "other_unit": claim.unit,
            "seen": False,
        }
        db.execute(self._insert(ALARM).values(values).on_conflict_do_nothing())

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            if not self._made:
                _make(self._engine)
                self._made = True
            with self._engine.begin() as db:
                yield db
        except DBAPIError as error:
            # only the database's own words: they name neither values nor a password
            raise SiteDownError(" ".join(str(error.orig).split())) from None
        except PoolTimeoutError as error:
            raise SiteDownError("the last call is not over") from error


def _holders(db: Connection, claims: Iterable[Claim]) -> dict[tuple[str, bytes], Holder]:
    keys = tuple_(CLAIM.c.kind, CLAIM.c.value).in_([(one.kind.value, one.value) for one in claims])
    query = select(CLAIM.c.kind, CLAIM.c.value, CLAIM.c.vault, CLAIM.c.unit).where(keys)
    return {(kind, value): Holder(vault, unit) for kind, value, vault, unit in db.execute(query)}


def _alarms(db: Connection, member: Member) -> tuple[Alarm, ...]:
    c = ALARM.c
    query = select(c.id, c.kind, c.value, c.unit, c.other_vault, c.other_unit)
    rows = db.execute(query.where(c.vault == member.name, c.seen.is_(False)).order_by(c.id))
    return tuple(
        Alarm(number, Claim(Kind(kind), value, unit), Holder(other_vault, other_unit))
        for number, kind, value, unit, other_vault, other_unit in rows
    )


def _make(engine: Engine) -> None:
    """Make the tables that are missing; of several vaults that start at once, one after the other."""
    with engine.begin() as db:
        if engine.dialect.name == POSTGRESQL:
            db.execute(select(func.pg_advisory_xact_lock(DDL_LOCK)))
        METADATA.create_all(db)


def _engine(url: URL, deadline_s: float) -> Engine:
    if url.get_backend_name() == POSTGRESQL:
        milliseconds = round(deadline_s * 1000)
        bounds = (
            f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c synchronous_commit=on"
        )
        connecting: dict[str, object] = {
            "connect_timeout": max(2, round(deadline_s)),  # libpq knows no shorter one
            "tcp_user_timeout": milliseconds,
            "options": bounds,
            "application_name": "hardbin-vault",
        }
        url = url.set(drivername=f"{POSTGRESQL}+psycopg")
        return create_engine(
            url,
            connect_args=connecting,
            pool_size=1,
            max_overflow=0,
            pool_timeout=deadline_s,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    engine = create_engine(
        url, connect_args={"timeout": deadline_s}, pool_size=1, max_overflow=0, hide_parameters=True
    )
    event.listen(engine, "connect", partial(_durable, deadline_s))
    event.listen(engine, "begin", _immediate)
    return engine


def _durable(deadline_s: float, connection: SQLiteConnection, record: object) -> None:
    """SQLite: on disk before it is told, and transactions begin when we say so."""
    del record
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")
    deadline = monotonic() + deadline_s
    while not _writes_ahead(connection) and monotonic() < deadline:
        Event().wait(AGAIN_S)


def _writes_ahead(connection: SQLiteConnection) -> bool:
    """Whether the file has its log; of two that make it at once SQLite refuses one without any waiting."""
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    except OperationalError as error:
        if error.sqlite_errorcode != SQLITE_BUSY:
            raise
        return False
    return True


def _immediate(db: Connection) -> None:
    db.exec_driver_sql("BEGIN IMMEDIATE")
