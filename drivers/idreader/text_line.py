"""Readers of 1D and 2D codes that send lines of text, on a serial line or over TCP.

Common knowledge of the trade; what starts and stops a reading, and what "none" is called, differs by maker.
"""

import asyncio
from contextlib import suppress
from typing import Annotated

from msgspec import Meta, Struct

from drivers.protocols.codes import Lines
from drivers.roles.idreader import IdReader
from drivers.roles.resource import Identity, Machine
from drivers.transports import Stream
from drivers.transports.serial import SerialSettings

QUIET_S = 0.02


class TextLineOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of a reader."""

    trigger: str = ""
    """What starts a reading, as `LON\\r` (Keyence), `T\\r` or `+`; empty: it reads what comes by."""
    stop: str = ""
    """What ends one that found nothing, as `LOFF\\r`."""
    ends: str = "\r\n"
    prefix: str = ""
    suffix: str = ""
    """What is around a code, and is taken away."""
    no_read: tuple[str, ...] = ("ERROR", "NOREAD")
    """What it sends when it found none."""
    read_s: Annotated[float, Meta(gt=0, le=60)] = 2.0

    def __post_init__(self) -> None:
        if not self.ends:
            raise ValueError("ends is empty: a code needs an end")
        for field in ("trigger", "stop", "ends", "prefix", "suffix"):
            if not getattr(self, field).isascii():
                raise ValueError(f"{field} {getattr(self, field)!r}: only ASCII is allowed")


class TextLineReader(Machine, IdReader):
    """One reader. A code counts once for each trigger; what comes late or twice is dropped and counted."""

    Options = TextLineOptions
    port = Stream
    line = SerialSettings(baud=9600)

    def __init__(self, name: str, port: Stream, options: TextLineOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self._stream = port
        self._options = options
        self._lines = Lines(options.ends.encode("ascii"))
        self._turn = asyncio.Lock()
        self.dropped = 0
        """How many codes belonged to no trigger, or could not be read."""

    async def connect(self) -> None:
        """Open the line; a reader cannot be asked who it is."""
        self._lines.clear()
        await self._stream.open()

    async def identify(self) -> Identity:
        """Name the kind: a reader does not tell."""
        return Identity(maker="", model="code reader that sends lines")

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def read(self) -> str | None:
        async with self._turn:
            await self._emptied()
            if self._options.trigger:
                await self._stream.write(self._options.trigger.encode("ascii"))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.read_s):
                    return await self._code()
            if self._options.stop:
                await self._stream.write(self._options.stop.encode("ascii"))
            return None

    async def _code(self) -> str | None:
        """Return the first code, or None for the reader's word that there is none."""
        options = self._options
        while True:
            first, *others = self._lines.feed(await self._stream.receive()) or [b""]
            self.dropped += len(others)
            text = first.decode("ascii", "backslashreplace")
            if text in options.no_read:
                return None
            if (code := self._bare(text)) and first.isascii():
                return code
            self.dropped += bool(text)

    def _bare(self, text: str) -> str:
        """Return what is between prefix and suffix; nothing where they are not there."""
        prefix, suffix = self._options.prefix, self._options.suffix
        whole = text.startswith(prefix) and text.endswith(suffix)
        return text[len(prefix) : len(text) - len(suffix)] if whole else ""

    async def _emptied(self) -> None:
        """Drop what came before the trigger."""
        self.dropped += len(self._lines.feed(await self._stream.until_quiet(QUIET_S)))
        self._lines.clear()
