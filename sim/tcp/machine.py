"""A machine that listens on a TCP port: takes the bytes of each connection, sends whenever it likes."""

from abc import ABC, abstractmethod
from typing import Protocol

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults

TCP_KNOBS = frozenset({"chunk", "coalesce", "drop_tx", "rst"})
"""Faults of the connection itself; a model that allows them joins them to its own knobs."""
HELD_BACK_S = 0.05
"""How long `coalesce` keeps a piece back for the next one to join it."""
LAN_S = 0.0002


class Peer(Protocol):
    """The station's end of a connection."""

    def arrived(self, data: bytes) -> None:
        """One segment has come."""

    def reset(self) -> None:
        """The machine or its network is gone."""


class Connection:
    """One connection as the machine has it."""

    def __init__(self, machine: "TcpMachine", peer: Peer) -> None:
        self._machine = machine
        self._peer = peer
        self._held = b""
        self.open = True

    def send(self, data: bytes, *, after_s: float = 0.0) -> None:
        """Send `data` when `after_s` has passed, in one segment if no fault says otherwise."""
        self._machine.clock.call_later(after_s, self._send, data)

    def _send(self, data: bytes) -> None:
        faults = self._machine.faults
        if not self.open or faults.strikes("drop_tx") is not None:
            return
        if faults.strikes("rst") is not None:
            self.reset()
            return
        if faults.strikes("coalesce") is not None and not self._held:
            self._held = data
            self._machine.clock.call_later(HELD_BACK_S, self._flush)
            return
        self._held += data
        self._flush()

    def _flush(self) -> None:
        data, self._held = self._held, b""
        size = int(self._machine.faults.strikes("chunk") or 0) or len(data) or 1
        for number, at in enumerate(range(0, len(data), size), start=1):
            self._machine.clock.call_later(LAN_S * number, self._deliver, data[at : at + size])

    def _deliver(self, data: bytes) -> None:
        if self.open:
            self._peer.arrived(data)

    def reset(self) -> None:
        """Break the connection."""
        if self.open:
            self.open = False
            self._machine.left(self)
            self._peer.reset()

    # -- the station's side
    def take(self, data: bytes) -> None:
        """Bytes leave the station."""
        self._machine.clock.call_later(LAN_S, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        if self.open:
            self._machine.on_data(self, data)

    def closed(self) -> None:
        """The station has closed its end."""
        if self.open:
            self.open = False
            self._machine.left(self)


class TcpMachine(ABC):
    """A machine at one port of one host; any number of clients may be connected."""

    knobs: frozenset[str] = TCP_KNOBS
    """The names of the faults that this model knows."""

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        self.clock = clock
        self.faults = faults
        self.connections: list[Connection] = []
        self.gone = False
        """Nobody listens: connections are refused."""

    def connected(self, peer: Peer) -> Connection:
        """Take a client; a model may greet it."""
        connection = Connection(self, peer)
        self.connections.append(connection)
        return connection

    @abstractmethod
    def on_data(self, connection: Connection, data: bytes) -> None:
        """Take bytes of one client, in pieces that say nothing about messages."""

    def left(self, connection: Connection) -> None:
        """A client is gone."""
        self.connections.remove(connection)

    def unplug(self) -> None:
        """The machine loses power or its network."""
        self.gone = True
        for connection in tuple(self.connections):
            connection.reset()
