"""Card readers that a system service owns: PC/SC through pyscard, on a thread of their own.

pyscard is needed only where a station file names such a port: `pip install pyscard`. A transfer cannot be
interrupted; one that hangs past its grace makes the port lost.
"""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from drivers.errors import DeviceLost, EquipmentError, TransportError
from drivers.protocols.pcsc import Answer, Ask, Status
from drivers.transports import Control, Conversation, Pause, Port, Read, Reply, Step, Timestamp, Write
from drivers.transports.trace import Recorder, Trace
from drivers.transports.worker import Worker

T = TypeVar("T")

OPEN_S = 5.0
GRACE_S = 5.0
CLOSE_S = 2.0


class PcscPort(Port):
    """One reader, known by the name that the service gives it.

    Steps: `Control(0x80, Ask...)` and `Write` with `Read` after it; each answer begins with the status of the
    service, so that whoever speaks decides what it means.
    """

    def __init__(self, name: str, reader: str, *, library: Any = None) -> None:  # noqa: ANN401 - a module
        """Take the reader's name; `library` is by default the module `smartcard.scard`."""
        self.name = name
        self._reader = reader
        self._library = library
        self._worker: Worker | None = None
        self._card: _Card | None = None
        self._trace: Trace | None = None
        self._now: Callable[[], float] = lambda: 0.0

    @property
    def trace(self) -> Trace:
        """What crossed the port lately, since it was opened last."""
        if self._trace is None:
            raise TransportError(f"{self.name} was never open")
        return self._trace

    async def open(self) -> None:
        """Reach the service and see that the reader is there."""
        if self._worker is not None:
            raise TransportError(f"{self.name} is open already")
        worker = Worker(self.name, grace_s=GRACE_S)
        try:
            card = await worker.settle(_Card, self.name, self._reader, self._library, bound_s=OPEN_S)
        except BaseException:
            await worker.aclose()
            raise
        self._worker, self._card = worker, card
        self._now = asyncio.get_running_loop().time
        self._trace = Trace(self._now)

    async def run(self, conversation: Conversation[T]) -> T:
        """Hold the conversation in one hop."""
        if self._worker is None or self._card is None:
            raise TransportError(f"{self.name} is not open")
        return await self._worker.call(self._hold, self._card, conversation, self.trace.recorder())

    async def service_request(self) -> int:
        """Raise TransportError: a reader asks for no service."""
        raise TransportError(f"{self.name}: a card reader has no service requests")

    async def aclose(self) -> None:
        """Take the power from the chip and let go of the service."""
        worker, card = self._worker, self._card
        self._worker = self._card = None
        if worker is not None and card is not None:
            await worker.aclose(card.close, timeout_s=CLOSE_S)

    def _hold(self, card: "_Card", conversation: Conversation[T], recorder: Recorder) -> T:
        reply: Reply = None
        failed: EquipmentError | None = None
        while True:
            try:
                step = conversation.send(reply) if failed is None else conversation.throw(failed)
            except StopIteration as end:
                result: T = end.value
                return result
            reply, failed = None, None
            try:
                reply = self._done(card, step, recorder)
            except EquipmentError as error:
                failed = error

    def _done(self, card: "_Card", step: Step, recorder: Recorder) -> Reply:
        match step:
            case Timestamp():
                return self._now()
            case Pause(seconds) if self._worker is not None:
                self._worker.pause(seconds)
                return None
            case Write(data):
                recorder.note(">", data)
                card.send(data)
                return None
            case Read():
                answer = card.answer()
            case Control():
                recorder.note(">control", bytes((step.request_type, step.request, 0, 0, 0, 0)))
                answer = card.asked(Ask(step.request))
            case _:
                raise TransportError(f"{self.name}: PC/SC has no {type(step).__name__}")
        recorder.note("<", answer)
        return answer


class _Card:
    """The reader's card, on the port's thread."""

    def __init__(self, name: str, reader: str, library: Any) -> None:  # noqa: ANN401 - a module
        self._name = name
        self._reader = reader
        self._scard = library if library is not None else _pyscard(name)
        self._handle: Any = None
        self._protocol = 0
        self._answer = Answer(Status.UNPOWERED)
        scard = self._scard
        code, self._context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        if code & 0xFFFFFFFF:
            raise TransportError(
                f"{name}: no PC/SC service answers ({code & 0xFFFFFFFF:#010x}); does pcscd run?"
            )
        try:
            self._must_be_there()
        except BaseException:
            self.close()  # the service has only so many contexts
            raise

    def _must_be_there(self) -> None:
        _, readers = self._scard.SCardListReaders(self._context, [])
        if self._reader not in readers:
            known = ", ".join(map(repr, readers)) or "none"
            raise TransportError(f"{self._name}: no reader {self._reader!r}; there are: {known}")

    def send(self, command: bytes) -> None:
        """Send a command to the chip."""
        scard = self._scard
        if self._handle is None:
            self._answer = Answer(Status.UNPOWERED)
            return
        pci = scard.SCARD_PCI_T0 if self._protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1
        code, answer = scard.SCardTransmit(self._handle, pci, list(command))
        self._answer = Answer(code & 0xFFFFFFFF, bytes(answer))

    def answer(self) -> bytes:
        """Return the answer to the last command."""
        return self._answer.encode()

    def asked(self, ask: Ask) -> bytes:
        """Do what is no command to the chip."""
        match ask:
            case Ask.POWER_ON:
                return self._powered(self._scard.SCARD_RESET_CARD).encode()
            case Ask.RESET_COLD:
                return self._powered(self._scard.SCARD_UNPOWER_CARD).encode()
            case Ask.POWER_OFF:
                return Answer(self._off()).encode()

    def _powered(self, how: int) -> Answer:
        scard = self._scard
        both = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        if self._handle is None:
            code, handle, protocol = scard.SCardConnect(
                self._context, self._reader, scard.SCARD_SHARE_EXCLUSIVE, both
            )
            self._handle = None if code & 0xFFFFFFFF else handle
        else:
            code, protocol = scard.SCardReconnect(self._handle, scard.SCARD_SHARE_EXCLUSIVE, both, how)
        if code & 0xFFFFFFFF:
            self._off()
            return Answer(code & 0xFFFFFFFF)
        self._protocol = protocol
        code, _, _, _, atr = scard.SCardStatus(self._handle)
        t1 = protocol == scard.SCARD_PROTOCOL_T1
        return Answer(code & 0xFFFFFFFF, bytes((int(t1), *atr)))

    def _off(self) -> int:
        handle, self._handle = self._handle, None
        if handle is None:
            return Status.DONE
        code: int = self._scard.SCardDisconnect(handle, self._scard.SCARD_UNPOWER_CARD)
        return code & 0xFFFFFFFF

    def close(self) -> None:
        """Let go of chip and service."""
        self._off()
        self._scard.SCardReleaseContext(self._context)


def _pyscard(name: str) -> Any:  # noqa: ANN401 - a module
    try:
        return import_module("smartcard.scard")
    except ImportError as error:
        raise DeviceLost(f"{name}: pyscard is not installed: pip install pyscard ({error})") from error
