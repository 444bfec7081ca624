"""Whoever stands at a served cell of a campaign: sees its state on the console's socket, does what it takes.

The station is another process, and may die at any moment.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec

from station import commands, events
from station.console import wire
from station.engine.states import State
from station.model import Whereabouts
from station.vault.desk.roles import Role

ROLES = frozenset({Role.OPERATOR, Role.TECHNICIAN})
HEADS = frozenset({Role.TECHNICIAN, Role.ENGINEER, Role.OFFICER})
"""Whoever lets a held lot go on here has every role that this may take, and so has the other one."""
AGAIN_S = 0.02
LATE_S = 0.3
"""Of real time, in which days of the cell's go by."""
SILENT_S = 5.0
MOST = 12
"""So many of his commands may be refused, and so often may the lot be held, before he gives a cell up."""
SAW = "looked into the sockets"
_HEARD: msgspec.json.Decoder[wire.FromEngine] = msgspec.json.Decoder(wire.FromEngine)


@dataclass
class Operator:
    """One person and one lot, whatever becomes of the station."""

    path: Path
    """Of the socket."""
    load: commands.Load
    look: Callable[[], dict[int, Whereabouts]]
    """Look into the sockets."""
    met: frozenset[tuple[str, int]] = frozenset()
    """What becomes of commands, counted from 1: one of `AT_CONSOLE`."""
    before_end: Callable[[Callable[[], bool]], None] = lambda alive: None
    """What there is to look at while the station still lives."""
    refused: int = 0
    held: int = 0
    _number: int = 0
    _waiting: bool = field(default=False, init=False)
    _deaf: list[socket.socket] = field(default_factory=list, init=False)
    """Lines to the station that nobody reads any more."""

    def attend(self, station: BaseProcess) -> None:
        """Do what the lot needs until it is closed, or past help, or the station is dead."""
        self.refused = self.held = 0
        try:
            self._attend(station)
        finally:
            while self._deaf:
                self._deaf.pop().close()

    def _attend(self, station: BaseProcess) -> None:
        while station.is_alive():
            try:
                with self._connected() as connected:
                    if self._served(connected):
                        self.before_end(station.is_alive)
                        station.terminate()
                        return
            except OSError:
                station.join(AGAIN_S)

    def _connected(self) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(SILENT_S)
        try:
            connected.connect(str(self.path))
        except OSError:
            connected.close()
            raise
        self._waiting = False
        return connected

    def _served(self, connected: socket.socket) -> bool:
        """Act on what the station says; whether there is nothing left to do for it."""
        for said in _lines(connected):
            match said:
                case wire.Answer(receipt=receipt):
                    self._waiting = False
                    self.refused += not receipt.ok
                    continue
                case wire.Beat(state=state):
                    pass
                case wire.Happened(event=events.StateChanged(new=state)):
                    self._waiting = False
                    self.held += State(state) is State.HELD
                case _:
                    continue
            if State(state) is State.CLOSED or max(self.refused, self.held) > MOST:
                return True
            if not self._waiting and (command := self._command(State(state))) is not None:
                self._say(connected, command)
        return False

    def _command(self, state: State) -> commands.Any | None:
        """What a cell in a state needs."""
        both: dict[str, Any] = {
            "reason": SAW,
            "source": "console",
            "second": "chaos-2",
            "second_roles": HEADS,
        }
        who: dict[str, Any] = {"id": f"chaos:{self._number + 1}", "actor": "chaos", "roles": ROLES}
        match state:
            case State.EMPTY:
                return msgspec.structs.replace(self.load, id=who["id"], roles=ROLES)
            case State.LOADED:
                return commands.Start(**who, source="console")
            case State.PAUSED:
                return commands.Resume(**who, source="console")
            case State.HELD if self.refused % 2:
                return commands.Abort(**who, reason=SAW, source="console")
            case State.HELD:
                return commands.Release(**who | both | {"roles": HEADS})
            case State.ABORTED:
                return commands.Recover(**who | both | {"roles": HEADS}, found=self.look())
            case _:
                return None

    def _say(self, connected: socket.socket, command: commands.Any) -> None:
        self._number += 1
        self._waiting = True
        asked = wire.line(wire.Ask(number=self._number, command=command))
        if self._meets("late"):
            threading.Event().wait(LATE_S)
        if self._meets("torn"):
            connected.sendall(asked[: len(asked) // 2])
            raise ConnectionAbortedError
        connected.sendall(asked * (1 + self._meets("twice")))
        if self._meets("deaf"):
            self._deaf.append(connected.dup())
            raise ConnectionAbortedError
        if self._meets("cut"):
            raise ConnectionAbortedError

    def _meets(self, name: str) -> bool:
        return (name, self._number) in self.met


def _lines(connected: socket.socket) -> Iterator[wire.FromEngine]:
    with connected.makefile("rb") as said:
        for one in said:
            yield _HEARD.decode(one)
