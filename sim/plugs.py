"""Machines that are not reached through a VISA library: GPIB adapters onto their lines, USBTMC onto USB."""

from collections.abc import Sequence

from sim.addresses import SERIAL, USBTMC, BehindAdapter, behind_adapter, usb_identity, visa_resource
from sim.gpib.adapter import EthernetAdapter, SerialAdapter
from sim.instrument import Instrument
from sim.plant import Plant
from sim.serial import machine as serial
from sim.serial import protocol_hardbin
from sim.usb.usbtmc import UsbtmcDevice
from sim.wiring import Placement, WorldError


def plug_usbtmc(equipment: Sequence[Placement], plant: Plant) -> None:
    """Put every machine that is at a USBTMC port onto the USB bus; it is on its message bus already."""
    for placed in equipment:
        if placed.port.startswith(f"{USBTMC}:"):
            instrument = plant.visa[visa_resource(placed)]
            plant.usb.attach(UsbtmcDevice(instrument, *usb_identity(placed)))


def plug_adapters(equipment: Sequence[Placement], plant: Plant) -> None:
    """Make every adapter that is named; its machines are on their bus already."""
    adapters = dict[str, dict[int, Instrument]]()
    for placed in equipment:
        if (place := behind_adapter(placed)) is not None:
            devices = adapters.setdefault(place.line, {})
            devices[_number(place)] = plant.visa[visa_resource(placed)]
    for line, devices in adapters.items():
        scheme, _, where = line.partition(":")
        if scheme == "tcp":
            _ethernet(where, devices, plant)
        else:
            _serial(where, devices, plant)


def _number(place: BehindAdapter) -> int:
    return place.primary + 100 * place.secondary


def _ethernet(where: str, devices: dict[int, Instrument], plant: Plant) -> None:
    host, _, number = where.rpartition(":")
    if not host or not number.isdigit():
        raise WorldError(f"GPIB adapter at tcp:{where}: write tcp:<host>:<port>")
    plant.tcp.plug(host, int(number), EthernetAdapter(plant.clock, devices))
    plant.unplugging.callback(plant.tcp.unplug, host, int(number))


def _serial(where: str, devices: dict[int, Instrument], plant: Plant) -> None:
    end = f"{plant.world}.{where.removeprefix(SERIAL)}"
    protocol_hardbin.known_to_pyserial()
    serial.plug(end, SerialAdapter(plant.clock, devices))
    plant.unplugging.callback(serial.unplug, end)
