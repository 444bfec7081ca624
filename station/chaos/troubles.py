"""What goes wrong around a station, on purpose: its disk, its store, its clock, its vault and key store.

All begin at a record of the journal, so that a schedule that is played again meets them at the same place.
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from threading import Event, Timer
from typing import Any, NamedTuple

from station.chaos import own_console
from station.custody import journal
from station.custody.journal import Journal
from station.datalog.stdf import file
from station.datalog.store import Store
from station.engine.cell import Cell
from station.own_process import kill
from station.remote import own_broker

AT_CONSOLE = ("twice", "cut", "torn", "deaf", "late")
"""What happens to commands on their way: counted from 1 in the lot, not in a life of the station."""
DATABASE, LOST, DOUBLED = "database", "lost", "doubled"
ON_PLANT = ("broker", DATABASE, LOST, DOUBLED)
"""What is wrong on the floor: all but the broker the day after, counted in transactions and in messages."""
CONSOLE = "console"
"""The process of the page of a served lot, killed."""
PLANT, PAGE = "plant", "page"
"""The folders of what is on the floor, and of the console's process, beside the lot's."""
NAMES = ("vault", "keys", "full", "brim", "slow", "lock", "clock", *AT_CONSOLE, CONSOLE, *ON_PLANT)
SLOW_S = 0.1
"""How long a slow disk takes for one sync, of real time."""
NO_LIMIT = 1_073_741_823
"""Pages of an SQLite database."""
PATIENCE_MS = 500
"""How long the store waits for others here; more costs real time."""
GONE_S = 10.0
VAULT, KEY_STORE = b"station.vault\0", b"station.vault.keys\0"


class Trouble(NamedTuple):
    """One of them, in one life of the station.

    `brim` is a full disk on which what the journal holds back has no room either; writes end in their middle.
    `value`: for so many records the disk is full or slow, or there is no broker or console; for so many
    seconds another process has the store; by so many seconds the clock steps; so many messages are lost or
    doubled; whether the floor's database dies after a transaction, not before.
    """

    name: str
    number: int
    value: float = 0.0
    life: int = 1

    def __str__(self) -> str:
        value = f":{self.value:g}" if self.value else ""
        return f"{self.name}:{self.number}{value}" + (f"@{self.life}" if self.life > 1 else "")


def parsed(text: str) -> Trouble:
    """Read one as `str` writes it; ValueError says what is allowed."""
    body, _, life = text.partition("@")
    name, _, rest = body.partition(":")
    number, _, value = rest.partition(":")
    if name not in NAMES:
        raise ValueError(f"trouble {text!r}: write NAME:NUMBER[:VALUE][@LIFE]; names are {', '.join(NAMES)}")
    return Trouble(name, int(number), float(value or 0), int(life or 1))


class Troubled:
    """Brings them over this process. For one that was made for it: nothing is put back."""

    def __init__(self, troubles: Sequence[Trouble]) -> None:
        self._troubles = troubles
        self._records = 0
        self._full = self._brim = self._slow = False
        self._step = 0.0
        self._folder = Path()

    def arm(self) -> None:
        """Lie in wait."""
        setattr(Journal, "_append", self._counting(Journal._append))  # noqa: SLF001, B010
        for module in (journal, file):
            setattr(module, "os", _Disk(self._write, self._sync))  # noqa: B010 - a module has one
        setattr(Store, "_writing", self._limited(Store._writing))  # noqa: SLF001, B010
        setattr(Cell, "__init__", self._stepping(Cell.__init__))  # noqa: B010 - what was a method stays one

    def _counting(self, append: Callable[..., None]) -> Callable[..., None]:
        @wraps(append)
        def counted(written: Journal, entries: list[Any]) -> None:
            path: Path = written._path  # noqa: SLF001 - which lot it is
            if path.name == "journal":
                self._folder = path.parent
                for _ in entries:
                    self._records += 1
                    self._strike()
            append(written, entries)

        return counted

    def _strike(self) -> None:
        for trouble in self._troubles:
            if trouble.number == self._records:
                self._begin(trouble)
            elif trouble.number + trouble.value == self._records:
                self._end(trouble.name)

    def _begin(self, trouble: Trouble) -> None:
        match trouble.name:
            case "full":
                self._full = True
            case "brim":
                self._full = self._brim = True
            case "slow":
                self._slow = True
            case "clock":
                self._step += trouble.value
            case "lock":
                _locked(self._folder / "results.db", trouble.value)
            case "vault" | "keys":
                _killed(VAULT if trouble.name == "vault" else KEY_STORE, self._folder)
            case "broker":
                own_broker.killed(self._folder.parent / PLANT)
            case "console":
                own_console.killed(self._folder.parent / PAGE)
            case _:
                pass

    def _end(self, name: str) -> None:
        match name:
            case "full":
                self._full = False
            case "brim":
                self._full = self._brim = False
            case "slow":
                self._slow = False
            case "broker":
                own_broker.started(self._folder.parent / PLANT)
            case "console":
                own_console.started(self._folder.parent / PAGE)
            case _:
                pass

    # -- the disk
    def _write(self, written: int, data: bytes) -> int:
        path = Path(f"/proc/self/fd/{written}").readlink()
        spared = path.name == "journal" and not path.with_suffix(".reserve").exists() and not self._brim
        if not self._full or spared:
            return os.write(written, data)
        if self._brim and len(data) > 1:
            return os.write(written, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _sync(self, written: int) -> None:
        if self._slow:
            Event().wait(SLOW_S)
        os.fdatasync(written)

    def _limited(self, writing: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def limited(store: Store, what: str) -> Iterator[Any]:
            with writing(store, what) as connection:
                most = 1 if self._full else NO_LIMIT
                connection.exec_driver_sql(f"PRAGMA max_page_count = {most}").fetchall()
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {PATIENCE_MS}").fetchall()
                yield connection

        return limited

    # -- the clock
    def _stepping(self, made: Callable[..., None]) -> Callable[..., None]:
        @wraps(made)
        def stepping(cell: Cell[Any], plan: Any) -> None:  # noqa: ANN401 - whatever a cell is made of
            unix = plan.clock.unix
            plan.clock.unix = lambda: unix() + self._step
            made(cell, plan)

        return stepping


class _Disk:
    """The module `os`, on another disk."""

    def __init__(self, write: Callable[[int, bytes], int], fdatasync: Callable[[int], None]) -> None:
        self.write, self.fdatasync = write, fdatasync

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module has
        return getattr(os, name)


def _locked(path: Path, for_s: float) -> None:
    """Have the database written by somebody else, for so many seconds of real time."""
    if not path.exists():
        return
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=GONE_S)
    other.execute("BEGIN IMMEDIATE")
    release = Timer(for_s, other.close)
    release.daemon = True
    release.start()


def _killed(module: bytes, folder: Path) -> None:
    """Kill the process of a module that works for this lot, and wait until it is dead."""
    for found in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = found.read_bytes()
            if module in words and str(folder).encode() in words:
                kill(int(found.parent.name))
