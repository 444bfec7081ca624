"""How the command line reaches a cell: over the socket that its station offers the console."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from secrets import token_hex
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
import msgspec

from drivers.errors import TransportError
from station import commands, events
from station.cli import listening, people_access
from station.cli.codes import ANSWERS, Exit
from station.cli.console import FLOOR
from station.cli.key_access import stop
from station.clock import RealClock
from station.console.engine_link import AwayError, EngineLink
from station.console.identity import Person
from station.console.picture import Picture
from station.engine.receipts import name_of

P = ParamSpec("P")
T = TypeVar("T")
SOURCE = "cli"
CONNECT_S = 5.0
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
REASON = click.option("--reason", required=True, help="Why; goes into the journal.")


class Watched(Picture):
    """What the console shows of a cell; says when it is whole, when it has changed, and what happens then."""

    def __init__(self) -> None:
        self.whole, self.changed = asyncio.Event(), asyncio.Event()
        self.since = deque[events.Any]()
        """What has happened since it was whole; whoever takes it from there has it."""
        self._loaded: events.LotLoaded | None = None
        self._furthest = 0
        """Line of the lot's journal up to which all was told: a lot may be told again from its beginning."""
        super().__init__(RealClock().unix, self.changed.set)

    @property
    def name(self) -> str:
        """Plant and station."""
        return "" if self.engine is None else f"{self.engine.plant}/{self.engine.station}"

    def happened(self, line: int, event: events.Any) -> None:
        """Take one event in."""
        if isinstance(event, events.LotLoaded) and event != self._loaded:
            self._loaded, self._furthest = event, 0
        if self.whole.is_set() and line > self._furthest:
            self.since.append(event)
        self._furthest = max(self._furthest, line)
        super().happened(line, event)

    async def coming(self) -> AsyncGenerator[events.Any, None]:
        """Yield what happens from when it was whole on; TransportError when the station is gone."""
        while True:
            self.changed.clear()
            while self.since:
                yield self.since.popleft()
            if not self.there:
                raise TransportError("the station is gone")
            await self.changed.wait()

    def stands(self, state: str) -> None:
        """The engine's greeting ends with this."""
        super().stands(state)
        self.whole.set()


@asynccontextmanager
async def _followed(engine: Path, wait_s: float) -> AsyncGenerator[tuple[EngineLink, Watched], None]:
    """Follow a cell inside the block; TransportError if no station is there."""
    watched = Watched()
    link = EngineLink(engine, watched)
    following = asyncio.create_task(link.run())
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await watched.whole.wait()
        if not watched.whole.is_set():
            raise TransportError(
                f"{engine}: no station answers there: `hardbin serve --console` and `run --console` offer it"
            )
        yield link, watched
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def _patience_s(engine: Path) -> float:
    """Nobody waits for a socket that is not there."""
    return CONNECT_S if engine.exists() else 0.0


def seen(engine: Path, look: Callable[[Watched], Awaitable[T]]) -> T:
    """Look at a cell for as long as `look` takes."""
    wait_s = _patience_s(engine)

    async def talk() -> T:
        async with _followed(engine, wait_s) as (_, watched):
            return await look(watched)

    return asyncio.run(talk())


@dataclass(frozen=True)
class Asker:
    """One or two persons who ask a cell for something."""

    engine: Path
    persons: tuple[Person, ...]
    key: str
    """Of the command, if it was asked before; empty: a new one."""
    as_json: bool

    @property
    def who(self) -> dict[str, Any]:
        """What every command says of whoever asks."""
        first, *others = self.persons
        if others:
            raise click.UsageError("--by twice: this takes one person")
        named = {"id": self.key or f"{SOURCE}:{token_hex(8)}", "source": SOURCE}
        return named | {"actor": first.id, "roles": first.roles}

    @property
    def both(self) -> dict[str, Any]:
        """The same of what may take two persons."""
        first, *others = self.persons
        who = replace(self, persons=(first,)).who
        return who | ({"second": others[0].id, "second_roles": others[0].roles} if others else {})

    def __call__(
        self, command: commands.Any, until: Callable[[Watched], Awaitable[int]] | None = None
    ) -> int:
        """Ask for one thing, print what became of it, and return its exit code.

        `until`: what is waited for then; its exit code counts.
        """
        wait_s = _patience_s(self.engine)

        async def talk() -> int:
            async with _followed(self.engine, wait_s) as (link, watched):
                receipt = await link.ask(command)
                code = self._told(command, receipt)
                return code if code or until is None else await until(watched)

        try:
            return asyncio.run(talk())
        except AwayError:
            raise TransportError(f"{self.engine}: the station is gone; ask again with --id") from None

    def _told(self, command: commands.Any, receipt: commands.Receipt) -> int:
        what = f"{name_of(command)}: {receipt.code}"
        code = Exit.OK if receipt.ok else ANSWERS.get(receipt.code, Exit.UNEXPECTED)
        if self.as_json:
            click.echo(msgspec.json.encode(receipt))
        elif receipt.ok:
            click.echo(what)
        else:
            stop(code, f"{what}: {receipt.reason}")
        return code


def asking(command: Callable[Concatenate[Asker, P], int]) -> Callable[..., int]:
    """Give a command the persons who ask, after they have shown who they are."""

    @wraps(command)
    def run(
        engine: Path,
        folder: Path,
        named: tuple[str, ...],
        roles: tuple[str, ...],
        files: tuple[Path, ...],
        fds: tuple[int, ...],
        key: str,
        as_json: bool,  # noqa: FBT001 - click gives it by its name
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> int:
        if len(named) > 2:  # noqa: PLR2004 - nothing takes three
            raise click.UsageError("--by: one person, or two")
        persons = _persons(folder, named, roles, people_access.pins(files, fds))
        return command(Asker(engine, persons, key, as_json), *args, **kwargs)

    for option in (
        JSON,
        click.option("--id", "key", default="", help="Of a command that got no answer: it is done once."),
        people_access.PIN_FDS,
        people_access.PIN_FILES,
        click.option(
            "--role", "roles", multiple=True, type=click.Choice(FLOOR), help="His, where nobody logs in."
        ),
        click.option("--by", "named", multiple=True, required=True, help="Who asks; twice for two persons."),
        listening.people,
        listening.engine,
    ):
        run = option(run)
    return run


def _persons(
    folder: Path, named: tuple[str, ...], roles: tuple[str, ...], pins: Iterator[str]
) -> tuple[Person, ...]:
    if roles and people_access.has_accounts(folder):
        raise click.UsageError(f"--role: the people of {folder} have their own; --by is a badge")
    return people_access.persons(folder, named, roles or FLOOR[:1], pins)
