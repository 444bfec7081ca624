"""How the machines beside the sites get onto their buses: digital I/O, towers, readers, interlocks."""

from collections.abc import Mapping
from functools import partial
from typing import cast

import msgspec
from msgspec import Struct

from drivers.protocols.patlite import Model
from sim.addresses import serial_end, tcp_address, usb_identity
from sim.dio.ftdi_mpsse import FtdiMpsse
from sim.dio.i2c import Bus
from sim.dio.spi import Register
from sim.dio.velleman_k8090 import VellemanK8090
from sim.idreader.keyboard import KeyboardReader
from sim.idreader.text_line import TextLineReader
from sim.interlock.modbus import Bank, ModbusRtu, ModbusTcp
from sim.plant import Plant
from sim.serial import machine as serial
from sim.serial import protocol_hardbin
from sim.tower.patlite import Patlite
from sim.wiring import Placement

SCAN_S = 5.0
"""How often somebody holds a code in front of a reader that types."""


class Point(Struct, frozen=True):
    """What the simulated devices must know of a point of the Modbus driver."""

    kind: str
    address: int
    unit: int = 1
    bit: int | None = None
    inverted: bool = False
    interlock: bool = False


class Soldered(Struct, frozen=True):
    """What the options of an FTDI bridge say of the devices at its lines."""

    spi_mode: int = 0
    i2c: Mapping[str, int] = {}


class Told(Struct, frozen=True):
    """What the options of a code reader say of the reader itself."""

    trigger: str = ""
    ends: str = "\r\n"
    prefix: str = ""
    suffix: str = ""
    no_read: tuple[str, ...] = ("ERROR",)


def at_line(placed: Placement, plant: Plant, machine: serial.SerialMachine) -> None:
    """Put a machine at the end of its serial line."""
    end = f"{plant.world}.{serial_end(placed)}"
    protocol_hardbin.known_to_pyserial()
    serial.plug(end, machine)
    plant.unplugging.callback(serial.unplug, end)


def ftdi_mpsse(placed: Placement, plant: Plant) -> None:
    """Plug the chip in; a handler, a register or memories may be soldered to its lines."""
    vendor, product, number = usb_identity(placed)
    faults = plant.faults(placed, FtdiMpsse.knobs)
    at = msgspec.convert(dict(placed.options), Soldered)
    chip = FtdiMpsse(plant.usb, faults=faults, vid=vendor, pid=product, serial=number)
    chip.register, chip.i2c = Register(at.spi_mode), Bus(at.i2c.values())
    plant.lines[placed.name] = chip.lines
    plant.usb.attach(chip)


def velleman_k8090(placed: Placement, plant: Plant) -> None:
    """Plug the relay board in."""
    board = VellemanK8090(plant.clock, faults=plant.faults(placed, VellemanK8090.knobs))
    plant.lines[placed.name] = board.lines
    at_line(placed, plant, board)


def patlite(placed: Placement, plant: Plant) -> None:
    """Let the tower listen."""
    tower = Patlite(
        plant.clock,
        model=cast("Model", placed.options.get("model", "lr5")),
        prefix=str(placed.options.get("prefix", "AB")),
        faults=plant.faults(placed, Patlite.knobs),
    )
    plant.tcp.plug(*tcp_address(placed), tower)


def modbus(placed: Placement, plant: Plant) -> None:
    """Let the devices listen that the points of the driver tell of, every interlock closed."""
    bank = _bank(placed)
    if placed.port.startswith("tcp:"):
        tcp = ModbusTcp(plant.clock, bank, faults=plant.faults(placed, ModbusTcp.knobs))
        plant.tcp.plug(*tcp_address(placed), tcp)
    else:
        at_line(placed, plant, ModbusRtu(plant.clock, bank, faults=plant.faults(placed, ModbusRtu.knobs)))


_TABLES: Mapping[str, str] = {
    "coil": "coils",
    "input": "inputs",
    "holding": "holding",
    "register": "registers",
}


def _bank(placed: Placement) -> Bank:
    """Hold what the points need: on where an interlock must be, else zero."""
    bank = Bank()
    for point in msgspec.convert(placed.options.get("points", {}), dict[str, Point]).values():
        name, key = _TABLES[point.kind], (point.unit, point.address)
        table: dict[tuple[int, int], int] = getattr(bank, name)
        bit = 1 << (point.bit or 0) if point.interlock else 0
        before = table.get(key, 0)
        table[key] = before & ~bit if point.inverted else before | bit
        if point.interlock:
            bank.interlocks[(name, *key)] = table[key] ^ bit
    return bank


def text_line(placed: Placement, plant: Plant) -> None:
    """Put the reader at its line."""
    told = msgspec.convert(dict(placed.options), Told)
    reader = TextLineReader(
        plant.clock,
        partial(plant.code, placed),
        trigger=told.trigger,
        wrap=(told.prefix, told.suffix + told.ends),
        no_read=told.no_read[0] if told.no_read else "",
        faults=plant.faults(placed, TextLineReader.knobs),
    )
    at_line(placed, plant, reader)


def keyboard(placed: Placement, plant: Plant) -> None:
    """Plug the reader in; somebody holds a code in front of it now and then."""
    vendor, product, number = usb_identity(placed)
    faults = plant.faults(placed, KeyboardReader.knobs)
    reader = KeyboardReader(plant.usb, faults=faults, vid=vendor, pid=product, serial=number)

    def scan() -> None:
        if code := plant.code(placed):
            reader.scan(code)
        plant.clock.call_later(SCAN_S, scan)

    plant.usb.attach(reader)
    plant.clock.call_later(SCAN_S, scan)
