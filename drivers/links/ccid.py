"""Commands to a CCID reader: numbering, matching of answers, time extensions, abort.

USB device class CCID, revision 1.1; abort by chapter 5.3.1.
"""

from contextlib import suppress

from drivers.errors import InstrumentError, ProtocolError, Silent
from drivers.protocols.ccid import (
    ABORT_REQUEST_TYPE,
    CARD_ERRORS,
    GARBLED,
    MUTE,
    Answer,
    Ask,
    ClassDescriptor,
    Command,
    Icc,
    Outcome,
    Request,
    Tell,
    error_text,
)
from drivers.transports import Control, Conversation, Read, Reply, Timestamp, Write
from drivers.transports.usb_descriptors import BULK, IN, Interface

COMMAND_S = 5.0
LEAST_S = 1e-3
STRAYS = 32
"""How many messages may come in vain before the right one."""

_ANSWERS = {
    Ask.POWER_ON: Tell.DATA,
    Ask.TRANSFER: Tell.DATA,
    Ask.SECURE: Tell.DATA,
    Ask.GET_PARAMETERS: Tell.PARAMETERS,
    Ask.RESET_PARAMETERS: Tell.PARAMETERS,
    Ask.SET_PARAMETERS: Tell.PARAMETERS,
    Ask.ESCAPE: Tell.ESCAPE,
    Ask.SET_RATE: Tell.RATE,
}


class ChipError(Exception):
    """The chip, or the contact to it, failed; the reader is well."""

    def __init__(self, reason: str, *, silent: bool = False, garbled: bool = False) -> None:
        super().__init__(reason)
        self.silent = silent
        """The chip did not answer, though it is there."""
        self.garbled = garbled
        """It answered, and the reader could not read it."""


class OutOfTimeError(Exception):
    """The budget is used up; what was under way is aborted."""


def seconds(reply: Reply) -> float:
    """Take the reply to Timestamp."""
    if isinstance(reply, float | int):
        return reply
    raise TypeError(f"a port answered {reply!r} to Timestamp")


def _received(reply: Reply) -> bytes:
    """Take the reply to Read."""
    if isinstance(reply, bytes):
        return reply
    raise TypeError(f"a port answered {reply!r} to Read")


class ReaderLink:
    """The command pipe of one reader. A command that was left in the middle is aborted before the next."""

    def __init__(self, interface: Interface, capabilities: ClassDescriptor) -> None:
        out, back = interface.pipe(BULK, 0), interface.pipe(BULK, IN)
        if out is None or back is None:
            raise ProtocolError("the CCID interface has no pair of bulk pipes")
        self.capabilities = capabilities
        self._interface = interface.number
        self._out = out
        self._in = back
        self._seq = 0
        self._open: Command | None = None

    def command(  # noqa: PLR0913 - the fields of a message, and two limits
        self,
        ask: Ask,
        slot: int,
        specific: bytes = b"\0\0\0",
        data: bytes = b"",
        *,
        wait_s: float = COMMAND_S,
        deadline: float | None = None,
    ) -> Conversation[Answer]:
        """Send a command and return the answer to it.

        InstrumentError and ChipError say that it failed, by whose fault; OutOfTimeError that the port's clock
        has passed `deadline`. Silent and ProtocolError are the reader's own.
        """
        if self._open is not None:
            yield from self._abort(self._open)
        left_s = wait_s if deadline is None else deadline - seconds((yield Timestamp()))
        if left_s <= 0:
            raise OutOfTimeError
        command = self._open = Command(ask, slot, self._seq, specific, data)
        self._seq = self._seq + 1 & 0xFF
        try:
            yield Write(command.encode(), self._out)
            answer = yield from self._answer(command, min(wait_s, left_s), deadline)
        except (Silent, ProtocolError) as error:
            late = deadline is not None and seconds((yield Timestamp())) >= deadline
            yield from self._abort(command)
            if late and isinstance(error, Silent):
                raise OutOfTimeError from error
            raise
        self._open = None
        return _checked(answer)

    def _answer(self, command: Command, wait_s: float, deadline: float | None) -> Conversation[Answer]:
        left_s, others = wait_s, 0
        while others < STRAYS:
            answer = Answer.decode(_received((yield Read(left_s, self._in))))
            if answer.seq != command.seq or answer.slot != command.slot:
                others += 1
            elif answer.outcome is not Outcome.EXTENSION:
                return _expected(answer, command)
            else:
                left_s = wait_s * max(1, answer.error)
                if deadline is None:
                    others += 1
                else:
                    left_s = max(LEAST_S, min(left_s, deadline - seconds((yield Timestamp()))))
        raise ProtocolError(f"CCID {command.ask.name}: {STRAYS} messages, and no answer among them")

    def _abort(self, command: Command) -> Conversation[None]:
        """Abort by both pipes and read up to the answer; Silent when the reader does not even do that."""
        self._open = command
        value = command.seq << 8 | command.slot
        with suppress(ProtocolError):  # a reader may refuse it where the other half is enough
            yield Control(ABORT_REQUEST_TYPE, Request.ABORT, value, self._interface)
        abort = Command(Ask.ABORT, command.slot, command.seq)
        yield Write(abort.encode(), self._out)
        for _ in range(STRAYS):
            try:
                answer = Answer.decode(_received((yield Read(COMMAND_S, self._in))))
            except ProtocolError:
                continue  # what is left of the answer that was aborted
            if answer.tell is Tell.SLOT_STATUS and (answer.slot, answer.seq) == (command.slot, command.seq):
                self._open = None
                return
        raise ProtocolError(f"CCID abort: {STRAYS} messages, and no answer among them")


def _expected(answer: Answer, command: Command) -> Answer:
    if answer.tell is not _ANSWERS.get(command.ask, Tell.SLOT_STATUS):
        raise ProtocolError(f"CCID {command.ask.name} answered by {answer.tell.name}")
    return answer


def _checked(answer: Answer) -> Answer:
    if answer.outcome is Outcome.OK:
        return answer
    text = error_text(answer.error)
    if answer.error not in CARD_ERRORS:
        raise InstrumentError(answer.error, text)
    if answer.icc is Icc.ABSENT:
        raise ChipError("no card makes contact")
    raise ChipError(text, silent=answer.error == MUTE, garbled=answer.error in GARBLED)
