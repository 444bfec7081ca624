"""Ports that cannot be meant are refused before anything is opened; what VISA alone knows is left to it."""

import pytest

from drivers.transports.visa import VisaLibrary
from station.ports import PortError, Ports


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("visa:GPIB1::xx", "'xx' is no GPIB address; write 0 to 30"),
        ("visa:gpib::31::INSTR", "'31' is no GPIB address"),
        ("usb:zz:0002:R1", "in hexadecimal"),
        ("usbtmc:05e6:12345:S1", "in hexadecimal"),
    ],
)
def test_what_cannot_be_meant(text: str, message: str) -> None:
    with pytest.raises(PortError, match=message):
        Ports(VisaLibrary("@py"), None).make("meter", text, None)


@pytest.mark.parametrize("text", ["visa:GPIB0::7::INSTR", "visa:GPIB::0", "usb:0x1209:2:R1"])
def test_what_may_be(text: str) -> None:
    Ports(VisaLibrary("@py"), None).make("meter", text, None)
