"""Bytes to and from one piece of equipment, and nothing else.

A verb of a driver is one *conversation*: a generator that yields steps and is sent their replies. It holds no
I/O, so the same generator runs on a port's thread in one hop, and against a dialogue file in a test.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Generator
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from msgspec import Struct

from drivers.errors import ProtocolError

T = TypeVar("T")
RESTS_S = 2.0
MOST_STRAY = 1 << 24
"""A line that has not come to rest after so many seconds, or bytes, babbles for ever."""


class Write(Struct, frozen=True):
    """Send one message or one bulk transfer; reply None."""

    data: bytes
    endpoint: int = 0
    """USB endpoint address; 0 where a port has only one way out."""


class Read(Struct, frozen=True):
    """Receive one message (to END or the termination) or one bulk transfer; reply bytes."""

    timeout_s: float = 2.0
    endpoint: int = 0
    size: int = 65536
    """The most that one transfer may bring; a longer message of a bus is read on to its end."""


class ReadStatus(Struct, frozen=True):
    """Serial poll; reply the status byte as int."""


class Trigger(Struct, frozen=True):
    """Group execute trigger; reply None."""


class Clear(Struct, frozen=True):
    """Device clear (bus), clear halt (USB); reply None."""


class Control(Struct, frozen=True):
    """USB control transfer; reply bytes."""

    request_type: int
    request: int
    value: int = 0
    index: int = 0
    data: bytes = b""
    length: int = 0
    """How many bytes to ask for when the direction bit says IN."""


class Pause(Struct, frozen=True):
    """Wait on the port's own clock before the next step: pacing that a machine asks for; reply None."""

    seconds: float


class Timestamp(Struct, frozen=True):
    """Ask the port's own clock, which is the loop's; reply seconds as float."""


Step: TypeAlias = Write | Read | ReadStatus | Trigger | Clear | Control | Pause | Timestamp
Reply: TypeAlias = bytes | int | float | None
Conversation: TypeAlias = Generator[Step, Reply, T]


def data_of(reply: Reply) -> bytes:
    """Return the bytes that a read or a control transfer brought; TypeError if it is anything else."""
    if not isinstance(reply, bytes):
        raise TypeError(f"a port answered {reply!r}")
    return reply


class Port(ABC):
    """A port that is asked (VISA session, USB device): one owner, conversations in order, one hop each.

    A step that fails raises the mapped TransportError or ProtocolError *inside* the conversation, which may
    handle it (a repeat, a resynchronisation) or let it go to the caller.
    """

    name: str
    """How people and messages call this port, for example `visa:GPIB0::7::INSTR`."""

    @abstractmethod
    async def open(self) -> None:
        """Open the port and learn what it can do."""

    @abstractmethod
    async def run(self, conversation: Conversation[T]) -> T:
        """Hold the conversation on the port and return its result; cancelling aborts the transfer first."""

    @abstractmethod
    async def service_request(self) -> int:
        """Wait for the equipment to ask for attention; return its status byte, each one once, in order."""

    @abstractmethod
    async def aclose(self) -> None:
        """End what runs and close, within 2 s whatever the far end does."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Stream(ABC):
    """A line whose other end may speak first (serial, TCP): driven by its file descriptor on the loop."""

    name: str

    @abstractmethod
    async def open(self) -> None:
        """Open the line."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send all of `data`."""

    @abstractmethod
    async def receive(self) -> bytes:
        """Return the next bytes that arrive, at least one; DeviceLost when the line is gone."""

    async def discard(self) -> bytes:
        """Take what has arrived already and return it, without waiting: before a question it is no answer."""
        return await self.until_quiet(0.0)

    async def until_quiet(self, quiet_s: float) -> bytes:
        """Take all until nothing has come for so long, and return it; ProtocolError if that never is."""
        taken, loop = bytearray(), asyncio.get_running_loop()
        end = loop.time() + RESTS_S
        while loop.time() <= end and len(taken) <= MOST_STRAY:
            try:
                async with asyncio.timeout(None if self._arriving() else quiet_s):
                    taken += await self.receive()
            except TimeoutError:
                return bytes(taken)
        raise ProtocolError(f"{self.name}: the line does not rest: {len(taken)} bytes that nobody asked for")

    def _arriving(self) -> bool:
        """Whether the system has something that the loop has not fetched yet."""
        return False

    @abstractmethod
    async def aclose(self) -> None:
        """Close the line."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
