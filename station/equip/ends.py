"""What a bench of ports talks to: real libraries over cheap real ends, for our ports and without them."""

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from array import array
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any, TypeAlias, cast

import pyvisa
import serial
import usb.core
import usb.util
from pyvisa.resources import MessageBasedResource

from drivers.errors import ProtocolError
from drivers.transports import Conversation, Port, Read, Stream, Write
from drivers.transports.serial import SerialSettings, SerialStream
from drivers.transports.usb import UsbPort
from drivers.transports.visa import VisaLibrary, VisaPort
from station.equip.echo import ANSWER, LATER, QUESTION
from station.surroundings import usb_echoes

Ask: TypeAlias = Callable[[], Awaitable[None]]
Bare: TypeAlias = Callable[[], object]
BAUD = 115200
OUT, IN = 0x01, 0x82
"""The pipes of an echo."""


class Ends(ABC):
    """The far ends of one transport: `most` for our ports, and as many for the library alone."""

    def __init__(self, most: int) -> None:
        self.most = most

    @abstractmethod
    def our(self, number: int) -> Port | Stream:
        """Make the port to one end; it is not open yet."""

    @abstractmethod
    def bare(self, number: int, opened: ExitStack) -> Bare:
        """Open one end by the library alone; return its query."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Let go of what all its ports share."""


class EchoProcess:
    """The process at the far end of terminals and sockets."""

    def __init__(self, terminals: int) -> None:
        command = [sys.executable, "-P", "-m", "station.equip.echo", str(terminals)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        where = json.loads(cast("Any", self._process.stdout).readline())
        self.paths: list[str] = where["terminals"]
        self.port: int = where["port"]

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


class VisaEnds(Ends):
    """PyVISA with PyVISA-py, over sockets of this machine."""

    def __init__(self, most: int, echo: EchoProcess) -> None:
        super().__init__(most)
        self._resource = f"TCPIP0::127.0.0.1::{echo.port}::SOCKET"
        self._library = VisaLibrary("@py")

    def our(self, number: int) -> Port:
        return VisaPort(f"visa-{number}", self._resource, self._library)

    def bare(self, number: int, opened: ExitStack) -> Bare:
        ends = {"read_termination": "\n", "write_termination": "\n"}
        resource = pyvisa.ResourceManager("@py").open_resource(self._resource, **cast("Any", ends))
        opened.callback(resource.close)
        question = QUESTION.decode().strip()
        return lambda: cast("MessageBasedResource", resource).query(question)

    def close(self) -> None:
        self._library.close()


class SerialEnds(Ends):
    """pySerial, over pseudo-terminals."""

    def __init__(self, most: int, echo: EchoProcess) -> None:
        super().__init__(most)
        self._paths = echo.paths

    def our(self, number: int) -> Stream:
        return SerialStream(f"serial-{number}", self._paths[number], SerialSettings(baud=BAUD))

    def bare(self, number: int, opened: ExitStack) -> Bare:
        line = opened.enter_context(serial.Serial(self._paths[self.most + number], BAUD, timeout=2))

        def query() -> bytes:
            line.write(QUESTION)
            return line.read(len(ANSWER))

        return query


class UsbEnds(Ends):
    """PyUSB, over simulated devices in real time; ConfigError where no simulator is installed."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._backend: Any = usb_echoes(2 * most)

    def our(self, number: int) -> Port:
        return UsbPort(f"usb-{number}", *self._identity(number), backend=self._backend)

    def bare(self, number: int, opened: ExitStack) -> Bare:
        vendor, product, name = self._identity(self.most + number)
        device = usb.core.find(backend=self._backend, idVendor=vendor, idProduct=product, serial_number=name)
        device.set_configuration()
        opened.callback(usb.util.dispose_resources, device)
        question, buffer = array("B", QUESTION), array("B", bytes(512))

        def query() -> None:
            device.write(OUT, question, 1000)
            device.read(IN, buffer, 1000)

        return query

    def _identity(self, number: int) -> tuple[int, int, str]:
        return 0x1209, 0x0003, f"E{number + 1}"


# -- one query, a chain of ten, and what comes unasked, whatever the port
def _questions(count: int) -> Conversation[None]:
    for _ in range(count):
        yield Write(QUESTION, OUT)
        if (yield Read(endpoint=IN)) != ANSWER:
            raise ProtocolError("the echo answered something else")


async def _heard(stream: Stream, lines: int = 1) -> bytes:
    heard = b""
    while heard.count(b"\n") < lines:
        heard += await stream.receive()
    return heard


def asker(port: Port | Stream, count: int) -> Ask:
    """Return what asks the port `count` times, as a driver would: one conversation, or lines on a stream."""
    if isinstance(port, Port):
        return lambda: port.run(_questions(count))

    async def ask() -> None:
        for _ in range(count):
            await port.write(QUESTION)
            await _heard(port)

    return ask


async def unasked(port: Port | Stream) -> int:
    """Have the far end say something by itself; return the ns of the monotonic clock at which it did."""
    if isinstance(port, Stream):
        await port.write(LATER)
        return int((await _heard(port, lines=2)).split()[1])
    if not isinstance(port, UsbPort):
        raise TypeError(f"{port.name} tells nothing by itself")
    await port.run(_asking_for_more())
    return int(await port.interrupt())


def _asking_for_more() -> Conversation[None]:
    yield Write(LATER, OUT)
    yield Read(endpoint=IN)


@asynccontextmanager
async def opened(ends: Ends, count: int) -> AsyncGenerator[list[Port | Stream], None]:
    """Our ports to the first `count` ends."""
    ports = [ends.our(number) for number in range(count)]
    try:
        for port in ports:
            await port.open()
        yield ports
    finally:
        for port in ports:
            await port.aclose()
