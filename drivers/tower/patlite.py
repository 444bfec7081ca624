"""PATLITE signal towers on a network: LR5-LAN, LA6-POE, and others with PNS.

Ref: PATLITE LR5-LAN and LA6-POE sample programs.
"""

import asyncio
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from drivers.errors import DeviceLost, EquipmentError, Silent
from drivers.protocols.patlite import BLINK, LAMPS, OFF, ON, Letter, Model, Request, answered, lamps_of
from drivers.roles.resource import Identity, Machine
from drivers.roles.tower import Colour, Lamp, Tower
from drivers.transports import Stream

ANSWER_S = 2.0
STACK: tuple[Colour, ...] = ("red", "amber", "green", "blue", "white")


class PatliteOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of a tower."""

    model: Model = "lr5"
    stages: tuple[Colour, ...] = STACK
    """The colours of its lamps, from the first stage on."""
    prefix: Literal["AB", "XX"] = "AB"
    """XX on older towers."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.stages) <= LAMPS or len(set(self.stages)) != len(self.stages):
            raise ValueError(f"stages {list(self.stages)}: one to five colours, each once, are allowed")


class Patlite(Machine, Tower):
    """A tower. It is told everything at once, so a command may be said again after a lost connection."""

    Options = PatliteOptions
    port = Stream

    def __init__(self, name: str, port: Stream, options: PatliteOptions) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self.colours = frozenset(options.stages)
        self._stream = port
        self._options = options
        self._states: dict[Lamp, int] = {"off": OFF, "on": ON, "blink": BLINK[options.model]}
        self._turn = asyncio.Lock()
        self._owes = False
        """Whether an answer may still come that nobody waits for."""

    async def connect(self) -> None:
        """Open the connection, see that a tower answers, and take all lamps off."""
        await self._stream.open()
        await self.shown()
        await self._asked(Request("C"))

    async def identify(self) -> Identity:
        """Name what is configured: a tower does not tell."""
        return Identity(maker="PATLITE", model="LR5-LAN" if self._options.model == "lr5" else "LA6-POE")

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def show(self, lamps: Mapping[Colour, Lamp], *, buzzer: bool = False) -> None:
        if strange := lamps.keys() - self.colours:
            known = ", ".join(self._options.stages)
            raise EquipmentError(f"{self.name}: no lamp {', '.join(sorted(strange))}; there are: {known}")
        wanted = [self._states[lamps.get(colour, "off")] for colour in self._options.stages]
        data = bytes((*wanted, *[OFF] * (LAMPS - len(wanted)), ON if buzzer else OFF))
        await self._asked(Request("S", data))
        found = lamps_of(await self._asked(Request("G")))
        if found != data:
            raise EquipmentError(f"{self.name}: was told {data.hex(' ')} and shows {found.hex(' ')}")

    async def shown(self) -> Mapping[Colour, Lamp]:
        found = lamps_of(await self._asked(Request("G")))
        return {colour: _lamp(state) for colour, state in zip(self._options.stages, found, strict=False)}

    async def _asked(self, request: Request) -> bytes:
        async with self._turn:
            if self._owes:
                await self._reopen()
            try:
                return await self._answer(request)
            except DeviceLost:
                await self._reopen()
                return await self._answer(request)

    async def _reopen(self) -> None:
        """Answers do not say to what they belong; only a new connection brings none to an older one."""
        await self._stream.aclose()
        await self._stream.open()
        self._owes = False

    async def _answer(self, request: Request) -> bytes:
        await self._stream.discard()
        self._owes = True
        await self._stream.write(request.encode(self._options.prefix))
        heard = b""
        try:
            async with asyncio.timeout(ANSWER_S):
                while (answer := answered(request.letter, heard, self._options.model)) is None:
                    heard += await self._stream.receive()
        except TimeoutError:
            letter: Letter = request.letter
            raise Silent(f"{self.name}: no answer to command {letter} within {ANSWER_S:g} s") from None
        self._owes = False
        return answer


def _lamp(state: int) -> Lamp:
    return "off" if state == OFF else "on" if state == ON else "blink"
