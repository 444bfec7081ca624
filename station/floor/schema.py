"""The tables of the floor's database, the same in SQLite and PostgreSQL."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

STATION = Table(
    "floor_station",
    METADATA,
    Column("plant", Text, primary_key=True),
    Column("station", Text, primary_key=True),
    Column("epoch", Integer, nullable=False, default=0),
    Column("online", Boolean, nullable=False, default=False),
    Column("birth", JSON),
    Column("state", JSON),
    Column("state_epoch", Integer, nullable=False, default=0),
    Column("state_t", Text, nullable=False, default=""),
)
"""How each station stands; `epoch`: the start that `online` is of. `birth`, `state`: its messages."""

EVENT = Table(
    "floor_event",
    METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("plant", Text, nullable=False),
    Column("station", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("lot", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("kept_at", Float, nullable=False),
    UniqueConstraint("plant", "station", "event", "time"),
    Index("floor_event_type", "type", "time"),
    Index("floor_event_lot", "lot"),
)
"""Each CloudEvent once, by who told it and its id; `time`: the station's, `kept_at`: seconds since 1970."""

LOT = Table(
    "floor_lot",
    METADATA,
    Column("plant", Text, primary_key=True),
    Column("station", Text, primary_key=True),
    Column("lot", Text, primary_key=True),
    Column("product", Text),
    Column("sequence", Text),
    Column("fingerprint", Text),
    Column("quantity", Integer),
    Column("loaded", Text),
    Column("started", Text),
    Column("ended", Text),
    Column("outcome", Text),
    Column("tested", Integer),
    Column("good", Integer),
    Column("stdf_sha256", Text),
)
"""What the events of a lot add up to, in whichever order they come."""

COLLECTOR = Table(
    "floor_collector",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("connected", Boolean, nullable=False),
)
"""Collectors, and when each last said that it is there: seconds since 1970."""
