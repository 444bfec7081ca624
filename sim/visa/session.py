"""One session of the simulated VISA library: attributes, transfers, events."""

import itertools
from collections import deque
from dataclasses import dataclass
from threading import Condition, Lock
from typing import TypeAlias

from pyvisa import constants
from pyvisa.constants import (
    AccessModes,
    EventMechanism,
    EventType,
    ResourceAttribute,
    SerialTermination,
    StatusCode,
)
from pyvisa.rname import ASRLInstr, GPIBInstr, ResourceName, TCPIPSocket
from pyvisa.typing import VISAEventContext, VISAHandler, VISASession

from sim.instrument import Instrument, ReadEnd

QUEUE_LENGTH = 50
RESOURCE_SPEC_VERSION = 0x00700200
NO_SECONDARY_ADDRESS = 0xFFFF

_READ_STATUS: dict[ReadEnd, StatusCode] = {
    "end": StatusCode.success,
    "termination": StatusCode.success_termination_character_read,
    "count": StatusCode.success_max_count_read,
    "timeout": StatusCode.error_timeout,
    "aborted": StatusCode.error_abort,
    "gone": StatusCode.error_connection_lost,
}

Value: TypeAlias = int | str


@dataclass(frozen=True, slots=True)
class Event:
    """What an event context stands for."""

    kind: EventType


class Contexts:
    """The numbers by which a VISA library names its sessions and event contexts."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._things: dict[int, Session | Event | None] = {}

    def add(self, thing: "Session | Event | None") -> int:
        """Give it a number; None stands for the resource manager."""
        number = next(self._numbers)
        self._things[number] = thing
        return number

    def find(self, number: int) -> "Session | Event | None":
        """Return what has this number; KeyError if nothing has."""
        return self._things[number]

    def remove(self, number: int) -> "Session | Event | None":
        """Forget it and return it; KeyError if it is unknown."""
        return self._things.pop(number)


class Session:
    """An open instrument. Its calls come from one thread at a time, `terminate` and events from any."""

    def __init__(self, name: str, parsed: ResourceName, instrument: Instrument, contexts: Contexts) -> None:
        self.instrument = instrument
        self.is_stream = parsed.resource_class == "SOCKET" or parsed.interface_type == "ASRL"
        """No END, no serial poll, no service request: messages end with their line end."""
        self.attributes = _attributes(name, parsed)
        self.number = VISASession(contexts.add(self))
        self._contexts = contexts
        self._enabled: dict[EventType, int] = {}
        self._handlers: list[tuple[EventType, VISAHandler, object]] = []
        self._events: deque[Event] = deque(maxlen=QUEUE_LENGTH)
        self._arrived = Condition(Lock())
        instrument.on_service_request.append(self._requested)

    def close(self) -> None:
        """Let go of the instrument; a socket takes unread answers with it."""
        self.instrument.on_service_request.remove(self._requested)
        if self.attributes[ResourceAttribute.resource_class] == "SOCKET":
            self.instrument.bus_disconnect()

    # -- transfers
    @property
    def name(self) -> str:
        """The canonical resource name."""
        return str(self.attributes[ResourceAttribute.resource_name])

    def write(self, data: bytes) -> StatusCode:
        """Send bytes; on a bus the last one carries END."""
        if self.instrument.gone:
            return StatusCode.error_connection_lost
        end = not self.is_stream and bool(self.attributes[ResourceAttribute.send_end_enabled])
        self.instrument.bus_write(data, end=end)
        return StatusCode.success

    def read(self, count: int) -> tuple[bytes, StatusCode]:
        """Receive at most `count` bytes, to the END or the termination character."""
        deadline = self._deadline(self.attributes[ResourceAttribute.timeout_value])
        termination = self._termination()
        data, end = self.instrument.bus_read(count, termination, deadline)
        if self.is_stream and end == "end" and not self._ends_where_it_pauses():
            data, end = self._read_on(data, count, termination, deadline)
        return data, _READ_STATUS[end]

    def _read_on(
        self, data: bytes, count: int, termination: bytes | None, deadline: float | None
    ) -> tuple[bytes, ReadEnd]:
        """A stream has no END: go on until something else ends the read."""
        end: ReadEnd = "end"
        while end == "end" and len(data) < count:
            more, end = self.instrument.bus_read(count - len(data), termination, deadline)
            data += more
        return data, "count" if end == "end" else end

    def _ends_where_it_pauses(self) -> bool:
        return not self.attributes.get(ResourceAttribute.suppress_end_enabled, 1)

    def _termination(self) -> bytes | None:
        attributes = self.attributes
        enabled = attributes[ResourceAttribute.termchar_enabled] or attributes.get(
            ResourceAttribute.asrl_end_in
        )
        return bytes([int(attributes[ResourceAttribute.termchar])]) if enabled else None

    def _deadline(self, timeout_ms: Value) -> float | None:
        if timeout_ms == constants.VI_TMO_INFINITE:
            return None
        return self.instrument.clock.time() + int(timeout_ms) / 1e3

    def clear(self) -> None:
        """Device clear; on a socket there is no such message, only what was received is dropped."""
        if self.attributes[ResourceAttribute.resource_class] == "SOCKET":
            self.instrument.bus_disconnect()
        else:
            self.instrument.bus_clear()

    # -- events
    def enable(self, kind: EventType, mechanism: int) -> StatusCode:
        """Let events of this kind go to the queue, to the handlers, or to both."""
        if self.is_stream or kind is not EventType.service_request:
            return StatusCode.error_invalid_event
        if mechanism & EventMechanism.handler and not self._handlers:
            return StatusCode.error_handler_not_installed
        self._enabled[kind] = self._enabled.get(kind, 0) | mechanism
        return StatusCode.success

    def disable(self, kind: EventType, mechanism: int) -> StatusCode:
        """Stop what `enable` began."""
        for known in list(self._enabled):
            if kind in (known, EventType.all_enabled):
                self._enabled[known] &= ~mechanism
        return StatusCode.success

    def discard(self) -> StatusCode:
        """Empty the queue."""
        with self._arrived:
            self._events.clear()
        return StatusCode.success

    def install(self, kind: EventType, handler: VISAHandler, user_handle: object) -> None:
        """Add a handler."""
        self._handlers.append((kind, handler, user_handle))

    def uninstall(self, kind: EventType, handler: VISAHandler) -> StatusCode:
        """Take a handler away."""
        before = len(self._handlers)
        self._handlers = [each for each in self._handlers if each[:2] != (kind, handler)]
        known = len(self._handlers) < before
        return StatusCode.success if known else StatusCode.error_invalid_handler_reference

    def wait(self, kind: EventType, timeout_ms: int) -> tuple[Event | None, StatusCode]:
        """Take the next event from the queue."""
        if not self._enabled.get(kind, 0) & EventMechanism.queue:
            return None, StatusCode.error_not_enabled
        deadline = self._deadline(timeout_ms)
        clock = self.instrument.clock
        with self._arrived:
            while not self._events:
                if self.instrument.gone:
                    return None, StatusCode.error_connection_lost
                if deadline is not None and clock.time() >= deadline:
                    return None, StatusCode.error_timeout
                clock.wait(self._arrived, deadline)
            return self._events.popleft(), StatusCode.success

    def _requested(self) -> None:
        kind = EventType.service_request
        mechanism = self._enabled.get(kind, 0)
        if mechanism & EventMechanism.queue:
            with self._arrived:
                self._events.append(Event(kind))
                self.instrument.clock.notify(self._arrived)
        if mechanism & EventMechanism.handler:
            for _, handler, user_handle in tuple(self._handlers):
                self._call(handler, Event(kind), user_handle)

    def _call(self, handler: VISAHandler, event: Event, user_handle: object) -> None:
        context = VISAEventContext(self._contexts.add(event))
        try:
            handler(self.number, event.kind, context, user_handle)
        finally:
            self._contexts.remove(context)


def _attributes(name: str, parsed: ResourceName) -> dict[ResourceAttribute, Value]:
    board = getattr(parsed, "board", "0")
    attributes: dict[ResourceAttribute, Value] = {
        ResourceAttribute.resource_name: name,
        ResourceAttribute.resource_class: parsed.resource_class,
        ResourceAttribute.interface_type: parsed.interface_type_const,
        ResourceAttribute.interface_number: int(board) if board.isdigit() else 0,
        ResourceAttribute.timeout_value: 2000,
        ResourceAttribute.termchar: ord("\n"),
        ResourceAttribute.termchar_enabled: constants.VI_FALSE,
        ResourceAttribute.send_end_enabled: constants.VI_TRUE,
        ResourceAttribute.max_queue_length: QUEUE_LENGTH,
        ResourceAttribute.resource_lock_state: AccessModes.no_lock,
        ResourceAttribute.resource_manufacturer_name: "hardbin",
        ResourceAttribute.resource_spec_version: RESOURCE_SPEC_VERSION,
        ResourceAttribute.resource_impl_version: 1,
    }
    match parsed:
        case GPIBInstr():
            attributes[ResourceAttribute.gpib_primary_address] = int(parsed.primary_address)
            attributes[ResourceAttribute.gpib_secondary_address] = NO_SECONDARY_ADDRESS
        case TCPIPSocket():
            attributes[ResourceAttribute.suppress_end_enabled] = constants.VI_TRUE
        case ASRLInstr():
            attributes[ResourceAttribute.asrl_end_in] = SerialTermination.termination_char
        case _:
            pass
    return attributes
