"""The engine's end of the console's socket: what happens goes out, commands come in.

Made and run on a real-time loop beside the station's; a console that lags is told to read the journal.
"""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from station import commands, events
from station.console import wire
from station.engine.bus import Subscription
from station.engine.states import State
from station.errors import BusyError, ConfigError, CustodyError

BEAT_S = 0.5
QUEUE = 10_000
"""Lines that wait for one console at most."""
CONSOLES = 8
ANSWER_S = 60.0
CLOSE_S = 2.0


@dataclass(frozen=True)
class Inside:
    """The cell behind: where commands go, and how it stands."""

    request: Callable[[commands.Any], Awaitable[commands.Receipt]]
    state: Callable[[], State]


class Outlet:
    """Tells every console of each event; `follow` runs on the station's loop, all else on the io loop."""

    def __init__(self, hello: wire.Hello, inside: Inside) -> None:
        self._hello, self._inside = hello, inside
        self._loop = asyncio.get_running_loop()
        self._pending: deque[wire.Lot | wire.Happened | wire.Noted] = deque()
        self._told = False
        self._lot: wire.Lot | None = None
        self._consoles = set[_Console]()
        self._serving = set[asyncio.Task[None]]()
        self._ended = False

    # -- on the station's loop
    async def follow(self, journal: Path, lines: int, happened: Subscription) -> None:
        """Hand over the events of a lot as they come; the path is an absolute one.

        `lines` of its journal are from before: a console reads them there.
        """
        number = lines
        self._queue(wire.Lot(journal=str(journal), lines=lines))
        async for event in happened:
            number += 1
            self._queue(wire.Happened(line=number + happened.lost, event=event))

    def noted(self, line: int, event: events.Any) -> None:
        """Hand over what was said between lots; of any thread."""
        self._queue(wire.Noted(line=line, event=event))

    def _queue(self, one: wire.Lot | wire.Happened | wire.Noted) -> None:
        self._pending.append(one)
        if not self._told:
            self._told = True
            with suppress(RuntimeError):  # no console is served any more: it is in the journal
                self._loop.call_soon_threadsafe(self._take_up)

    # -- on the io loop
    def _take_up(self) -> None:
        self._told = False
        while self._pending:
            one = self._pending.popleft()
            if isinstance(one, wire.Lot):
                self._lot = one
                self._tell(wire.line(self._lot))
            elif isinstance(one, wire.Noted):
                self._tell(wire.line(one))
            elif self._lot is not None:
                self._tell(wire.line(one))
                self._lot = msgspec.structs.replace(self._lot, lines=one.line)

    def _tell(self, data: bytes) -> None:
        for console in self._consoles:
            if not console.put(data):
                console.restart(self._greeting())

    def _greeting(self) -> bytes:
        beat = wire.line(wire.Beat(state=self._inside.state().value))
        return beat if self._lot is None else wire.line(self._lot) + beat

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one console until it is gone."""
        peer, task = writer.get_extra_info("socket"), asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            if len(self._consoles) < CONSOLES and wire.same_user(peer):
                await self._served(reader, writer)
        except asyncio.CancelledError:
            if not self._ended:
                raise
        finally:
            if self._ended:
                writer.transport.abort()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def aclose(self) -> None:
        """Tell the consoles what there is still to tell, and let them go."""
        self._take_up()
        for console in tuple(self._consoles):
            console.close()
        self._ended = True
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=CLOSE_S)
            for task in late:  # a command that has no answer, or a console that has stopped reading
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        console = _Console(writer)
        console.put(wire.line(self._hello))
        console.put(self._greeting())
        self._consoles.add(console)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in (console.write(), self._beat(console))]
                await self._hear(reader, console, group)
                for task in tasks:
                    task.cancel()
        except* (OSError, ValueError, msgspec.DecodeError):
            pass  # whoever speaks another language, or is gone, is not served any more
        finally:
            self._consoles.discard(console)

    async def _beat(self, console: "_Console") -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            console.put(wire.line(wire.Beat(state=self._inside.state().value)))

    async def _hear(
        self, reader: asyncio.StreamReader, console: "_Console", group: asyncio.TaskGroup
    ) -> None:
        async for asked in wire.from_console(reader):
            group.create_task(self._answer(asked, console))

    async def _answer(self, asked: wire.Ask, console: "_Console") -> None:
        receipt = await self._receipt(asked.command)
        console.answer(wire.line(wire.Answer(number=asked.number, receipt=receipt)))

    async def _receipt(self, command: commands.Any) -> commands.Receipt:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._inside.request(command)
        except TimeoutError:
            return commands.Receipt(False, "timeout", f"the cell has not taken it within {ANSWER_S:g} s")
        except CustodyError as error:
            return commands.Receipt(False, "integrity", str(error))


class _Console:
    """What waits for one console."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._waiting: list[bytes] = []
        self._answers: list[bytes] = []
        self._arrived = asyncio.Event()

    def put(self, data: bytes) -> bool:
        """Queue a line; False if too many wait already."""
        if len(self._waiting) >= QUEUE:
            return False
        self._waiting.append(data)
        self._arrived.set()
        return True

    def answer(self, data: bytes) -> None:
        """Queue an answer; none is lost."""
        self._answers.append(data)
        self._arrived.set()

    def restart(self, greeting: bytes) -> None:
        """Forget the events that wait: the journal has them."""
        self._waiting = [greeting]

    async def write(self) -> None:
        """Write what comes, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            self._write()
            await self._writer.drain()

    def close(self) -> None:
        """Write what waits and hang up."""
        self._write()
        self._writer.close()

    def _write(self) -> None:
        waiting, self._waiting, self._answers = self._waiting + self._answers, [], []
        self._writer.write(b"".join(waiting))


@asynccontextmanager
async def offered(path: Path, hello: wire.Hello, inside: Inside) -> AsyncGenerator[Outlet, None]:
    """Offer the socket while the block lasts; ConfigError if it cannot be, BusyError if another has it."""
    bound = _bound(path)
    outlet = Outlet(hello, inside)
    server = await asyncio.start_unix_server(outlet.serve, sock=bound, limit=wire.LINE_MAX)
    try:
        yield outlet
    finally:
        server.close()
        await outlet.aclose()
        _remove(path)


def _bound(path: Path) -> socket.socket:
    """Make the socket's file, ours alone; one that nobody serves any more goes."""
    name = wire.checked(str(path))
    if path.is_socket() and not _served(name):
        path.unlink()
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(name)
        path.chmod(0o600)  # before anybody can connect
    except OSError as error:
        bound.close()
        if path.is_socket():
            raise BusyError(f"{path}: another engine offers its console there") from error
        raise ConfigError(f"{path}: {error.strerror}") from error
    return bound


def _served(name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as other:
        return other.connect_ex(name) == 0


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
