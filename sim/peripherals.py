"""How the machines beside the sites get onto their buses: digital I/O, towers, readers, interlocks."""

from sim.addresses import serial_end, usb_identity
from sim.dio.ftdi_mpsse import FtdiMpsse
from sim.dio.velleman_k8090 import VellemanK8090
from sim.plant import Plant
from sim.serial import machine as serial
from sim.serial import protocol_hardbin
from sim.wiring import Placement


def at_line(placed: Placement, plant: Plant, machine: serial.SerialMachine) -> None:
    """Put a machine at the end of its serial line."""
    end = f"{plant.world}.{serial_end(placed)}"
    protocol_hardbin.known_to_pyserial()
    serial.plug(end, machine)
    plant.unplugging.callback(serial.unplug, end)


def ftdi_mpsse(placed: Placement, plant: Plant) -> None:
    """Plug the chip in; a handler may be soldered to its lines."""
    vendor, product, number = usb_identity(placed)
    faults = plant.faults(placed, FtdiMpsse.knobs)
    chip = FtdiMpsse(plant.usb, faults=faults, vid=vendor, pid=product, serial=number)
    plant.lines[placed.name] = chip.lines
    plant.usb.attach(chip)


def velleman_k8090(placed: Placement, plant: Plant) -> None:
    """Plug the relay board in."""
    board = VellemanK8090(plant.clock, faults=plant.faults(placed, VellemanK8090.knobs))
    plant.lines[placed.name] = board.lines
    at_line(placed, plant, board)
