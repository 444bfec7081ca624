"""What is connected to this computer, and who it is."""

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import entry_points

import msgspec
import pyvisa
import usb.core
from msgspec import Struct
from serial.tools import list_ports

from drivers.errors import EquipmentError
from drivers.roles import Identity, Machine
from drivers.transports import Port, Stream
from station.equip import talk

IDENTITY = b"*IDN?\n"
IDENTIFY_S = 2.0
CONNECT_S = 60.0
"""How long a machine may take to connect, become safe, and tell how it is."""


class Found(Struct, frozen=True):
    """Something at a port."""

    port: str
    what: str


class Answered(Struct, frozen=True):
    """What something said of itself, or why not."""

    place: str
    maker: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    drivers: tuple[str, ...] = ()
    """Those that say that they drive this model."""
    error: str = ""
    health: dict[str, str] = {}
    """What each channel tells of how it is, by its name; empty where nobody asked, or nothing is told."""

    def __str__(self) -> str:
        name = f"{self.maker} {self.model}".strip()
        serial = f"serial {self.serial}" if self.serial else ""
        firmware = f"firmware {self.firmware}" if self.firmware else ""
        return ", ".join(word for word in (name, serial, firmware, *self._told()) if word)

    def _told(self) -> Iterator[str]:
        for channel, how in self.health.items():
            yield f"{channel}: {how}" if channel else how


def everything(visa_library: str) -> list[Found]:
    """Look for serial ports, USB devices and what the VISA library finds; nothing is opened or asked."""
    return [*_serial_ports(), *_usb_devices(), *_visa(visa_library)]


def _serial_ports() -> Iterator[Found]:
    for port in sorted(list_ports.comports()):
        yield Found(f"serial:{port.device}", port.description)


def _usb_devices() -> Iterator[Found]:
    with suppress(usb.core.NoBackendError, OSError):
        for device in usb.core.find(find_all=True):
            yield Found(f"usb:{device.idVendor:04x}:{device.idProduct:04x}:{_text(device)}", _class(device))


def _text(device: "usb.core.Device") -> str:
    try:
        return device.serial_number or ""
    except (OSError, ValueError):  # its strings may not be read by everybody
        return ""


def _class(device: "usb.core.Device") -> str:
    try:
        return f"{device.manufacturer or ''} {device.product or ''}".strip() or "USB device"
    except (OSError, ValueError):
        return "USB device, whose strings may not be read"


def _visa(library: str) -> Iterator[Found]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about optional ways to look, which are not installed
        try:
            manager = pyvisa.ResourceManager(library)
            names = manager.list_resources("?*")
            manager.close()
        except (OSError, ValueError, pyvisa.Error):
            return
    yield from (Found(f"visa:{name}", library) for name in names if not name.startswith("ASRL"))


async def identified(place: str, port: Port | Stream) -> Answered:
    """Ask for the identity as IEEE 488.2 says, at a port that is open."""
    try:
        answer = await talk.ask(port, IDENTITY, timeout_s=IDENTIFY_S)
    except EquipmentError as error:
        return Answered(place, error=str(error))
    maker, model, serial, firmware = (*answer.decode("latin-1").strip().split(",", 3), "", "", "")[:4]
    return answered(place, Identity(maker.strip(), model.strip(), serial.strip(), firmware.strip()))


def answered(place: str, found: Identity) -> Answered:
    """Return who it is, with the drivers that know the model."""
    fitting = tuple(sorted(name for name, models in models_of_drivers().items() if _fits(models, found)))
    return Answered(place, found.maker, found.model, found.serial, found.firmware, fitting)


async def well(place: str, machine: Machine) -> Answered:
    """Ask a connected machine for errors, and each channel how it is; EquipmentError tells what is bad."""
    await machine.read_errors()
    told = {name: how for name, channel in machine.channels.items() if (how := await channel.health())}
    return msgspec.structs.replace(answered(place, await machine.identify()), health=told)


def _fits(models: str, found: Identity) -> bool:
    return bool(found.model) and re.search(models, found.model) is not None


def models_of_drivers() -> Mapping[str, str]:
    """Return the pattern of the models that each driver knows, of those that tell."""
    found = dict[str, str]()
    for entry in entry_points(group="hardbin.drivers"):
        with suppress(ImportError):
            models = getattr(entry.load(), "models", None)
            if isinstance(models, str):
                found[entry.name] = models
    return found
