"""Who follows a run beside its terminal: an operator console, the network."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec import structs

from station import commands
from station.between import Between, between
from station.cli import console_offer, mqtt_offer
from station.clock import ClockWatch, RealClock
from station.config import StationConfig
from station.console import outlet
from station.door import Door
from station.io_thread import beside
from station.remote.control import Mode
from station.remote.presence import Inside, present_until_told
from station.remote.topics import tree
from station.run import Watch
from station.vault_watch import Tell

ONE_LOT = "lot.load: `hardbin run` has one lot; `hardbin serve` takes one after the other"
AS_IN_FILE = "mqtt.url"
FILE = click.Path(dir_okay=False, path_type=Path)
T = TypeVar("T")


@dataclass(frozen=True)
class Onlookers:
    """Where they are."""

    socket: Path | None = None
    url: str | None = None
    trusted: Path | None = None
    data: Path = Path("station-data")

    @property
    def attend(self) -> bool:
        """Whether somebody could release a hold: a person at a console, nobody on the network."""
        return self.socket is not None

    @contextmanager
    def following(
        self, config: StationConfig, journal: Path, lines: int, *, real: bool
    ) -> Iterator[tuple[Door, list[Watch], Tell | None]]:
        """Have them there while the block lasts; their commands come in by the door.

        `lines` of the journal are from before. The last is who keeps what the lot's vault tells for them.
        """
        door = Door(commands.Receipt(False, "wrong_state", ONE_LOT))
        watches: list[Watch] = []
        with ExitStack() as stack:
            notes = self._notes(stack, journal.parent, door)
            if self.socket is not None and notes is not None:
                self.socket.parent.mkdir(parents=True, exist_ok=True)
                told = console_offer.hello(config, more_lots=False, real=real)
                hello = structs.replace(told, notes=str(notes.path))
                inside = outlet.Inside(door.request, lambda: door.state)
                offer = partial(outlet.offered, self.socket, hello, inside)
                offered = stack.enter_context(beside("console", offer))
                watches.append(partial(offered.follow, journal, lines))
                notes.heard.append(offered.noted)
            if self.url is not None and notes is not None:
                presence = stack.enter_context(beside("remote", self._present(config, door, real=real)))
                root = tree(config.station.plant, config.station.name).root
                mode = presence.control.mode.value
                click.echo(f"hardbin: {root}, epoch {presence.epoch}, {mode}", err=True)
                watches.append(partial(presence.herald.follow, journal, lines))
                notes.heard.append(partial(presence.herald.noted, notes.path))
            yield door, watches, None if notes is None else notes.tell

    def _notes(self, stack: ExitStack, folder: Path, door: Door) -> Between | None:
        """Keep in the lot's folder what is said beside the lot, if there is anybody to tell."""
        if self.socket is None and self.url is None:
            return None
        door.between = stack.enter_context(beside("between", partial(between, folder, RealClock().unix)))
        return door.between

    def _present(self, config: StationConfig, door: Door, *, real: bool) -> Callable[[], Any]:
        url = None if self.url == AS_IN_FILE else self.url
        broker = mqtt_offer.broker(config, url, simulated=not real)
        settings = mqtt_offer.settings(config, self.trusted, self.data, Mode.REMOTE)
        now = RealClock().unix
        inside = Inside(door.request, lambda: door.state, now, ClockWatch(now).doubt)
        return partial(present_until_told, settings, broker, inside)


def options(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command `--console`, `--mqtt`, `--trust` and `--data`, as `onlookers`."""

    @console_offer.option
    @click.option(
        "--mqtt",
        "url",
        is_flag=False,
        flag_value=AS_IN_FILE,
        help="Be on the network: mqtts://HOST[:PORT], without a value as in the station file.",
    )
    @click.option("--trust", "trusted", type=FILE, help="Public keys that may command; else mqtt.trust.")
    @click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("station-data"),
        show_default=True,
        help="Of --mqtt: receipts, events that wait, audit trail.",
    )
    @wraps(command)
    def run(
        socket: Path | None,
        url: str | None,
        trusted: Path | None,
        data: Path,
        **rest: Any,  # noqa: ANN401 - what the command has besides
    ) -> T:
        return command(onlookers=Onlookers(socket, url, trusted, data), **rest)

    return run
