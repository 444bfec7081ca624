"""A station's remote side as a whole: memory, audit trail, and the agent that keeps it on the network."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from station import commands
from station.authority import REMOTE
from station.custody.journal import Journal
from station.engine.states import State
from station.remote.admission import RATE, Admission, Station
from station.remote.agent import Agent
from station.remote.control import LEASE_S, Control, Mode
from station.remote.herald import Herald
from station.remote.link import Broker
from station.remote.log_feed import fed
from station.remote.memory import Asked, Memory, Remembered
from station.remote.messages import Birth
from station.remote.outflow import Manner, Outflow
from station.remote.reception import Reception, Within
from station.remote.topics import Tree
from station.remote.trust import TrustedKey
from station.remote.view import View
from station.side_work import seen
from station.writer import Writer

GOES_S, LOOK_S = 5.0, 0.02
"""How long whoever goes waits for the broker, and how often it looks."""
CANCELLED_S = 1.0
"""A task that was told to end is told again after so long."""
AUDIT, MEMORY = "audit", "remote.db"


@dataclass(frozen=True)
class About:
    """What a station tells of itself at birth."""

    product: str
    sequence: str
    fingerprint: str
    sites: tuple[int, ...]
    schema: str


@dataclass(frozen=True)
class Settings:
    """How a station is on the network."""

    tree: Tree
    keys: Mapping[str, TrustedKey]
    folder: Path
    """Where audit trail and memory are; one station's own."""
    about: About
    mode: Mode = Mode.REMOTE
    lease_s: float = LEASE_S
    rate: float = RATE
    manner: Manner = Manner()


@dataclass(frozen=True)
class Inside:
    """The cell behind: where commands go, how it stands, what time it is there (seconds since 1970)."""

    request: Callable[[commands.Any], Awaitable[commands.Receipt]]
    state: Callable[[], State]
    now: Callable[[], float]
    doubt: Callable[[], str] = lambda: ""
    """Why that time is not believed; empty if it is."""


@dataclass(frozen=True)
class Presence:
    """What is there while the station is on the network."""

    agent: Agent
    herald: Herald
    control: Control
    epoch: int
    unsent: Callable[[], Awaitable[bool]]
    """Whether something waits in the outbox."""

    async def told(self) -> bool:
        """Whether all that happened was taken up and has left the outbox."""
        return not self.herald.busy and not await self.unsent()


@asynccontextmanager
async def present(settings: Settings, broker: Broker, inside: Inside) -> AsyncGenerator[Presence, None]:
    """Be on the network while the block lasts; StorageError if memory or audit trail cannot be opened."""
    writer, memory = Writer("remote"), Memory(settings.folder / MEMORY)
    audit = Journal(settings.folder / AUDIT)
    try:
        epoch = await writer.run(memory.open)
        await writer.run(audit.open)
        made = _made(settings, broker, inside, memory, writer, audit, epoch)
        await made.herald.catch_up()
        with fed(made.agent.log):
            running = asyncio.get_running_loop().create_task(made.agent.run())
            seen("presence on the network", running)
            try:
                yield made
            finally:
                await _ended(running)
    finally:
        await writer.run(memory.close)
        writer.close()
        audit.close()


async def _ended(running: "asyncio.Task[None]") -> None:
    """Cancel a task until it ends: a group of tasks forgets that it was, if one of them fails just then."""
    while not running.done():
        running.cancel()
        await asyncio.wait([running], timeout=CANCELLED_S)


@asynccontextmanager
async def present_until_told(
    settings: Settings, broker: Broker, inside: Inside
) -> AsyncGenerator[Presence, None]:
    """The same for whoever goes when his lot is over: what it had to tell has some seconds to get there."""
    async with present(settings, broker, inside) as presence:
        yield presence
        with suppress(TimeoutError):
            async with asyncio.timeout(GOES_S):
                while not await presence.told():  # noqa: ASYNC110 - the outbox is a file, and rings no bell
                    await asyncio.sleep(LOOK_S)


def _made(
    settings: Settings,
    broker: Broker,
    inside: Inside,
    memory: Memory,
    writer: Writer,
    audit: Journal,
    epoch: int,
) -> Presence:
    async def take(asked: Asked) -> Remembered:
        return await writer.run(memory.take, asked)

    tree = settings.tree
    herald = Herald(tree, memory, writer, View(settings.about.sites), inside.now)
    control = Control(settings.mode, inside.now, settings.lease_s)
    station = Station(
        tree,
        epoch,
        settings.keys,
        control,
        inside.state,
        inside.now,
        take,
        inside.doubt,
        rate=settings.rate,
    )
    within = Within(tree, memory, writer, audit, herald, control, inside.request, inside.state, inside.now)
    reception = Reception(within, Admission(station))
    outflow = Outflow(tree, memory, writer, settings.manner)
    agent = Agent(broker, within, reception, _birth(settings, epoch), outflow)

    async def unsent() -> bool:
        return bool(await writer.run(memory.waiting, 1))

    return Presence(agent, herald, control, epoch, unsent)


def _birth(settings: Settings, epoch: int) -> Birth:
    about = settings.about
    return Birth(
        epoch=epoch,
        t="",
        plant=settings.tree.plant,
        station=settings.tree.station,
        version=version("hardbin"),
        product=about.product,
        sequence=about.sequence,
        fingerprint=about.fingerprint,
        sites=about.sites,
        commands=tuple(sorted(REMOTE)),
        keys={kid: tuple(key.public) for kid, key in settings.keys.items()},
        schema=about.schema,
    )
