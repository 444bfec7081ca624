"""Readers of codes that pretend to be a USB keyboard ("wedge").

USB HID 1.11, boot protocol of keyboards; keys by the HID Usage Tables, US layout. The station takes the
device from the operating system, so that what is read is typed into no window.
"""

import asyncio
from contextlib import suppress
from typing import Annotated

from msgspec import Meta, Struct

from drivers.errors import ProtocolError
from drivers.protocols.codes import Keyboard
from drivers.roles.idreader import IdReader
from drivers.roles.resource import Identity, Machine
from drivers.transports import Control, Conversation, Port

CLASS_OUT = 0x21
SET_PROTOCOL = 0x0B
BOOT = 0
FIRST = 0
"""The interface, where a reader has but one."""
QUIET_S = 0.3
MOST_WAITING = 20
"""A reader that has typed so many codes without a rest reads by itself, again and again."""


class KeyboardReaderOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of a reader."""

    read_s: Annotated[float, Meta(gt=0, le=60)] = 2.0
    """How long a code may take to come."""
    prefix: str = ""
    suffix: str = ""
    """What is around a code, and is taken away."""


class KeyboardReader(Machine, IdReader):
    """One reader. It cannot be triggered: the code that comes within the time is the one."""

    Options = KeyboardReaderOptions
    port = Port

    def __init__(self, name: str, port: Port, options: KeyboardReaderOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self._port = port
        self._options = options
        self._keyboard = Keyboard()
        self.dropped = 0
        """How many codes came before they were asked for, or with keys among them that no code has."""

    async def connect(self) -> None:
        """Take the device, and have it send plain reports."""
        self._keyboard = Keyboard()
        await self._port.open()
        await self._port.run(_plain())

    async def identify(self) -> Identity:
        """Name the kind: a reader does not tell."""
        return Identity(maker="", model="code reader that types")

    async def aclose(self) -> None:
        await self._port.aclose()

    async def read(self) -> str | None:
        await self._rest()
        self._keyboard = Keyboard()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.read_s):
                while True:
                    if (code := await self._code()) is not None:
                        return code
                    self.dropped += 1
        return None

    async def _rest(self) -> None:
        """Drop what is typed before anybody asks, until nothing is."""
        self._keyboard = Keyboard()
        with suppress(TimeoutError):
            for _ in range(MOST_WAITING):
                await self._typed(within_s=QUIET_S)
                self.dropped += 1
            raise ProtocolError(f"{self.name}: it types codes without a rest; set it to read once")

    async def _code(self) -> str | None:
        """Return what is typed next; None if it cannot be a code."""
        options = self._options
        typed = await self._typed(within_s=options.read_s)
        if typed is None or not (typed.startswith(options.prefix) and typed.endswith(options.suffix)):
            return None
        return typed.removeprefix(options.prefix).removesuffix(options.suffix) or None

    async def _typed(self, *, within_s: float) -> str | None:
        async with asyncio.timeout(within_s):
            while (typed := self._keyboard.feed(await self._report())) is None:
                pass
        return typed.code

    async def _report(self) -> bytes:
        interrupt = getattr(self._port, "interrupt", None)
        if interrupt is None:
            raise ProtocolError(f"{self.name}: a keyboard is a USB device, {self._port.name} is none")
        report: bytes = await interrupt()
        return report


def _plain() -> Conversation[None]:
    yield Control(CLASS_OUT, SET_PROTOCOL, BOOT, FIRST)
