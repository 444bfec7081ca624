"""The other end: a plant's system, or a person at a shell, who sends a station signed commands."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from station.errors import ConfigError
from station.remote.link import Link, LinkError, Message
from station.remote.messages import Birth, Body, Reply, State
from station.remote.topics import Tree
from station.vault.desk.statement import ED25519, ML_DSA_65, Signer, signed

T = TypeVar("T", bound=msgspec.Struct)

LIFE_S = 30.0
PEM_END = b"-----END PRIVATE KEY-----"


class NoAnswerError(Exception):
    """Nobody has answered in time: the station may have taken the command, or not."""


class ClientSigner:
    """One key of a client, with one algorithm."""

    def __init__(self, kid: str, key: ed25519.Ed25519PrivateKey | mldsa.MLDSA65PrivateKey) -> None:
        self.kid = kid
        self._key = key
        self.algorithm = ED25519 if isinstance(key, ed25519.Ed25519PrivateKey) else ML_DSA_65

    def sign(self, payload: bytes) -> bytes:
        """Sign the exact bytes."""
        return self._key.sign(payload)

    def public(self) -> bytes:
        """Return the public key, raw."""
        return self._key.public_key().public_bytes_raw()


def signers(path: Path, kid: str) -> Sequence[ClientSigner]:
    """Read the keys of a client: PEM, an Ed25519 key and, if it has one, an ML-DSA-65 key. ConfigError."""
    try:
        parts = path.read_bytes().split(PEM_END)[:-1]
        keys = [load_pem_private_key(part + PEM_END + b"\n", None) for part in parts]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: no private keys in PEM: {error}") from error
    made = [
        ClientSigner(kid, key)
        for key in keys
        if isinstance(key, ed25519.Ed25519PrivateKey | mldsa.MLDSA65PrivateKey)
    ]
    if len(made) != len(keys) or ED25519 not in {one.algorithm for one in made}:
        raise ConfigError(f"{path}: an Ed25519 key and, if wanted, an ML-DSA-65 key are needed, no other")
    return made


def new_id(now: float) -> str:
    """Return a UUID of version 7: it sorts by time."""
    value = int(now * 1000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 7 << 76
    return str(UUID(int=value & ~(3 << 62) | 2 << 62))


class Client:
    """One client at one station, on one connection."""

    def __init__(
        self, link: Link, tree: Tree, name: str, keys: Sequence[Signer], now: Callable[[], float]
    ) -> None:
        self._link, self._tree, self._name, self._keys, self._now = link, tree, name, keys, now
        self._seq = 0
        self.birth: Birth | None = None
        self.state: State | None = None
        self.lease = ""
        self._waiting: dict[bytes, asyncio.Future[Reply]] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Hear the station, for ever; LinkError when the connection is gone."""
        async with aclosing(_generator(self._link.messages())) as messages:
            async for message in messages:
                self._hear(message)

    async def join(self) -> None:
        """Ask for birth, state and replies, and wait for the birth."""
        tree = self._tree
        await self._link.subscribe(tree.rsp(self._name), tree.birth, tree.state)
        while self.birth is None:
            await self._change()

    async def until(self, wanted: Callable[[State], bool]) -> State:
        """Wait for a state of the station."""
        while self.state is None or not wanted(self.state):
            await self._change()
        return self.state

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _hear(self, message: Message) -> None:
        if message.topic == self._tree.birth:
            self.birth = _decoded(message, Birth)
        elif message.topic == self._tree.state:
            self.state = _decoded(message, State)
        elif (waiting := self._waiting.pop(message.correlation, None)) is not None and not waiting.done():
            waiting.set_result(_decoded(message, Reply))
        self._changed.set()

    def body(self, command: str, args: Mapping[str, Any], *, name: str = "", reason: str = "") -> Body:
        """Return what is to be signed for a command that is sent now."""
        if self.birth is None:
            raise LinkError("the station has not told its epoch yet")
        now = self._now()
        self._seq = max(self._seq + 1, int(now * 1_000_000))
        return Body(
            id=name or new_id(now),
            aud=self._tree.cmd(command),
            cmd=command,
            args=dict(args),
            epoch=self.birth.epoch,
            seq=self._seq,
            iat=now,
            exp=now + LIFE_S,
            lease=self.lease,
            reason=reason,
        )

    async def ask(
        self,
        command: str,
        args: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        reason: str = "",
        timeout_s: float = 30.0,
    ) -> Reply:
        """Send a command and return the reply; NoAnswerError if there is none in time.

        `name`: the id of a command that was sent before and got no answer; it has its effect once.
        """
        body = self.body(command, args or {}, name=name, reason=reason)
        reply = await self.send(signed(body, self._keys), command, timeout_s=timeout_s)
        if reply.ok and command == "control.acquire":
            self.lease = str(reply.detail.get("lease", ""))
        return reply

    async def send(self, envelope: bytes, command: str, *, timeout_s: float = 30.0) -> Reply:
        """Send the bytes of a signed command and return the reply; NoAnswerError."""
        correlation = os.urandom(16)
        waiting = self._waiting[correlation] = asyncio.get_running_loop().create_future()
        message = Message(
            self._tree.cmd(command),
            envelope,
            response_topic=self._tree.rsp(self._name),
            correlation=correlation,
            expiry_s=int(LIFE_S),
        )
        try:
            async with asyncio.timeout(timeout_s):
                await self._link.publish(message)
                reply: Reply = await waiting
                return reply
        except TimeoutError:
            raise NoAnswerError(f"{command}: no answer within {timeout_s:g} s") from None
        finally:
            self._waiting.pop(correlation, None)


def _decoded(message: Message, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(message.payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LinkError(f"{message.topic}: not a {kind.__name__}: {error}") from error


async def _generator(messages: AsyncIterator[Message]) -> Any:  # noqa: ANN401 - an async generator
    async for message in messages:
        yield message
