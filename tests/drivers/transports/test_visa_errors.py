"""Every foreign exception becomes the error that names the right reaction."""

import errno

import pytest
import pyvisa
from pyvisa.constants import StatusCode

from drivers.errors import DeviceLost, EquipmentError, ProtocolError, Silent, TransportError
from drivers.transports.visa_errors import mapped


def visa(status: StatusCode) -> pyvisa.VisaIOError:
    return pyvisa.VisaIOError(status)


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (visa(StatusCode.error_timeout), Silent),
        (visa(StatusCode.error_connection_lost), DeviceLost),
        (visa(StatusCode.error_resource_not_found), DeviceLost),
        (visa(StatusCode.error_resource_busy), TransportError),
        (visa(StatusCode.error_abort), TransportError),
        (visa(StatusCode.error_input_protocol_violation), ProtocolError),
        (visa(StatusCode.error_serial_parity), ProtocolError),
        (pyvisa.errors.InvalidSession(), DeviceLost),
        (ConnectionResetError("reset by peer"), DeviceLost),
        (TimeoutError("timed out"), Silent),
        (OSError(errno.ETIMEDOUT, "USB timeout"), Silent),
        (OSError(errno.ENODEV, "unplugged"), DeviceLost),
        (OSError(errno.EBUSY, "busy"), TransportError),
        (OSError(errno.EOVERFLOW, "overflow"), ProtocolError),
        (NotImplementedError(), TransportError),
        (RuntimeError("expected message type 'AsyncStatusResponse', received ..."), ProtocolError),
        (RuntimeError("Connection was dropped by server."), DeviceLost),
        (ProtocolError("already ours"), ProtocolError),
    ],
)
def test_mapped(error: Exception, becomes: type[EquipmentError]) -> None:
    said = mapped(error, "visa:GPIB0::7::INSTR: reading")
    assert type(said) is becomes
    assert str(said).startswith("visa:GPIB0::7::INSTR: reading: ")
    assert len(str(said)) > len("visa:GPIB0::7::INSTR: reading: "), "it says what happened"
