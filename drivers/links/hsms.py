"""One HSMS connection as its host: selecting, asking and being told, all at the same time.

SEMI E37 as commonly known: T3 reply, T6 control, T8 between the bytes of a frame.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from drivers.errors import DeviceLost, EquipmentError, ProtocolError, Silent
from drivers.protocols.hsms import REASONS, Frame, Frames, Kind, Message
from drivers.transports import Stream

_SELECTED = 0
"""Select.rsp; 1: somebody else is, 2: not ready, 3: too many."""

log = logging.getLogger(__name__)


class Timers(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Seconds."""

    t3: float = 45.0
    t6: float = 5.0
    t8: float = 5.0

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            if not 0 < (value := getattr(self, field)) <= 600:
                raise ValueError(f"{field} {value:g}: more than 0, at most 600 is allowed")


class HsmsLink:
    """The connection. What the equipment says unasked goes to `told`, with its system bytes, for a reply."""

    def __init__(
        self,
        name: str,
        stream: Stream,
        *,
        device: int,
        timers: Timers,
        told: Callable[[Message, int], Message | None],
    ) -> None:
        self.name = name
        self.strays = 0
        """How many replies came to no open question."""
        self._stream = stream
        self._device = device
        self._timers = timers
        self._told = told
        self._lost: Callable[[EquipmentError], None] = lambda error: None
        self._asked: dict[int, asyncio.Future[Frame]] = {}
        self._system = 0
        self._listener: asyncio.Task[None] | None = None
        self._frames = Frames()

    def on_loss(self, lost: Callable[[EquipmentError], None]) -> None:
        """Have the end of the connection told."""
        self._lost = lost

    async def open(self) -> None:
        """Connect and select; EquipmentError if the equipment does not want to be selected."""
        self._frames = Frames()
        await self._stream.open()
        self._listener = asyncio.get_running_loop().create_task(self._listening())
        answer = await self._exchanged(Frame(Kind.SELECT_REQ, self._next()), within_s=self._timers.t6)
        if answer.byte3 != _SELECTED:
            raise EquipmentError(f"{self.name}: selecting is refused with status {answer.byte3}")

    async def aclose(self) -> None:
        """Say that we leave, and close."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(EquipmentError):
                await self._stream.write(Frame(Kind.SEPARATE_REQ, self._next()).encode())
            listener.cancel()
            await asyncio.wait([listener])
        await self._stream.aclose()

    async def ask(self, message: Message) -> Message:
        """Send a message and return its reply; Silent after T3, ProtocolError for another or none at all."""
        frame = message.frame(self._device, self._next())
        reply = Message.of(await self._exchanged(frame, within_s=self._timers.t3))
        if (reply.stream, reply.function) != (message.stream, message.function + 1):
            raise ProtocolError(f"{self.name}: {message} was answered by {reply}")
        return reply

    async def test(self) -> None:
        """Have the equipment show that it is there; Silent after T6."""
        await self._exchanged(Frame(Kind.LINKTEST_REQ, self._next()), within_s=self._timers.t6)

    def _next(self) -> int:
        self._system = self._system + 1 & 0x7FFFFFFF
        return self._system

    async def _exchanged(self, frame: Frame, *, within_s: float) -> Frame:
        reply: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._asked[frame.system] = reply
        try:
            async with asyncio.timeout(within_s):
                await self._stream.write(frame.encode())
                return await reply
        except TimeoutError:
            what = str(Message.of(frame)) if frame.kind is Kind.DATA else frame.kind.name
            raise Silent(f"{self.name}: no reply to {what} within {within_s:g} s") from None
        finally:
            del self._asked[frame.system]

    # -- what comes
    async def _listening(self) -> None:
        try:
            while True:
                async with asyncio.timeout(self._timers.t8 if self._frames.partial else None):
                    data = await self._stream.receive()
                for frame in self._frames.feed(data):
                    await self._take(frame)
        except TimeoutError:
            self._end(ProtocolError(f"{self.name}: a frame stopped in the middle for {self._timers.t8:g} s"))
        except EquipmentError as error:
            self._end(error)
        except Exception as error:
            log.exception("%s: what it said ended the connection", self.name)
            self._end(EquipmentError(f"{self.name}: what it said ended the connection: {error!r}"))

    def _end(self, error: EquipmentError) -> None:
        for reply in self._asked.values():
            if not reply.done():
                reply.set_exception(error)
        self._lost(error)

    async def _take(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.DATA if frame.byte3 % 2:
                await self._tell(frame)
            case Kind.DATA | Kind.SELECT_RSP | Kind.LINKTEST_RSP | Kind.DESELECT_RSP:
                self._reply(frame)
            case Kind.LINKTEST_REQ:
                await self._stream.write(Frame(Kind.LINKTEST_RSP, frame.system).encode())
            case Kind.REJECT_REQ:
                self._rejected(frame)
            case Kind.SEPARATE_REQ | Kind.DESELECT_REQ:
                raise DeviceLost(f"{self.name}: the equipment has left the session")
            case Kind.SELECT_REQ:
                log.warning("%s: the equipment wants to select, which is ours to do", self.name)

    async def _tell(self, frame: Frame) -> None:
        message = Message.of(frame)
        answer = self._told(message, frame.system)
        if message.wait:
            none = Message(message.stream, 0)
            await self._stream.write((answer or none).frame(self._device, frame.system).encode())

    def _reply(self, frame: Frame) -> None:
        reply = self._asked.get(frame.system)
        if reply is None or reply.done():
            self.strays += 1
            log.warning("%s: a reply to no open question: %s", self.name, frame)
            return
        reply.set_result(frame)

    def _rejected(self, frame: Frame) -> None:
        reply = self._asked.get(frame.system)
        if reply is not None and not reply.done():
            why = REASONS.get(frame.byte3, f"reason {frame.byte3}")
            reply.set_exception(ProtocolError(f"{self.name}: the equipment rejects it: {why}"))
