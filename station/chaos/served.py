"""One lot through several lives of a station that serves, with somebody at its console."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.process import BaseProcess

from station import commands
from station.chaos.lives import Lives
from station.chaos.operator import Operator
from station.chaos.own_console import SOCKET
from station.chaos.page import Page
from station.chaos.troubles import AT_CONSOLE, Trouble


@dataclass
class ServedLives(Lives):
    """As `Lives`; the lot is asked for at the console, and taken up by the station itself."""

    devices: int = 1
    on_the_way: Sequence[Trouble] = ()
    """What becomes of commands."""
    page: Page | None = None
    """The console that somebody else looks at."""
    operator: Operator = field(init=False)

    def __post_init__(self) -> None:
        """One person for all lives."""
        load = commands.Load(id="", actor="chaos", source="console", lot=self.lot, quantity=self.devices)
        met = frozenset((one.name, one.number) for one in self.on_the_way if one.name in AT_CONSOLE)
        self.operator = Operator(self.out / SOCKET, load, self.found, met)
        if self.page is not None:
            self.operator.before_end = partial(self.page.looked_at, self.folder)

    def arguments(self) -> tuple[str, ...]:
        """The same for each life."""
        where = ("--console", str(self.out / SOCKET), "--out", str(self.out), "--data", str(self.out))
        return ("serve", *where, "--speed", "jump", "--json", *self.first)

    def attend(self, station: BaseProcess) -> None:
        """Have somebody at the console, and a lot only when the page is there, so that it can be lost."""
        if self.page is not None and not self.lived:
            self.page.opened(station.is_alive)
        self.operator.attend(station)
