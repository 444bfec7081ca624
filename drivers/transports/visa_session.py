"""A VISA session as its port's thread uses it: one step of a conversation at a time."""

import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Protocol

import pyvisa
from pyvisa.constants import EventMechanism, EventType, ResourceAttribute, StatusCode, TriggerProtocol
from pyvisa.resources import Resource
from pyvisa.rname import InvalidResourceName, ResourceName, parse_resource_name
from pyvisa.typing import VISAEventContext, VISAJobID, VISASession

from drivers.errors import DeviceLost, ProtocolError, TransportError
from drivers.transports import Clear, Read, ReadStatus, Reply, Step, Trigger
from drivers.transports.trace import Recorder
from drivers.transports.visa_errors import FOREIGN, Opening, mapped
from drivers.transports.visa_input import MOST_SURPLUS, PADDING, taken

SLICE_S = 0.05
LONGEST_WRITE_MS = 2000
MOST_LINES = 1000
"""A serial line that has said so many lines or slices without a rest is lost."""
_ANY_JOB = VISAJobID(0)

log = logging.getLogger(__name__)


class Opener(Protocol):
    """The library, as a session needs it."""

    def session(self, resource: str, *, open_timeout_s: float) -> Resource:
        """Open a resource."""


@dataclass(frozen=True, slots=True)
class Address:
    """A VISA resource name, and what follows from it."""

    resource: str
    socket: bool
    """A TCP connection: it cannot be cleared, only opened anew."""
    stream: bool
    """Bytes without an END: a message ends with LF, and a read may time out in the middle without harm."""


def address(resource: str) -> Address:
    """Take a resource name apart; ValueError if it is none."""
    try:
        parsed: ResourceName = parse_resource_name(resource)
    except InvalidResourceName:
        raise ValueError(
            f"{resource!r} is no VISA resource name; write for example GPIB0::7::INSTR, "
            "TCPIP0::192.0.2.5::5025::SOCKET or ASRL3::INSTR"
        ) from None
    socket = parsed.resource_class == "SOCKET"
    return Address(str(parsed), socket, socket or parsed.interface_type == "ASRL")


class VisaSession:
    """Everything here but `abort` runs on the port's thread."""

    def __init__(
        self,
        name: str,
        where: Address,
        opener: Opener,
        *,
        now: Callable[[], float],
        stopping: Callable[[], bool],
        open_timeout_s: float,
    ) -> None:
        """`now` is the loop's clock; `stopping` tells whether the job that runs was cancelled."""
        self.owes = False
        """Whether an answer may still come that nobody waits for."""
        self.strays = 0
        """How often something was found in the input that answered no question."""
        self._answered = False
        self._name = name
        self._where = where
        self._opener = opener
        self._now = now
        self._stopping = stopping
        self._quiet = ExitStack()
        self._resource: Resource | None = None
        self._open_timeout_s = open_timeout_s
        self._timeout_ms = -1
        self._on_request: Callable[[], None] | None = None

    # -- open, close, make clean
    def open(self) -> None:
        """Open it; DeviceLost if there is nothing at this address."""
        with Opening(f"{self._name}: cannot be opened"):
            resource = self._opener.session(self._where.resource, open_timeout_s=self._open_timeout_s)
            self._resource = resource
            self._library = resource.visalib
            self._session: VISASession = resource.session
            self._set_up()

    def _set_up(self) -> None:
        self.owes = self._answered = False
        self._timeout_ms = -1
        self._quiet.enter_context(  # to PyVISA a message of several chunks deserves a warning
            self._library.ignore_warning(self._session, StatusCode.success_max_count_read)
        )
        if self._where.stream:
            self._set(ResourceAttribute.termchar, ord("\n"))
            self._set(ResourceAttribute.termchar_enabled, 1)
        if self._where.socket:
            with suppress(pyvisa.VisaIOError):  # then a slice that ends in mid-message loses nothing
                self._set(ResourceAttribute.suppress_end_enabled, 0)
            with suppress(pyvisa.VisaIOError):  # then a peer that lost its power is noticed in the end
                self._set(ResourceAttribute.tcpip_keepalive, 1)

    def _set(self, attribute: ResourceAttribute, value: int) -> None:
        self._library.set_attribute(self._session, attribute, value)

    def close(self) -> None:
        """Close it, whatever state it is in."""
        with suppress(*FOREIGN), self._quiet:
            if self._resource is not None:
                self._resource.close()

    def recover(self) -> None:
        """Make sure that no answer to anything said before is read later."""
        if self._where.socket:
            self.close()
            self.open()
            if self._on_request is not None:
                self.announce_requests(self._on_request)
        else:
            try:
                self.clear()
            except TransportError:
                if not self._where.stream:
                    raise
                self._listen_out()  # PyVISA-py clears no serial line
        self.owes = self._answered = False

    # -- what nobody asked for
    def begin(self, recorder: Recorder) -> None:
        """Be ready for a question: what waits in the input of a stream is older."""
        if self._where.stream and self._heard(recorder):
            self.recover()

    def in_step(self, recorder: Recorder) -> None:
        """Raise ProtocolError if more has come than was asked for: nobody knows which is the answer."""
        if self._answered and (surplus := self._heard(recorder)):
            raise ProtocolError(
                f"{self._context('reading', recorder)}: {len(surplus)} bytes more than was asked for"
            )
        self._answered = False

    def _heard(self, recorder: Recorder) -> bytes:
        try:
            surplus = self._surplus().strip(PADDING)
        except (*FOREIGN, DeviceLost) as error:
            raise mapped(error, f"{self._name}: looking into the input") from error
        if surplus:
            self.strays += 1
            recorder.note("<", surplus)
            log.warning("%s: %d bytes that nobody asked for", self._name, len(surplus))
        return surplus

    def _surplus(self) -> bytes:
        """Take what is in the input, without waiting."""
        if (data := taken(self._underneath())) is not None:
            return data
        surplus = bytearray()
        self._allow(0.0)
        while len(surplus) < MOST_SURPLUS:
            try:
                surplus += self._library.read(self._session, MOST_SURPLUS)[0]
            except pyvisa.VisaIOError as error:
                if error.error_code != StatusCode.error_timeout:
                    raise
                break
        return bytes(surplus)

    def _underneath(self) -> object:
        """PyVISA-py's own session; None if there is none."""
        sessions: dict[VISASession, object] = getattr(self._library, "sessions", {})
        return sessions.get(self._session)

    def _listen_out(self) -> None:
        """Drop what comes until nothing has come for a slice; ProtocolError if it comes on and on."""
        self._allow(SLICE_S)
        with suppress(pyvisa.VisaIOError):
            for _ in range(MOST_LINES):
                if not self._library.read(self._session, MOST_SURPLUS)[0]:
                    break
            else:
                raise ProtocolError(f"{self._name}: the line does not rest")
        self._surplus()

    def abort(self) -> None:
        """End the transfer under way, where the library can; from any thread."""
        with suppress(*FOREIGN):
            self._library.terminate(self._session, None, _ANY_JOB)

    # -- service requests
    def announce_requests(self, on_request: Callable[[], None]) -> bool:
        """Have `on_request` called, on any thread, at a service request; tell whether the library can."""
        service = EventType.service_request
        try:
            self._library.install_visa_handler(self._session, service, self._requested)
            self._library.enable_event(self._session, service, EventMechanism.handler)
        except FOREIGN:
            return False
        self._on_request = on_request
        return True

    def _requested(
        self, session: VISASession, event: EventType, context: VISAEventContext, user: object
    ) -> None:
        del session, event, context, user
        if self._on_request is not None:
            self._on_request()

    # -- the steps of a conversation
    def do(self, step: Step, recorder: Recorder) -> Reply:
        """Do one step that is neither a write nor a read; raises the mapped error."""
        match step:
            case ReadStatus():
                status = self.status()
                recorder.note("<stb", bytes([status]))
                return status
            case Trigger():
                recorder.note(">trigger")
                self._trigger()
                return None
            case Clear():
                recorder.note(">clear")
                self.clear()
                return None
            case _:
                raise TypeError(f"{self._name}: a VISA session has no step {type(step).__name__}")

    def write(self, data: bytes, recorder: Recorder) -> None:
        """Send one message."""
        self.in_step(recorder)
        recorder.note(">", data)
        if not 0 < self._timeout_ms <= LONGEST_WRITE_MS:
            self._allow(LONGEST_WRITE_MS / 1000)
        try:
            sent, _ = self._library.write(self._session, data)
        except FOREIGN as error:
            raise mapped(error, self._context("writing", recorder)) from error
        if sent != len(data):
            raise TransportError(
                f"{self._context('writing', recorder)}: only {sent} of {len(data)} bytes went"
            )

    def read(self, step: Read, recorder: Recorder) -> bytes:
        """Receive one message, to its end."""
        self.owes = True
        try:
            data = self._streamed(step) if self._where.stream else self._whole(step)
        except FOREIGN as error:
            if isinstance(error, pyvisa.VisaIOError) and error.error_code == StatusCode.error_timeout:
                recorder.note("<-")
            doing = f"reading for {step.timeout_s:g} s"
            raise mapped(error, self._context(doing, recorder)) from error
        self.owes = False
        self._answered = self._where.stream
        recorder.note("<", data)
        return data

    def _whole(self, step: Read) -> bytes:
        self._allow(step.timeout_s)
        data, status = self._library.read(self._session, step.size)
        if status != StatusCode.success_max_count_read:
            return bytes(data)  # PyVISA-py brings a bytearray over HiSLIP
        message = bytearray(data)
        while status == StatusCode.success_max_count_read:
            data, status = self._library.read(self._session, step.size)
            message += data
        return bytes(message)

    def _streamed(self, step: Read) -> bytes:
        message = bytearray()
        deadline = self._now() + step.timeout_s
        while not message.endswith(b"\n"):
            self._allow(min(SLICE_S, max(0.001, deadline - self._now())))
            try:
                message += self._library.read(self._session, step.size)[0]
            except pyvisa.VisaIOError as error:
                if (
                    error.error_code != StatusCode.error_timeout
                    or self._now() >= deadline
                    or self._stopping()
                ):
                    raise
        return bytes(message)

    def status(self) -> int:
        """Poll the status byte."""
        try:
            return self._library.read_stb(self._session)[0]
        except FOREIGN as error:
            raise mapped(error, f"{self._name}: polling the status byte") from error

    def clear(self) -> None:
        """Clear the device: it forgets what it was about to answer."""
        try:
            self._library.clear(self._session)
        except FOREIGN as error:
            raise mapped(error, f"{self._name}: clearing the device") from error
        self.owes = False

    def _trigger(self) -> None:
        try:
            self._library.assert_trigger(self._session, TriggerProtocol.default)
        except FOREIGN as error:
            raise mapped(error, f"{self._name}: triggering") from error

    def _allow(self, timeout_s: float) -> None:
        timeout_ms = max(1, round(timeout_s * 1000)) if timeout_s else 0
        if timeout_ms != self._timeout_ms:
            self._set(ResourceAttribute.timeout_value, timeout_ms)
            self._timeout_ms = timeout_ms

    def _context(self, doing: str, recorder: Recorder) -> str:
        return f"{self._name}: {doing} (last: {recorder.tail()})"
