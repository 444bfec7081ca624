"""Card readers of a PC/SC service: the second way to a chip, where a reader is not the station's alone.

PC/SC as common knowledge. The service speaks T=1 by itself; of T=0 it leaves GET RESPONSE and the repeat with
the right length to the station.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from drivers.errors import DutError, InstrumentError
from drivers.links.ccid import seconds
from drivers.protocols import t0
from drivers.protocols.pcsc import IN, OTHERS, TEXTS, Answer, Ask, Status
from drivers.roles import Apdu, Card, CardReply, CardStep, Identity, Machine, Reset, ScriptReply, Stopped
from drivers.transports import Control, Conversation, Port, Read, Reply, Timestamp, Write, data_of
from drivers.transports.trace import muted


class PcscOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A station file says nothing more of a reader than its name, which is its port."""


class _ChipError(Exception):
    """The chip, not the reader, is the reason."""

    def __init__(self, status: int) -> None:
        super().__init__(TEXTS[Status(status)])
        self.silent = status in (Status.MUTE, Status.NOT_TRANSACTED)


class PcscReader(Machine, Card):
    """One reader with its one slot. A failed exchange leaves the chip alone until it is reset."""

    Options = PcscOptions
    port: ClassVar[type] = Port

    def __init__(self, name: str, port: Port, options: PcscOptions) -> None:
        super().__init__(name)
        del options
        self.channels = {"": self}
        self._port = port
        self._t1: bool | None = None
        """Which protocol was agreed on; None while the chip is not to be spoken to."""

    # -- the machine
    async def connect(self) -> None:
        """Reach the service, and take the power from the chip."""
        await self._port.open()
        await self.make_safe()

    async def identify(self) -> Identity:
        """Name the reader as the service does."""
        return Identity(maker="", model=self._port.name)

    async def aclose(self) -> None:
        await self._port.aclose()

    # -- the chip
    async def power_on(self) -> bytes:
        try:
            return await self._port.run(self._powered(Ask.POWER_ON))
        except _ChipError as error:
            raise DutError(f"{self.name}: {error}", silent=error.silent) from error

    async def power_off(self) -> None:
        await self._port.run(self._off())

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        """Do the steps in order in one hop; none of their bytes enter the trace."""
        with muted():
            return await self._port.run(self._script(tuple(script)))

    async def make_safe(self) -> None:
        await self._port.run(self._off())

    # -- conversations
    def _asked(self, ask: Ask) -> Conversation[bytes]:
        return _checked((yield Control(IN, ask)))

    def _powered(self, ask: Ask) -> Conversation[bytes]:
        self._t1 = None
        data = yield from self._asked(ask)
        if len(data) < 2:
            raise _ChipError(Status.MUTE)
        self._t1 = bool(data[0])
        return data[1:]

    def _off(self) -> Conversation[None]:
        self._t1 = None
        yield from self._asked(Ask.POWER_OFF)

    def _script(self, steps: Sequence[CardStep]) -> Conversation[ScriptReply]:
        replies = list[CardReply]()
        for step in steps:
            began = seconds((yield Timestamp()))
            try:
                answer = yield from self._done(step)
            except (_ChipError, t0.T0Error):
                self._t1 = None
                return ScriptReply(tuple(replies), Stopped.LINK)
            elapsed_s = seconds((yield Timestamp())) - began
            if elapsed_s > step.budget_s:
                self._t1 = None
                return ScriptReply(tuple(replies), Stopped.TIME)
            status = int.from_bytes(answer[-2:], "big")
            replies.append(CardReply(answer[:-2], status, elapsed_s))
            if isinstance(step, Apdu) and step.expect and status not in step.expect:
                return ScriptReply(tuple(replies), Stopped.STATUS_WORD)
        return ScriptReply(tuple(replies), Stopped.END)

    def _done(self, step: CardStep) -> Conversation[bytes]:
        match step:
            case Reset(cold):
                atr = yield from self._powered(Ask.RESET_COLD if cold else Ask.POWER_ON)
                return atr + b"\x90\x00"
            case Apdu(command):
                if self._t1 is None:
                    raise _ChipError(Status.UNPOWERED)
                answer = yield from self._moved(command) if self._t1 else self._by_characters(command)
                if len(answer) < 2:
                    raise _ChipError(Status.NOT_TRANSACTED)
                return answer

    def _by_characters(self, command: bytes) -> Conversation[bytes]:
        exchange = t0.transmit(command)
        try:
            tpdu = next(exchange)
            while True:
                tpdu = exchange.send((yield from self._moved(tpdu)))
        except StopIteration as end:
            result: bytes = end.value
            return result

    def _moved(self, command: bytes) -> Conversation[bytes]:
        yield Write(command)
        return _checked((yield Read()))


def _checked(reply: Reply) -> bytes:
    answer = Answer.decode(data_of(reply))
    if answer.status == Status.DONE:
        return answer.data
    if answer.status in TEXTS:
        raise _ChipError(answer.status)
    raise InstrumentError(answer.status, OTHERS.get(answer.status, f"PC/SC status {answer.status:#010x}"))
