"""One lot through several lives of its station: each a process of its own, killed or not, then the next."""

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from station.chaos.nursery import NURSERY
from station.chaos.points import Kill, armed
from station.chaos.troubles import Trouble, Troubled
from station.cli.codes import Exit
from station.engine.history import UNKNOWN, Seen
from station.errors import ConfigError, StorageError
from station.model import Whereabouts
from station.open_lot import history_in
from station.surroundings import WORLD, simulated_whereabouts
from station.vault.desk.roles import Role

Command = Callable[[Sequence[str]], int]
"""The `hardbin` command; returns its exit code."""
PERSON = ("--by", "chaos", "--reason", "looked into the sockets")
BOUND_S = 300
"""Seconds that a life may take, of real time."""
MOST = 6
"""So many lives a lot may take to end after the last kill."""


@dataclass(frozen=True)
class Life:
    """How one ended."""

    arguments: tuple[str, ...]
    code: int | None
    """None: it was killed."""
    said: str
    hung: bool = False
    """It was ended because it took too long."""


@dataclass
class Lives:
    """Plays one lot; its folder stays behind."""

    command: Command
    out: Path
    lot: str
    first: tuple[str, ...]
    """The arguments with which the lot begins, but for lot and folder."""
    again: tuple[str, ...] = ()
    """Those with which it is resumed: the station file."""
    lived: list[Life] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The lot's."""
        return self.out / self.lot

    def play(self, kills: Sequence[Kill], troubles: Sequence[Trouble] = ()) -> Life:
        """Begin the lot and kill it as often as asked, then let it live until it is closed; the last life."""
        life = Life((), None, "")
        for number, kill in enumerate((*kills, *(None,) * MOST), start=1):
            met = tuple(one for one in troubles if one.life == number)
            life = self.live(self.arguments(), kill, met)
            if life.hung or (life.code is not None and not self.open()):
                break
        return life

    def open(self) -> bool:
        """Whether the lot was begun and is not closed."""
        try:
            return bool(history_in(self.folder))
        except (ConfigError, StorageError):
            return False

    def arguments(self) -> tuple[str, ...]:
        where = ("--out", str(self.out), "--json")
        if not self.open():
            return ("run", "--lot", self.lot, *where, *self.first)
        return ("run", "--resume", self.lot, *where, *self.again, *self._person())

    def _person(self) -> tuple[str, ...]:
        """Somebody looks into the sockets where the station cannot know, and says what is there."""
        history = history_in(self.folder)
        if history.state not in UNKNOWN and not history.ordered:
            return ()
        found = [f"{site}={place.value.replace(' ', '-')}" for site, place in self.found().items()]
        return (*PERSON, *_seated(history.takes), *(word for place in found for word in ("--found", place)))

    def found(self) -> dict[int, Whereabouts]:
        """Look into the sockets: where each device is that was in contact, by site."""
        history = history_in(self.folder)
        there = simulated_whereabouts(self.folder / WORLD)
        return {seen.site: _place(seen, history.ordered, there) for seen in history.in_contact.values()}

    def live(self, arguments: tuple[str, ...], kill: Kill | None, troubles: Sequence[Trouble] = ()) -> Life:
        """Live once."""
        said = self.out / f"{self.lot}.said"
        station = NURSERY.Process(target=_lived, args=(self.command, arguments, kill, troubles, said))
        station.start()
        try:
            self.attend(station)
            station.join()
        except BaseException:
            station.kill()
            raise
        code = station.exitcode or 0
        hung = code == -signal.SIGALRM
        life = Life(arguments, None if code < 0 else code, said.read_text(), hung)
        self.lived.append(life)
        return life

    def attend(self, station: BaseProcess) -> None:
        """Be there while the station lives."""

    def forget(self) -> None:
        """Remove what it left."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.out / f"{self.lot}.said").unlink(missing_ok=True)


def _seated(takes: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """In which role he acts, and who with him, where what held the lot takes that."""
    if not takes or Role.TECHNICIAN in takes[0]:
        return ()
    return ("--by-role", takes[0][0], *(word for _ in takes[1:] for word in ("--second", "chaos-2")))


def _place(seen: Seen, ordered: Mapping[int, int], there: Mapping[int, int | None]) -> Whereabouts:
    hard = there.get(seen.part)
    if hard is None:
        return Whereabouts.SOCKET
    return Whereabouts.SORTED if hard == ordered.get(seen.part) else Whereabouts.ERROR_BIN


def _lived(
    command: Command, arguments: Sequence[str], kill: Kill | None, troubles: Sequence[Trouble], said: Path
) -> None:
    """In the child: run the command, all that it says into one file."""
    code = Exit.UNEXPECTED.value
    try:
        _speak_into(said)
        signal.alarm(BOUND_S)
        if troubles:
            Troubled(troubles).arm()
        if kill is not None:
            armed(kill)
        code = command(arguments)
    except BaseException:  # noqa: BLE001 - whatever it is, it ends this process only
        traceback.print_exc()
    finally:
        os._exit(code)  # as a process ends whose threads do not matter any more


def _speak_into(said: Path) -> None:
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = os.fdopen(nothing, "w"), os.fdopen(file, "w", buffering=1)
