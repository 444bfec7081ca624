"""One line out, one line back, whatever carries the lines: a stream or a port."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from drivers.errors import ProtocolError, Silent, TransportError
from drivers.links.messages import clear_after
from drivers.transports import Conversation, Port, Read, Stream, Write

MOST_STRAYS = 1000
"""Lines of others that are passed over in one exchange, before the line counts as mad."""

log = logging.getLogger(__name__)


def any_line(line: str) -> bool:
    """Take the first line that comes."""
    del line
    return True


class Wire(ABC):
    """Requests in order, one at a time, each with its deadline."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.strays = 0
        """How many lines came that nobody had asked for."""

    @property
    def broken(self) -> str:
        """Why requests and answers may be out of step; empty if they are not. Opening it anew heals it."""
        return ""

    @abstractmethod
    async def open(self) -> None:
        """Open it, anew if it was open."""

    @abstractmethod
    async def say(self, text: str) -> None:
        """Send a line that has no answer."""

    @abstractmethod
    async def ask(self, text: str, *, timeout_s: float, mine: Callable[[str], bool] = any_line) -> str:
        """Send a line and return the first one that is `mine`, without its end; Silent if none comes."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close it."""

    def _stray(self, line: str) -> None:
        self.strays += 1
        log.info("%s: unasked: %r", self.name, line)


def wire(port: Port | Stream, *, sends: bytes = b"\n", unended_s: float = 0.0) -> Wire:
    """Make the wire of a port; `sends` ends each line that is sent, `unended_s` as StreamWire has it."""
    if isinstance(port, Stream):
        return StreamWire(port, sends=sends, unended_s=unended_s)
    return PortWire(port, sends=sends)


class StreamWire(Wire):
    """Lines over TCP, which may come split, joined, late, and without an end.

    An exchange that was not finished leaves its answer on the way, and a line that was not said to its end
    leaves its half; from then on nothing is said until the connection was opened anew, since an answer has no
    mark by which it could be told from the next.
    """

    def __init__(self, stream: Stream, *, sends: bytes, unended_s: float) -> None:
        """`unended_s`: silence after which a line without an end is taken as whole; 0: never."""
        super().__init__(stream.name)
        self._stream = stream
        self._sends = sends
        self._unended_s = unended_s
        self._received = bytearray()
        self._turn = asyncio.Lock()
        self._opened = False
        self._broken = ""

    @property
    def broken(self) -> str:
        return self._broken

    async def open(self) -> None:
        if self._opened:
            await self.aclose()
        self._received.clear()
        await self._stream.open()
        self._opened, self._broken = True, ""

    async def say(self, text: str) -> None:
        async with self._turn:
            self._must_be_in_step()
            try:
                await self._send(text)
            except BaseException as error:  # half of it may be on the line, and the next would be its end
                self._broken = f"{text!r} ended in {type(error).__name__}"
                raise

    async def ask(self, text: str, *, timeout_s: float, mine: Callable[[str], bool] = any_line) -> str:
        async with self._turn:
            self._must_be_in_step()
            try:
                await self._drop_strays()
                await self._send(text)
                async with asyncio.timeout(timeout_s):
                    return await self._answer(mine)
            except TimeoutError:
                self._broken = f"no answer to {text!r} in {timeout_s:g} s"
                raise Silent(f"{self.name}: {self._broken}") from None
            except BaseException as error:
                self._broken = f"{text!r} ended in {type(error).__name__}"
                raise

    def _must_be_in_step(self) -> None:
        if self._broken:
            raise TransportError(f"{self.name}: out of step ({self._broken}), until it is opened anew")

    async def _send(self, text: str) -> None:
        await self._stream.write(text.encode("latin-1") + self._sends)

    async def _answer(self, mine: Callable[[str], bool]) -> str:
        for _ in range(MOST_STRAYS):
            if mine(line := await self._line()):
                return line
            self._stray(line)
        raise ProtocolError(f"{self.name}: {MOST_STRAYS} lines, and none is the answer")

    async def _line(self) -> str:
        while (at := self._received.find(b"\n")) < 0:
            try:
                async with asyncio.timeout(self._unended_s if self._received and self._unended_s else None):
                    self._received += await self._stream.receive()
            except TimeoutError:
                at = len(self._received)
                break
        line = bytes(self._received[:at])
        del self._received[: at + 1]
        return line.decode("latin-1").rstrip()

    async def _drop_strays(self) -> None:
        """What has come before a request is no answer to it."""
        self._received += await self._stream.discard()
        for line in bytes(self._received).splitlines():
            self._stray(line.decode("latin-1"))
        self._received.clear()

    async def aclose(self) -> None:
        self._opened = False
        await self._stream.aclose()


class PortWire(Wire):
    """Lines over a message bus; what is not answered is ended by a device clear."""

    def __init__(self, port: Port, *, sends: bytes) -> None:
        super().__init__(port.name)
        self._port = port
        self._sends = sends
        self._opened = False

    async def open(self) -> None:
        if not self._opened:
            await self._port.open()
        self._opened = True

    async def say(self, text: str) -> None:
        await self._port.run(self._said(text))

    async def ask(self, text: str, *, timeout_s: float, mine: Callable[[str], bool] = any_line) -> str:
        return await self._port.run(self._asked(text, timeout_s, mine))

    def _said(self, text: str) -> Conversation[None]:
        yield Write(text.encode("latin-1") + self._sends)

    def _asked(self, text: str, timeout_s: float, mine: Callable[[str], bool]) -> Conversation[str]:
        yield from self._said(text)
        for _ in range(MOST_STRAYS):
            try:
                reply = yield Read(timeout_s)
            except Silent as silence:
                yield from clear_after(silence)
                raise
            line = reply.decode("latin-1").rstrip() if isinstance(reply, bytes) else ""
            if mine(line):
                return line
            self._stray(line)
        raise ProtocolError(f"{self.name}: {MOST_STRAYS} lines, and none is the answer")

    async def aclose(self) -> None:
        self._opened = False
        await self._port.aclose()
