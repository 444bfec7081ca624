"""Serial lines: a tty, or whatever else pySerial opens by URL, driven by its file descriptor on the loop."""

import asyncio
import select
import termios
from dataclasses import dataclass
from typing import Literal

import serial

from drivers.errors import DeviceLost, TransportError
from drivers.transports import Stream
from drivers.transports.trace import Trace

CHUNK = 4096


@dataclass(frozen=True)
class SerialSettings:
    """What both ends of a line must agree on."""

    baud: int = 9600
    bits: Literal[5, 6, 7, 8] = 8
    parity: Literal["N", "E", "O", "M", "S"] = "N"
    stop: float = 1
    xonxoff: bool = False
    rtscts: bool = False


class SerialStream(Stream):
    """One serial port. It has no thread: nothing blocks, so cancelling needs no more than letting go."""

    def __init__(self, name: str, url: str, settings: SerialSettings) -> None:
        self.name = name
        self._url = url
        self._settings = settings
        self._line: serial.SerialBase | None = None
        self._fd = -1
        self._received = bytearray()
        self._lost: str | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._takes: asyncio.Future[None] | None = None
        self._turn = asyncio.Lock()
        self._trace: Trace | None = None

    @property
    def trace(self) -> Trace:
        """What crossed the line lately, since it was opened last."""
        if self._trace is None:
            raise TransportError(f"{self.name} was never open")
        return self._trace

    async def open(self) -> None:
        """Open the line with its settings; what arrived before is not of this conversation and is dropped."""
        if self._line is not None:
            raise TransportError(f"{self.name} is open already")
        try:
            line = self._opened()
        except (OSError, ValueError, termios.error) as error:
            raise TransportError(f"{self.name}: cannot open {self._url}: {error}") from error
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(line.fileno(), self._take)
        except RuntimeError:  # a virtual loop watches no real line
            line.close()
            raise
        self._received.clear()
        self._lost = None
        self._line, self._fd = line, line.fileno()
        self._trace = Trace(loop.time)

    def _opened(self) -> serial.SerialBase:
        line = serial.serial_for_url(
            self._url,
            do_not_open=True,
            baudrate=self._settings.baud,
            bytesize=self._settings.bits,
            parity=self._settings.parity,
            stopbits=self._settings.stop,
            xonxoff=self._settings.xonxoff,
            rtscts=self._settings.rtscts,
            timeout=0,
            write_timeout=0,
        )
        line.exclusive = True
        line.open()
        return line

    async def write(self, data: bytes) -> None:
        """Hand all of `data` to the line, one writer at a time; it may still be on its way on return."""
        async with self._turn:
            self.trace.recorder().note(">", data)
            while data:
                line = self._working()
                if not _writable(self._fd):
                    await self._room()
                    continue
                try:
                    data = data[line.write(data) or 0 :]
                except OSError as error:
                    raise self._lose(error) from error

    async def receive(self) -> bytes:
        """Return all bytes that have arrived, at least one; what came before the line broke comes first."""
        while not self._received:
            self._working()
            if self._arrived is not None:
                raise TransportError(f"{self.name}: two readers at one line")
            self._arrived = asyncio.get_running_loop().create_future()
            try:
                await self._arrived
            finally:
                self._arrived = None
        data = bytes(self._received)
        self._received.clear()
        return data

    async def discard(self) -> bytes:
        self._working()
        self._take()
        data = bytes(self._received)
        self._received.clear()
        return data

    async def aclose(self) -> None:
        """Close the line; who waits for bytes, or for room, gets DeviceLost."""
        if self._line is None:
            return
        self._lose(None)
        line, self._line, self._fd = self._line, None, -1
        try:
            line.close()
        except (OSError, termios.error) as error:  # it is gone anyway
            self._lost = f"closed with {error}"

    def _take(self) -> None:
        if self._line is None:
            return
        try:
            data = self._line.read(CHUNK)
        except OSError as error:
            self._lose(error)
            return
        self._received += data
        if data:
            self.trace.keep("<", data, 0)
            self._wake()

    def _working(self) -> serial.SerialBase:
        if self._lost is not None:
            raise DeviceLost(f"{self.name}: {self._lost}")
        if self._line is None:
            raise TransportError(f"{self.name} is not open")
        return self._line

    def _lose(self, error: OSError | None) -> DeviceLost:
        loop = asyncio.get_running_loop()
        if self._lost is None:
            self._lost = f"the line is gone: {error}" if error else "closed"
            loop.remove_reader(self._fd)
            self._wake()
            self._turn_away(loop)
        return DeviceLost(f"{self.name}: {self._lost}")

    def _turn_away(self, loop: asyncio.AbstractEventLoop) -> None:
        takes, self._takes = self._takes, None
        if takes is not None:
            loop.remove_writer(self._fd)  # before another line may have this number
            if not takes.done():
                takes.set_exception(DeviceLost(f"{self.name}: {self._lost}"))

    def _wake(self) -> None:
        if self._arrived is not None:
            _settle(self._arrived)

    async def _room(self) -> None:
        loop, fd = asyncio.get_running_loop(), self._fd
        self._takes = takes = loop.create_future()
        loop.add_writer(fd, _settle, takes)
        try:
            await takes
        finally:
            if self._takes is takes:
                self._takes = None
                loop.remove_writer(fd)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _writable(fd: int) -> bool:
    """Ask first: pySerial's non-blocking write spins on a line that takes nothing."""
    asked = select.poll()
    asked.register(fd, select.POLLOUT)
    return bool(asked.poll(0))
