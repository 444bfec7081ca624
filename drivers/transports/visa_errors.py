"""What PyVISA and the libraries below it raise, in the words of this house."""

import errno
from types import TracebackType
from typing import TypeAlias

import pyvisa
from pyvisa.constants import StatusCode

from drivers.errors import DeviceLost, EquipmentError, ProtocolError, Silent, TransportError

FOREIGN = (pyvisa.Error, OSError, NotImplementedError, RuntimeError)
"""What a call into PyVISA may raise when nothing is wrong with the caller. RuntimeError comes from PyVISA-py
over HiSLIP, for a message that it did not expect, such as a service request, and for a peer that is gone."""

_Kind: TypeAlias = type[EquipmentError]

_KINDS: dict[StatusCode, _Kind] = {
    StatusCode.error_timeout: Silent,
    StatusCode.error_connection_lost: DeviceLost,
    StatusCode.error_resource_not_found: DeviceLost,
    StatusCode.error_invalid_object: DeviceLost,
    StatusCode.error_machine_not_available: DeviceLost,
    StatusCode.error_input_protocol_violation: ProtocolError,
    StatusCode.error_output_protocol_violation: ProtocolError,
    StatusCode.error_raw_read_protocol_violation: ProtocolError,
    StatusCode.error_raw_write_protocol_violation: ProtocolError,
    StatusCode.error_serial_framing: ProtocolError,
    StatusCode.error_serial_overrun: ProtocolError,
    StatusCode.error_serial_parity: ProtocolError,
}

_KINDS_BY_ERRNO: dict[int | None, _Kind] = {  # what libusb and the tty raise through PyVISA-py
    errno.ETIMEDOUT: Silent,
    errno.ENODEV: DeviceLost,
    errno.EIO: DeviceLost,
    errno.EPIPE: ProtocolError,
    errno.EOVERFLOW: ProtocolError,
}


class Opening:
    """A block in which a session is opened: there PyVISA-py may raise anything, a bare `Exception` too."""

    def __init__(self, context: str) -> None:
        self._context = context

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            raise mapped(error, self._context) from error


def mapped(error: Exception, context: str) -> EquipmentError:
    """Return the error to raise instead of `error`; `context` says which port, and what was tried."""
    return _kind(error)(f"{context}: {_words(error)}")


def _kind(error: Exception) -> _Kind:
    match error:
        case EquipmentError():
            return type(error)
        case pyvisa.VisaIOError():
            return _KINDS.get(StatusCode(error.error_code), TransportError)
        case pyvisa.errors.InvalidSession() | ConnectionError():
            return DeviceLost
        case OSError() if error.errno in _KINDS_BY_ERRNO:
            return _KINDS_BY_ERRNO[error.errno]
        case TimeoutError():
            return Silent
        case NotImplementedError():
            return TransportError
        case RuntimeError():
            return DeviceLost if "dropped" in str(error) else ProtocolError
        case _:
            return TransportError


def _words(error: Exception) -> str:
    if isinstance(error, pyvisa.VisaIOError):
        return f"{error.abbreviation}, {error.description}"
    return str(error) or type(error).__name__
