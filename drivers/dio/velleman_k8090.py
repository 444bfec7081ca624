"""Velleman K8090: eight relays on a USB board that is a serial line.

As pymeasure reads the K8090 protocol manual. A switch that changes nothing is not answered, so the status is
asked for after each; a press on one of the board's buttons sends a status that nobody asked for.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from drivers.errors import EquipmentError, Silent
from drivers.protocols.k8090 import RELAYS, Code, Frame, Frames
from drivers.roles.dio import Dio, DioStep, Levels, Wait, unknown
from drivers.roles.resource import Identity, Machine
from drivers.transports import Stream
from drivers.transports.serial import SerialSettings

ANSWER_S = 1.0
SETTLE_S = 0.02
"""For how long the line must be quiet before a question: each change is told, before it is asked for."""
TRIES = 3
LINES = {str(number): 1 << number - 1 for number in RELAYS}

log = logging.getLogger(__name__)


class VellemanK8090Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a station file may say of the board."""

    resting_on: frozenset[int] = frozenset()
    """The relays that are on in the safe state."""

    def __post_init__(self) -> None:
        if strange := self.resting_on - set(RELAYS):
            raise ValueError(f"resting_on {sorted(strange)}: relays 1 to 8 are allowed")


class VellemanK8090(Machine, Dio):
    """The board: outputs "1" to "8", high when the relay is on. It has no inputs."""

    Options = VellemanK8090Options
    port = Stream
    line = SerialSettings(baud=19200, bits=8, parity="N", stop=1)

    def __init__(self, name: str, port: Stream, options: VellemanK8090Options) -> None:
        super().__init__(name)
        self.channels = {"": self}
        self._stream = port
        self.inputs = frozenset()
        self.outputs = frozenset(LINES)
        self.resting: Mapping[str, bool] = {line: int(line) in options.resting_on for line in LINES}
        self._frames = Frames()
        self._waiting: deque[Frame] = deque()
        self._version = ""
        self._turn = asyncio.Lock()

    # -- the machine
    async def connect(self) -> None:
        """Open the line, see that a K8090 answers, and bring the relays into their safe state."""
        self._frames = Frames()
        self._waiting.clear()
        await self._stream.open()
        version = await self._asked(Frame(Code.VERSION))
        self._version = f"{2000 + version.first} week {version.second}"
        await self.make_safe()

    async def identify(self) -> Identity:
        return Identity(maker="Velleman", model="K8090", firmware=self._version)

    async def aclose(self) -> None:
        await self._stream.aclose()

    # -- the relays
    async def read(self) -> Mapping[str, bool]:
        async with self._turn:
            return _shown(await self._asked(Frame(Code.ASK_STATUS)))

    async def play(self, steps: Sequence[DioStep]) -> None:
        lines = {line for step in steps if isinstance(step, Levels) for line in step.high}
        if (fault := unknown(self, lines, among=self.outputs, what="relay")) is not None:
            raise EquipmentError(f"{fault}: nothing was switched")
        async with self._turn:
            for step in steps:
                match step:
                    case Wait(seconds):
                        await asyncio.sleep(seconds)
                    case Levels(high):
                        await self._switched(high)

    async def _switched(self, high: Mapping[str, bool]) -> None:
        for code, wanted in ((Code.ON, True), (Code.OFF, False)):
            if mask := sum(LINES[line] for line, level in high.items() if level is wanted):
                await self._stream.write(Frame(code, mask).encode())
        now = _shown(await self._asked(Frame(Code.ASK_STATUS)))
        if wrong := [line for line, level in sorted(high.items()) if now[line] is not level]:
            raise EquipmentError(f"{self.name}: relay {', '.join(wrong)} does not follow")

    # -- frames
    async def _asked(self, question: Frame) -> Frame:
        """Ask until the answer comes, at most three times: asking switches nothing."""
        wanted = Code.STATUS if question.code == Code.ASK_STATUS else question.code
        await self._settled()
        for _ in range(TRIES):
            await self._stream.write(question.encode())
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S):
                    return await self._answer(wanted)
        raise Silent(f"{self.name}: no answer to {question.encode().hex(' ')} in {TRIES} tries")

    async def _settled(self) -> None:
        """Take what has come already: a status that is older than the question is no answer to it."""
        self._waiting.extend(self._frames.feed(await self._stream.until_quiet(SETTLE_S)))
        while self._waiting:
            self._passed(self._waiting.popleft())

    async def _answer(self, wanted: int) -> Frame:
        while (frame := await self._next()).code != wanted:
            self._passed(frame)
        return frame

    async def _next(self) -> Frame:
        while not self._waiting:
            self._waiting.extend(self._frames.feed(await self._stream.receive()))
        return self._waiting.popleft()

    def _passed(self, frame: Frame) -> None:
        """A change that was ordered, or somebody who pressed a button: what counts is asked for."""
        log.debug("%s: %s", self.name, frame)


def _shown(status: Frame) -> dict[str, bool]:
    return {line: bool(status.first & bit) for line, bit in LINES.items()}
