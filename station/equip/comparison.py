"""A shipped dialogue, said to a machine: what it answers is compared with what is written."""

import asyncio
from dataclasses import dataclass, field

from drivers.errors import EquipmentError, Silent
from drivers.transports import Control, Conversation, Port, Stream, Trigger
from station.equip import talk
from station.equip.dialogue import Dialogue, Turn

ANSWER_S = 5.0
REQUEST_S = 30.0
SILENCE_S = 1.0


@dataclass(frozen=True)
class Difference:
    """One line that the machine does not keep."""

    line: int
    written: str
    met: str

    def __str__(self) -> str:
        return f"line {self.line}: written {self.written}, met {self.met}"


@dataclass
class Comparison:
    """One dialogue at one port."""

    port: Port | Stream
    dialogue: Dialogue
    differences: list[Difference] = field(default_factory=list)
    _heard: bytes = b""

    async def run(self) -> list[Difference]:
        """Say all that the station says; it ends at the first answer that does not come."""
        for turn in self.dialogue.turns:
            try:
                met = await self._met(turn)
            except EquipmentError as error:
                self.differences.append(Difference(turn.line, _written(turn), f"no answer: {error}"))
                break
            if met is not None:
                self.differences.append(Difference(turn.line, _written(turn), met))
        return self.differences

    async def _met(self, turn: Turn) -> str | None:
        match turn.kind:
            case "say":
                await talk.say(self.port, turn.data)
            case "hear":
                return await self._hears(turn)
            case "silence":
                return await self._keeps_silent()
            case "request":
                return await self._requests(turn)
            case "status":
                return _differs(turn.number, await talk.status(self.port))
            case "clear" if isinstance(self.port, Port):
                await talk.clear(self.port)
            case "trigger" | "control" if isinstance(self.port, Port):
                self._heard += await self.port.run(_step(turn))
        return None

    async def _hears(self, turn: Turn) -> str | None:
        while len(self._heard) < len(turn.data):
            self._heard += await talk.hear(self.port, timeout_s=ANSWER_S)
        size = len(turn.data) if isinstance(self.port, Stream) else len(self._heard)
        heard, self._heard = self._heard[:size], self._heard[size:]
        return None if heard == turn.data else repr(heard)

    async def _keeps_silent(self) -> str | None:
        try:
            return repr(await talk.hear(self.port, timeout_s=SILENCE_S))
        except Silent:
            return None

    async def _requests(self, turn: Turn) -> str | None:
        if isinstance(self.port, Stream):
            return "a line, which has no service requests"
        try:
            async with asyncio.timeout(REQUEST_S):
                return _differs(turn.number | 0x40, await self.port.service_request() | 0x40)
        except TimeoutError:
            return "no service request"


def _differs(written: int, met: int) -> str | None:
    return None if written == met else f"0x{met:02X}"


def _written(turn: Turn) -> str:
    return repr(turn.data) if turn.data else f"0x{turn.number:02X}" if turn.number else turn.kind


def _step(turn: Turn) -> Conversation[bytes]:
    if turn.kind == "trigger":
        yield Trigger()
        return b""
    data = turn.data
    fields = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:6], "big")
    reply = yield Control(data[0], data[1], *fields, data[6:], length=4096)
    return reply if isinstance(reply, bytes) else b""
