"""The desk put together: its persons, its actions, and its socket."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import grpc

from station.errors import ConfigError
from station.vault.desk import people
from station.vault.desk.actions import Actions
from station.vault.desk.calls import CALLS
from station.vault.desk.founders import Founder, enter
from station.vault.desk.log_rotation import LogRotation
from station.vault.desk.orders import Orders
from station.vault.desk.releases import Releases
from station.vault.desk.service import Desk
from station.vault.desk.signers import DEVELOPMENT, development
from station.vault.desk.statement import StatementError
from station.vault.journal import Journal
from station.vault.stops import Stops
from station.vault.teller import Teller
from station.vault.times import Times
from station.vault.wire import desk_pb2 as wire

SERVICE = "hardbin.vault.v1.Desk"


async def reception(
    journal: Journal,
    orders: Orders,
    stops: Stops,
    teller: Teller,
    times: Times,
    mode: str,
    founders: Sequence[Founder] = (),
) -> Desk:
    """Open the desk with its first persons; in development those whom anybody can sign for are there too."""
    await journal.commit(lambda db: enter(db, founders, teller, times.now(None)))
    if mode == "development":
        await journal.commit(lambda db: _enter_development(db, times.now(None)))
    await journal.commit(stops.load)
    await journal.commit(orders.products.load)
    handlers = (
        Actions(orders, stops, teller).handlers()
        | Releases(orders.products, teller).handlers()
        | LogRotation(teller, orders.place.origin, mode).handlers()
    )
    greeting = wire.GreetReply(vault=orders.place.vault, mode=mode, key_set=orders.place.key_set)
    return Desk(journal, handlers, teller, times, greeting, stops)


def serving_desk(desk: Desk, socket: Path) -> grpc.aio.Server:
    """A server for the desk's own socket, not yet started."""
    unary = grpc.unary_unary_rpc_method_handler
    handlers = {
        name: unary(desk.answering(action), wire.Call.FromString, wire.Answer.SerializeToString)
        for name, action in CALLS.items()
    }
    handlers["Greet"] = unary(desk.greet, wire.GreetRequest.FromString, wire.GreetReply.SerializeToString)
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", 1 << 20),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"unix:{socket.absolute()}")
    return server


def _enter_development(db: sqlite3.Connection, now: float) -> None:
    try:
        for person, roles in DEVELOPMENT.items():
            if people.known(db, person) is None:
                people.enter(db, development(person).card(), roles, now)
    except StatementError as error:
        raise ConfigError(f"the register of persons: {error}") from error
