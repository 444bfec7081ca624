"""A station's remote side on a bus within the process, its cell a double that counts what reaches it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from station import commands
from station.custody.journal import read
from station.engine.states import State
from station.remote.client import Client, ClientSigner
from station.remote.control import Mode
from station.remote.link import Broker, Link, LinkError, Message
from station.remote.local_bus import LocalBus
from station.remote.messages import CloudEvent, Reply
from station.remote.outflow import Manner
from station.remote.presence import AUDIT, About, Inside, Presence, Settings, present
from station.remote.topics import Tree
from station.remote.trust import TrustedKey

TREE = Tree("ahm1", "ws-07")
ABOUT = About("se1", "bench", "00", (1, 2), "schema")
NOW = 1_795_335_000.0


def keys(kid: str, *, both: bool = False) -> list[ClientSigner]:
    """Make a client's keys."""
    made = [ClientSigner(kid, ed25519.Ed25519PrivateKey.generate())]
    if both:
        made.append(ClientSigner(kid, mldsa.MLDSA65PrivateKey.generate()))
    return made


def trusted(signers: list[ClientSigner], *roles: str) -> TrustedKey:
    """Return their entry in the trust file."""
    public = {one.algorithm: one.public().hex() for one in signers}
    return TrustedKey(signers[0].kid, frozenset(roles), public["Ed25519"], public.get("ML-DSA-65", ""))


@dataclass
class Cell:
    """What is behind the door: it takes every command, and remembers it."""

    state: State = State.EMPTY
    taken: list[commands.Any] = field(default_factory=list)
    block: asyncio.Event | None = None
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self, command: commands.Any) -> commands.Receipt:
        """Take a command."""
        self.taken.append(command)
        self.seen.set()
        if self.block is not None:
            await self.block.wait()
        return commands.Receipt(True, "ok")


@dataclass
class Floor:
    """One station, its bus, and the keys of three clients."""

    folder: Path
    bus: Broker = field(default_factory=LocalBus)
    cell: Cell = field(default_factory=Cell)
    mode: Mode = Mode.REMOTE
    now: float = NOW
    gateway: list[ClientSigner] = field(default_factory=lambda: keys("mes-gw#1"))
    engineer: list[ClientSigner] = field(default_factory=lambda: keys("lab-pc#1", both=True))
    operator: list[ClientSigner] = field(default_factory=lambda: keys("bench-pc#1"))
    rate: float = 1e6
    tree: Tree = TREE
    collected: bool = False
    again_s: float = 30.0
    retain_maps: bool = False
    doubt: str = ""
    """Why its clock is not believed."""

    def clock(self) -> float:
        """What time it is."""
        return self.now

    @asynccontextmanager
    async def station(self) -> AsyncGenerator[Presence, None]:
        """Be on the bus; a second time it is a restart."""
        trust = [
            trusted(self.gateway, "host"),
            trusted(self.engineer, "engineer"),
            trusted(self.operator, "operator"),
        ]
        settings = Settings(
            self.tree,
            {key.kid: key for key in trust},
            self.folder,
            ABOUT,
            self.mode,
            rate=self.rate,
            manner=Manner(collected=self.collected, again_s=self.again_s, retain_maps=self.retain_maps),
        )
        inside = Inside(self.cell.request, lambda: self.cell.state, self.clock, lambda: self.doubt)
        async with asyncio.timeout(60), present(settings, self.bus, inside) as presence:
            await presence.agent.connected.wait()
            yield presence

    @asynccontextmanager
    async def client(self, signers: list[ClientSigner] | None = None) -> AsyncGenerator[Client, None]:
        """Join as a client, the gateway if none is named."""
        using = signers or self.gateway
        name = using[0].kid.partition("#")[0]
        async with self.bus.link(name) as link:
            client = Client(link, TREE, name, using, self.clock)
            hearing = asyncio.get_running_loop().create_task(client.run())
            try:
                await client.join()
                yield client
            finally:
                hearing.cancel()
                with suppress(asyncio.CancelledError, LinkError):
                    await hearing

    async def publish(self, message: Message) -> None:
        """Say something as somebody else."""
        async with self.bus.link("somebody") as link:
            await link.publish(message)

    def audited(self) -> list[Any]:
        """The audit trail, as it is on disk."""
        return list(read(self.folder / AUDIT))


class Ear:
    """Whoever listens to the station's events."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.heard: list[Message] = []

    async def until(self, wanted: Callable[[list[CloudEvent]], bool]) -> list[CloudEvent]:
        """Listen until the events are as wanted."""
        async for message in self._link.messages():
            self.heard.append(message)
            if wanted(found := self.events()):
                return found
        raise AssertionError

    def events(self) -> list[CloudEvent]:
        """The events so far."""
        return [
            msgspec.json.decode(message.payload, type=CloudEvent)
            for message in self.heard
            if "/evt/" in message.topic
        ]


@asynccontextmanager
async def listening(bus: Broker) -> AsyncGenerator[Ear, None]:
    """Hear all that the station says."""
    async with bus.link("ear") as link:
        parts = ("birth", "online", "state", "evt/+", "td", "rsp/+", "cmd/+")
        await link.subscribe(*(f"{TREE.root}/{part}" for part in parts))
        yield Ear(link)


def reply(code: str, answer: Reply) -> Reply:
    """Assert the code of a reply."""
    assert answer.code == code, answer
    return answer


def lot(name: str = "L1", quantity: int = 4) -> Mapping[str, Any]:
    """Arguments of `lot.load`."""
    return {"lot": name, "quantity": quantity}
