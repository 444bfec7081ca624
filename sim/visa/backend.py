"""The PyVISA library `<world>@hardbin`: simulated instruments below PyVISA, which stays as it is.

Ref: VPP-4.3, The VISA Library. PyVISA ignores returned codes, so every call ends in `handle_return_value`.
"""

from collections.abc import Iterable

from pyvisa import constants, errors, rname
from pyvisa.constants import (
    AccessModes,
    BufferOperation,
    EventAttribute,
    EventMechanism,
    EventType,
    RENLineOperation,
    ResourceAttribute,
    StatusCode,
    TriggerProtocol,
)
from pyvisa.highlevel import VisaLibraryBase
from pyvisa.typing import VISAEventContext, VISAHandler, VISAJobID, VISARMSession, VISASession
from pyvisa.util import LibraryPath

from sim.visa import registry
from sim.visa.session import Contexts, Event, Session, Value


class HardbinVisaLibrary(VisaLibraryBase):
    """One world of instruments; PyVISA makes one of it per world and shares it."""

    @staticmethod
    def get_library_paths() -> Iterable[LibraryPath]:
        return (LibraryPath("default"),)

    @staticmethod
    def get_debug_info() -> dict[str, str]:
        return {"Version": "hardbin"}

    def _init(self) -> None:
        self._contexts = Contexts()

    # -- resource manager
    def open_default_resource_manager(self) -> tuple[VISARMSession, StatusCode]:
        manager = VISARMSession(self._contexts.add(None))
        return manager, self.handle_return_value(manager, StatusCode.success)

    def list_resources(self, session: VISARMSession, query: str = "?*::INSTR") -> tuple[str, ...]:
        return rname.filter(registry.names(str(self.library_path)), query)

    def open(
        self,
        session: VISARMSession,
        resource_name: str,
        access_mode: AccessModes = AccessModes.no_lock,
        open_timeout: int = constants.VI_TMO_IMMEDIATE,
    ) -> tuple[VISASession, StatusCode]:
        del open_timeout  # an instrument that is not there is known at once
        try:
            parsed = rname.parse_resource_name(resource_name)
        except rname.InvalidResourceName:
            raise errors.VisaIOError(StatusCode.error_invalid_resource_name) from None
        found = registry.find(str(self.library_path), resource_name)
        if found is None or found[1].gone:
            raise errors.VisaIOError(StatusCode.error_resource_not_found)
        if access_mode is not AccessModes.no_lock:
            raise errors.VisaIOError(StatusCode.error_invalid_access_mode)
        name, instrument = found
        opened = Session(name, parsed, instrument, self._contexts).number
        return opened, self.handle_return_value(opened, StatusCode.success)

    def close(self, session: VISASession | VISAEventContext | VISARMSession) -> StatusCode:
        number = getattr(session, "value", session)  # an event context may come wrapped
        try:
            closed = self._contexts.remove(number)
        except KeyError:
            return self.handle_return_value(None, StatusCode.error_invalid_object)
        if isinstance(closed, Session):
            closed.close()
        return StatusCode.success

    def _session(self, number: VISASession) -> Session:
        try:
            found = self._contexts.find(number)
        except KeyError:
            found = None
        if not isinstance(found, Session):
            raise errors.VisaIOError(StatusCode.error_invalid_object)
        return found

    # -- attributes
    def get_attribute(
        self,
        session: VISASession | VISAEventContext | VISARMSession,
        attribute: ResourceAttribute | EventAttribute,
    ) -> tuple[Value, StatusCode]:
        found = self._contexts.find(session)
        if isinstance(found, Event) and attribute == EventAttribute.event_type:
            return found.kind, StatusCode.success
        if not isinstance(found, Session) or attribute not in found.attributes:
            return 0, self.handle_return_value(session, StatusCode.error_nonsupported_attribute)
        return found.attributes[ResourceAttribute(attribute)], self.handle_return_value(
            session, StatusCode.success
        )

    def set_attribute(
        self, session: VISASession, attribute: ResourceAttribute, attribute_state: Value
    ) -> StatusCode:
        self._session(session).attributes[attribute] = attribute_state
        return self.handle_return_value(session, StatusCode.success)

    # -- transfers
    def write(self, session: VISASession, data: bytes) -> tuple[int, StatusCode]:
        status = self._session(session).write(data)
        return len(data), self.handle_return_value(session, status)

    def read(self, session: VISASession, count: int) -> tuple[bytes, StatusCode]:
        data, status = self._session(session).read(count)
        return data, self.handle_return_value(session, status)

    def read_stb(self, session: VISASession) -> tuple[int, StatusCode]:
        found = self._on_a_bus(session)
        if found.instrument.gone:
            raise errors.VisaIOError(StatusCode.error_connection_lost)
        return found.instrument.bus_status(), self.handle_return_value(session, StatusCode.success)

    def clear(self, session: VISASession) -> StatusCode:
        found = self._session(session)
        if found.instrument.gone:
            raise errors.VisaIOError(StatusCode.error_connection_lost)
        found.clear()
        return self.handle_return_value(session, StatusCode.success)

    def assert_trigger(self, session: VISASession, protocol: TriggerProtocol) -> StatusCode:
        self._on_a_bus(session).instrument.triggered()
        return self.handle_return_value(session, StatusCode.success)

    def gpib_control_ren(self, session: VISASession, mode: RENLineOperation) -> StatusCode:
        self._on_a_bus(session)  # simulated machines are always in remote
        return self.handle_return_value(session, StatusCode.success)

    def flush(self, session: VISASession, mask: BufferOperation) -> StatusCode:
        self._session(session)  # nothing is buffered on this side
        return self.handle_return_value(session, StatusCode.success)

    def terminate(self, session: VISASession, degree: None, job_id: VISAJobID) -> StatusCode:
        self._session(session).instrument.bus_abort()
        return self.handle_return_value(session, StatusCode.success)

    def _on_a_bus(self, session: VISASession) -> Session:
        found = self._session(session)
        if found.is_stream:
            raise errors.VisaIOError(StatusCode.error_nonsupported_operation)
        return found

    # -- events
    def enable_event(
        self, session: VISASession, event_type: EventType, mechanism: EventMechanism, context: None = None
    ) -> StatusCode:
        status = self._session(session).enable(event_type, mechanism)
        return self.handle_return_value(session, status)

    def disable_event(
        self, session: VISASession, event_type: EventType, mechanism: EventMechanism
    ) -> StatusCode:
        return self._session(session).disable(event_type, mechanism)

    def discard_events(
        self, session: VISASession, event_type: EventType, mechanism: EventMechanism
    ) -> StatusCode:
        return self._session(session).discard()

    def wait_on_event(
        self, session: VISASession, in_event_type: EventType, timeout: int
    ) -> tuple[EventType, VISAEventContext, StatusCode]:
        event, status = self._session(session).wait(in_event_type, timeout)
        self.handle_return_value(session, status)
        return in_event_type, VISAEventContext(self._contexts.add(event)), status

    def install_handler(
        self, session: VISASession, event_type: EventType, handler: VISAHandler, user_handle: object = None
    ) -> tuple[VISAHandler, object, VISAHandler, StatusCode]:
        self._session(session).install(event_type, handler, user_handle)
        return handler, user_handle, handler, StatusCode.success

    def uninstall_handler(
        self, session: VISASession, event_type: EventType, handler: VISAHandler, user_handle: object = None
    ) -> StatusCode:
        return self._session(session).uninstall(event_type, handler)


WRAPPER_CLASS = HardbinVisaLibrary
"""The name by which PyVISA finds the class."""
