"""What stations tell goes into the floor's database: each message with one effect, however often it comes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, Connection, Engine, Table, or_
from sqlalchemy.dialects import postgresql, sqlite

from station.floor import schema
from station.floor.database import working
from station.remote.messages import Birth, CloudEvent, Kept, Online, State
from station.remote.topics import ID, VERSION, Tree

PAYLOAD_MAX = 256 * 1024
LARGEST, DIGITS = 2**31 - 1, 18
Count: TypeAlias = Annotated[int, Meta(ge=0, le=LARGEST)]
Row: TypeAlias = dict[str, Any]
Insert: TypeAlias = postgresql.Insert | sqlite.Insert
KINDS: Mapping[str, type[Birth | Online | State | CloudEvent]] = {
    "birth": Birth,
    "online": Online,
    "state": State,
    "evt": CloudEvent,
}


@dataclass(frozen=True)
class Told:
    """One message of a station; `number` is that of an event in the station's outbox, if it waits there."""

    tree: Tree
    body: Birth | Online | State | CloudEvent
    kept: Kept | None = None
    lot: Row = field(default_factory=dict)
    """What an event tells of its lot."""


class Loaded(msgspec.Struct, frozen=True):
    """Data of `lot.loaded`."""

    product: str
    sequence: str
    fingerprint: str
    quantity: Count


class Completed(msgspec.Struct, frozen=True):
    """Data of `lot.completed`."""

    outcome: str
    tested: Count
    good: Count


class Closed(msgspec.Struct, frozen=True):
    """Data of `datalog.closed`."""

    sha256: str


def told(topic: str, payload: bytes, correlation: bytes) -> Told:
    """Read a message; ValueError says why it is none of a station."""
    parts = topic.split("/")
    if topic[: len(VERSION)] != VERSION or len(parts) < 5 or not all(map(ID.fullmatch, parts[2:4])):
        raise ValueError("no topic of a station")
    if len(payload) > PAYLOAD_MAX:
        raise ValueError(f"{len(payload)} bytes; at most {PAYLOAD_MAX} are taken")
    tree, kind = Tree(parts[2], parts[3]), KINDS.get(parts[4])
    if kind is None:
        raise ValueError("nothing that is collected")
    if b"\\u0000" in payload:
        raise ValueError("a NUL, which no database takes")
    try:
        body = msgspec.json.decode(payload, type=kind)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(body, CloudEvent) and body.epoch > LARGEST:
        raise ValueError(f"epoch {body.epoch}: up to {LARGEST} is meant")
    if isinstance(body, CloudEvent) and (body.source, tree.evt(body.type)) != (f"/{tree.root}", topic):
        raise ValueError(f"an event {body.type} of {body.source}")
    if not isinstance(body, CloudEvent):
        return Told(tree, body)
    numbered = correlation.isdigit() and len(correlation) <= DIGITS
    kept = Kept(int(correlation), sha256(payload).hexdigest()) if numbered else None
    return Told(tree, body, kept, _of_lot(body))


class Keeper:
    """Writes to the database; from one thread at a time."""

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine, self._now = engine, now
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def keep(self, found: Sequence[Told]) -> None:
        """Have these messages on disk when it returns; StorageError, and then none of them."""
        with working(self._engine) as connection:
            for one in found:
                match one.body:
                    case CloudEvent() as event:
                        self._event(connection, one.tree, event, one.lot)
                    case Birth() as birth:
                        self._station(connection, one.tree, {"birth": msgspec.to_builtins(birth)})
                    case Online() as online:
                        self._online(connection, one.tree, online)
                    case State() as state:
                        self._state(connection, one.tree, state)

    def there(self, name: str, *, connected: bool) -> None:
        """Note that a collector is there, and whether it has its broker."""
        row = {"name": name, "at": self._now(), "connected": connected}
        with working(self._engine) as connection:
            connection.execute(self._upsert(schema.COLLECTOR, row))

    # -- stations
    def _station(self, connection: Connection, tree: Tree, new: Row) -> None:
        connection.execute(self._upsert(schema.STATION, _named(tree) | new))

    def _online(self, connection: Connection, tree: Tree, online: Online) -> None:
        """The will of an earlier start says nothing of this one."""
        row = _named(tree) | {"epoch": online.epoch, "online": online.online}
        known = schema.STATION.c
        earlier = None if online.online else known.epoch <= online.epoch
        connection.execute(self._upsert(schema.STATION, row, where=earlier))

    def _state(self, connection: Connection, tree: Tree, state: State) -> None:
        """Of two collectors the slower one does not bring an old state back."""
        row = {"state": msgspec.to_builtins(state), "state_epoch": state.epoch, "state_t": state.t}
        known = schema.STATION.c
        newer = or_(known.state_epoch < state.epoch, known.state_t <= state.t)
        connection.execute(self._upsert(schema.STATION, _named(tree) | row, where=newer))

    # -- events
    def _event(self, connection: Connection, tree: Tree, event: CloudEvent, lot: Row) -> None:
        row = _named(tree) | {
            "event": event.id,
            "time": event.time,
            "type": event.type,
            "lot": event.subject,
            "data": event.data,
            "kept_at": self._now(),
        }
        connection.execute(self._insert(schema.EVENT).values(row).on_conflict_do_nothing())
        if lot:
            connection.execute(self._upsert(schema.LOT, _named(tree) | lot))

    def _upsert(self, table: Table, row: Row, where: ColumnElement[bool] | None = None) -> Insert:
        keys = [column.name for column in table.primary_key]
        new = {name: value for name, value in row.items() if name not in keys}
        statement = self._insert(table).values(row)
        return statement.on_conflict_do_update(index_elements=keys, set_=new, where=where)


def _named(tree: Tree) -> Row:
    return {"plant": tree.plant, "station": tree.station}


def _of_lot(event: CloudEvent) -> Row:
    """Return what an event tells of its lot: each type its own columns, so that order does not matter."""
    match event.type:
        case _ if not event.subject:
            return {}
        case "lot.loaded":
            new = {"loaded": event.time} | _data(event, Loaded)
        case "lot.started":
            new = {"started": event.time}
        case "lot.completed":
            new = {"ended": event.time} | _data(event, Completed)
        case "lot.aborted":
            new = {"ended": event.time, "outcome": "ABORTED"}
        case "datalog.closed":
            new = {"stdf_sha256": _data(event, Closed)["sha256"]}
        case _:
            return {}
    return {"lot": event.subject} | new


def _data(event: CloudEvent, kind: type[msgspec.Struct]) -> Row:
    row: Row = msgspec.to_builtins(msgspec.convert(event.data, kind))
    return row


def acknowledged(found: Iterable[Told]) -> Mapping[Tree, list[Kept]]:
    """Return by station what its outbox may forget when these are on disk."""
    kept: dict[Tree, list[Kept]] = {}
    for one in found:
        if one.kept is not None:
            kept.setdefault(one.tree, []).append(one.kept)
    return kept
