"""Keysight InfiniiVision oscilloscopes: 1000 X, 2000 X, 3000 X, 4000 X and 6000 X series.

Ref: Keysight InfiniiVision 3000T X-Series Programmer's Guide; the other series have the same commands.
"""

import asyncio
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from drivers.errors import ProtocolError, Silent
from drivers.links.machine import PortMachine
from drivers.links.messages import insisting
from drivers.links.scpi import OFF_TIMEOUT_S, TIMEOUT_S, ScpiLink, parsed
from drivers.links.srq import events_of
from drivers.protocols.scpi import read_whole, write_number
from drivers.protocols.waveform import Preamble
from drivers.roles import Scope, Waveform
from drivers.transports import Conversation, Port

RUNNING = 0x08
RESET_S = 5.0
"""A reset of such an instrument takes seconds."""
NORMAL_POINTS = 1000
"""More samples than these are in the memory only, not on the screen."""
POLL_S = 0.02
DIVISIONS = 10
BYTES_PER_S = 500_000.0
"""The slowest way for samples: what a LAN or USB port carries at least."""


class KeysightInfiniiVisionOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of an InfiniiVision."""

    channels: Literal[2, 4] = 4
    samples: Literal["byte", "word"] = "byte"
    """Words have the digits that averaging or high resolution bring, and take twice the time."""
    points: Annotated[int, Meta(ge=100, le=8_000_000)] = 1000
    """How many samples of a record are fetched, at most."""
    min_gap_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0


class KeysightInfiniiVisionScope(Scope):
    """All channels with their one trigger."""

    def __init__(self, name: str, port: Port, link: ScpiLink, options: KeysightInfiniiVisionOptions) -> None:
        super().__init__(name)
        self._port = port
        self._link = link
        self._options = options
        self._record_s = 1e-3

    async def set_channel(
        self,
        channel: int,
        *,
        full_scale_v: float,
        offset_v: float = 0.0,
        coupling: Literal["dc", "ac"] = "dc",
        probe: float = 1.0,
    ) -> None:
        at = f":{self._named(channel)}"
        await self._port.run(
            self._link.exchange(
                f"{at}:DISP 1",
                f"{at}:PROB {write_number(probe)}",
                f"{at}:RANG {write_number(full_scale_v)}",
                f"{at}:OFFS {write_number(offset_v)}",
                f"{at}:COUP {coupling.upper()}",
            )
        )

    async def set_time(self, record_s: float, *, position_s: float = 0.0) -> None:
        await self._port.run(
            self._link.exchange(
                ":TIM:MODE MAIN",
                ":TIM:REF CENT",
                f":TIM:SCAL {write_number(record_s / DIVISIONS)}",
                f":TIM:POS {write_number(position_s)}",
            )
        )
        self._record_s = record_s

    async def set_trigger(
        self, channel: int, *, level_v: float, slope: Literal["rising", "falling"] = "rising"
    ) -> None:
        await self._port.run(
            self._link.exchange(
                ":TRIG:SWE NORM",
                f":TRIG:EDGE:SOUR {self._named(channel)}",
                f":TRIG:EDGE:LEV {write_number(level_v)}",
                f":TRIG:EDGE:SLOP {'POS' if slope == 'rising' else 'NEG'}",
            )
        )

    async def arm_single(self) -> None:
        await self._port.run(self._link.exchange(":SING"))

    async def wait_trigger(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s + self._record_s
        while await self._port.run(self._running()):
            if loop.time() >= deadline:
                await self._port.run(self._link.exchange(":STOP"))
                raise Silent(f"{self.name}: no trigger within {timeout_s:g} s")
            await asyncio.sleep(POLL_S)

    async def waveform(self, channel: int) -> Waveform:
        return await self._port.run(self._fetching(self._named(channel)))

    async def make_safe(self) -> None:
        await self._port.run(insisting(lambda: self._link.exchange(":STOP", timeout_s=OFF_TIMEOUT_S)))

    def _running(self) -> Conversation[bool]:
        """A scope that lost its power does not run either, and no trigger has come."""
        condition, events = yield from self._link.exchange(":OPER:COND?", "*ESR?")
        events_of(events, self.name)
        return bool(parsed(read_whole, ":OPER:COND?", condition) & RUNNING)

    def _fetching(self, source: str) -> Conversation[Waveform]:
        """The preamble first, since the samples mean nothing without it."""
        options = self._options
        text, events = yield from self._link.exchange(
            f":WAV:SOUR {source}",
            f":WAV:FORM {options.samples.upper()}",
            ":WAV:POIN:MODE NORM" if options.points <= NORMAL_POINTS else ":WAV:POIN:MODE RAW",
            f":WAV:POIN {options.points}",
            ":WAV:PRE?",
            "*ESR?",
            timeout_s=TIMEOUT_S,
        )
        events_of(events, self.name)
        preamble = parsed(Preamble.decode, ":WAV:PRE?", text)
        timeout_s = TIMEOUT_S + 2 * preamble.points / BYTES_PER_S
        block = yield from self._link.fetch_block(":WAV:DATA?", timeout_s=timeout_s)
        try:
            volts = preamble.volts(block)
        except ValueError as error:
            raise ProtocolError(f":WAV:DATA? brought {error}") from None
        return Waveform(preamble.start_s, preamble.x_increment_s, volts)

    def _named(self, channel: int) -> str:
        if not 1 <= channel <= self._options.channels:
            raise ValueError(f"channel {channel}: {self.name} has channels 1 to {self._options.channels}")
        return f"CHAN{channel}"


class KeysightInfiniiVision(PortMachine):
    """An InfiniiVision with its two or four channels; records come back as blocks of samples."""

    Options: ClassVar[type[KeysightInfiniiVisionOptions]] = KeysightInfiniiVisionOptions
    models = "(DSO|MSO|EDU)-?X ?[0-9]{4}"

    def __init__(self, name: str, port: Port, options: KeysightInfiniiVisionOptions) -> None:
        super().__init__(name, port, min_gap_s=options.min_gap_s)
        self._link = ScpiLink(options.min_gap_s)
        self.channels: dict[str, KeysightInfiniiVisionScope] = {
            "": KeysightInfiniiVisionScope(name, port, self._link, options)
        }

    def _setting_up(self) -> Conversation[None]:
        yield from self._link.exchange("*RST", "*CLS", timeout_s=RESET_S)
