"""Ports behind a VISA library: GPIB, USBTMC, LAN and serial names; each session has one thread.

Ref: VPP-4.3, The VISA Library (time-outs, termination, events); IEEE 488.1 (device clear, serial poll).
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Literal, TypeVar, cast

import pyvisa
from pyvisa.resources import Resource

from drivers.errors import DeviceLost, EquipmentError, TransportError
from drivers.transports import Conversation, Pause, Port, Read, Reply, Step, Timestamp, Write
from drivers.transports.trace import Recorder, Trace
from drivers.transports.visa_session import VisaSession, address
from drivers.transports.worker import Load, Worker

T = TypeVar("T")

RQS = 0x40
SLOW_POLL_S = 1.0
FAST_POLL_S = (0.001, 0.05)
MOST_REQUESTS = 64

Strategy = Literal["srq_handler", "stb_poll", "none"]
"""How a port learns of service requests."""


class VisaLibrary:
    """One VISA library with its one resource manager, which all its ports share."""

    def __init__(self, name: str) -> None:
        """Name it as PyVISA does: `@py`, `@ivi`, or `<world>@hardbin`."""
        self.name = name
        self._lock = threading.Lock()
        self._manager: pyvisa.ResourceManager | None = None
        self._abandoned = False

    def open(self) -> None:
        """Load the library; a port does so when it opens, so nobody need call this."""
        with self._lock:
            if self._manager is None:
                self._manager = _manager(self.name)

    def close(self) -> None:
        """Close the library and every session that is still open; call it once, after the ports."""
        with self._lock:
            manager, self._manager = self._manager, None
        if manager is None:
            return
        if self._abandoned:  # closing would enter a session whose thread is still inside: let the process end
            manager.session = None
            manager.visalib.resource_manager = None
        else:
            manager.close()

    def abandon(self) -> None:
        """Know that a port's thread did not come back from this library."""
        self._abandoned = True

    def session(self, resource: str, *, open_timeout_s: float) -> Resource:
        """Open a session; raises what PyVISA raises."""
        self.open()
        manager = self._manager
        if manager is None:
            raise TransportError(f"VISA library {self.name} is closed")
        return manager.open_resource(resource, open_timeout=round(open_timeout_s * 1000))


def _manager(name: str) -> pyvisa.ResourceManager:
    try:
        return pyvisa.ResourceManager(name)
    except (OSError, ValueError, pyvisa.Error) as error:
        raise TransportError(f"VISA library {name}: {error}") from error


class _Owner:
    """What exists while a port is open: its session, its thread, its trace, its service requests."""

    def __init__(self, name: str, session: Callable[["_Owner"], VisaSession], *, grace_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.trace = Trace(loop.time)
        self.session = session(self)
        self.worker = Worker(name, abort=self.session.abort, recover=self.recover, grace_s=grace_s)
        self.strategy: Strategy = "none"
        self.pulled = asyncio.Event()
        self._loop = loop
        self._name = name
        self._statuses: deque[int] = deque()

    def stopping(self) -> bool:
        """Whether the job that runs was cancelled."""
        return self.worker.interrupted

    # -- on the port's thread
    def start(self) -> None:
        """Open the session and learn how it tells of service requests."""
        self.session.open()
        handled = self.session.announce_requests(self._pull)
        try:
            self.poll()  # a request may wait since before anybody listened
        except DeviceLost:
            raise
        except EquipmentError:  # no status byte, so no service requests
            return
        self.strategy = "srq_handler" if handled else "stb_poll"

    def recover(self) -> None:
        """Make sure that no late answer is taken for the next one."""
        self.trace.keep(">clear", b"", 0)
        self.session.recover()

    def hold(self, conversation: Conversation[T], recorder: Recorder) -> T:
        """Hold a conversation; a failing step raises inside it, a cancel closes it."""
        reply: Reply = None
        failed: EquipmentError | None = None
        try:
            self.session.begin(recorder)
            while True:
                step = conversation.send(reply) if failed is None else conversation.throw(failed)
                if self.worker.interrupted:
                    conversation.close()
                    raise TransportError(f"{self._name}: the conversation was cancelled")
                reply, failed = self._done(step, recorder)
        except StopIteration as end:
            with suppress(DeviceLost):  # after a whole answer; the next conversation learns of it
                self.session.in_step(recorder)
            return cast("T", end.value)
        finally:
            if self.session.owes:
                self.worker.soil()

    def _done(self, step: Step, recorder: Recorder) -> tuple[Reply, EquipmentError | None]:
        try:
            match step:
                case Write():
                    self.session.write(step.data, recorder)
                    return None, None
                case Read():
                    return self.session.read(step, recorder), None
                case Pause():
                    self.worker.pause(step.seconds)
                    return None, None
                case Timestamp():
                    return self.now(), None
                case _:
                    return self.session.do(step, recorder), None
        except EquipmentError as error:
            return None, error

    def poll(self) -> None:
        """Fetch the status bytes of all requests that wait: the line is a level, so poll until it is free."""
        for _ in range(MOST_REQUESTS):
            status = self.session.status()
            if not status & RQS:
                return
            self.trace.keep("!", bytes([status]), 0)
            self._statuses.append(status)

    # -- on the loop's thread
    async def service_request(self) -> int:
        """Wait for the next status byte."""
        wait_s = SLOW_POLL_S if self.strategy == "srq_handler" else FAST_POLL_S[0]
        while not self._statuses:
            self.pulled.clear()
            await self.worker.settle(self.poll)
            if not self._statuses:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self.pulled.wait()
                if self.strategy == "stb_poll":
                    wait_s = min(2 * wait_s, FAST_POLL_S[1])
        return self._statuses.popleft()

    def _pull(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.pulled.set)


class VisaPort(Port):
    """One session of a VISA library, on a thread of its own.

    A long read is sliced on sockets and serial names only: elsewhere a time-out in mid-message would need a
    device clear. Status bytes that a conversation polls itself are its own, not service requests.
    """

    def __init__(
        self,
        name: str,
        resource: str,
        library: VisaLibrary,
        *,
        grace_s: float = 0.1,
        open_timeout_s: float = 2.0,
    ) -> None:
        """Take `grace_s`, within which a cancelled transfer ends and is cleaned up, else the port is lost."""
        self.name = name
        self._address = address(resource)
        self._library = library
        self._grace_s = grace_s
        self._open_timeout_s = open_timeout_s
        self._owner: _Owner | None = None

    @property
    def lost(self) -> bool:
        """Whether the port must be closed, and stay so until its quarantine ends."""
        return self._owner is not None and self._owner.worker.lost

    @property
    def strategy(self) -> Strategy:
        """How this port learns of service requests; chosen by `open`, by trying."""
        return self._open().strategy

    @property
    def trace(self) -> Trace:
        """What crossed the port lately."""
        return self._open().trace

    @property
    def load(self) -> Load:
        """What its conversations have cost."""
        return self._open().worker.load

    async def open(self) -> None:
        if self._owner is not None:
            raise TransportError(f"{self.name} is open already")
        owner = _Owner(self.name, self._session, grace_s=self._grace_s)
        try:
            await owner.worker.settle(owner.start, bound_s=self._open_timeout_s)
        except BaseException:
            await owner.worker.aclose(owner.session.close)
            raise
        self._owner = owner

    def run(self, conversation: Conversation[T]) -> Coroutine[None, None, T]:
        owner = self._open()
        return owner.worker.call(owner.hold, conversation, owner.trace.recorder())

    async def service_request(self) -> int:
        owner = self._open()
        if owner.strategy == "none":
            raise TransportError(f"{self.name}: this connection tells of no service requests and no status")
        return await owner.service_request()

    async def aclose(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.pulled.set()
            if not await owner.worker.aclose(owner.session.close):
                self._library.abandon()

    def _open(self) -> _Owner:
        if self._owner is None:
            raise TransportError(f"{self.name} is not open")
        return self._owner

    def _session(self, owner: _Owner) -> VisaSession:
        return VisaSession(
            self.name,
            self._address,
            self._library,
            now=owner.now,
            stopping=owner.stopping,
            open_timeout_s=self._open_timeout_s,
        )
