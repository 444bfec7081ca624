"""The errors of equipment, named by the reaction they demand."""


class EquipmentError(Exception):
    """The station cannot tell: stop the site, call someone, judge no device."""


class TransportError(EquipmentError):
    """Bytes could not be moved: the far end is silent, gone, or refused."""


class Silent(TransportError):  # noqa: N818 - what the far end is
    """Nothing came within the time allowed; the port itself still works."""


class DeviceLost(TransportError):  # noqa: N818 - what has happened
    """The port is gone or its thread did not come back; only a new transport may use it."""


class ProtocolError(EquipmentError):
    """Bytes moved, and they are not what the manual allows."""


class InstrumentError(EquipmentError):
    """The instrument itself says that it refused."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"error {code}: {text}")
        self.code = code


class DutError(Exception):
    """The device under test misbehaved: its test fails, the lot goes on."""

    def __init__(self, reason: str, *, silent: bool = False) -> None:
        super().__init__(reason)
        self.silent = silent
        """True when the device did not answer at all, false when it answered wrongly."""
