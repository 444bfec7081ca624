"""Simulated things at Modbus: coils and registers, behind TCP or a serial line."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.errors import ProtocolError
from drivers.protocols.modbus import READS, Frame, Frames, Framing, Function, Request
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.serial.machine import LINE_KNOBS, SerialMachine
from sim.tcp.machine import TCP_KNOBS, Connection, TcpMachine

ANSWER_S = 0.01
BAD_ADDRESS = 2
KNOBS = frozenset({"interlock_open", "drop_reply", "bad_crc", "exception", "swap_answers", "stuck"})
"""`exception` takes a code, 4 if none; `swap_answers` answers with the transaction before."""
_TABLES: Mapping[Function, str] = {
    Function.READ_COILS: "coils",
    Function.WRITE_COIL: "coils",
    Function.WRITE_COILS: "coils",
    Function.READ_INPUTS: "inputs",
    Function.READ_HOLDING: "holding",
    Function.WRITE_REGISTER: "holding",
    Function.WRITE_REGISTERS: "holding",
    Function.READ_INPUT_REGISTERS: "registers",
}


@dataclass
class Bank:
    """What the devices of all units hold, by unit and address; an address that is not there is refused."""

    coils: dict[tuple[int, int], int] = field(default_factory=dict)
    inputs: dict[tuple[int, int], int] = field(default_factory=dict)
    holding: dict[tuple[int, int], int] = field(default_factory=dict)
    registers: dict[tuple[int, int], int] = field(default_factory=dict)
    interlocks: dict[tuple[str, int, int], int] = field(default_factory=dict)
    """What the cell of a table holds while its interlock is open."""

    def done(self, unit: int, request: Request, faults: Faults) -> bytes:
        """Do a request and return the PDU of its answer."""
        if (code := faults.strikes("exception")) is not None:
            return request.refused(int(code or 4))
        name = _TABLES[request.function]
        table: dict[tuple[int, int], int] = getattr(self, name)
        many = max(request.count, len(request.values))
        keys = [(unit, request.address + at) for at in range(many)]
        if not all(key in table for key in keys):
            return request.refused(BAD_ADDRESS)
        if request.function not in READS:
            if faults.strikes("stuck") is None:
                table.update(zip(keys, request.values, strict=True))
            return request.answered()
        opened = faults.strikes("interlock_open") is not None
        values = [table[key] for key in keys]
        for at, key in enumerate(keys):
            if opened and (name, *key) in self.interlocks:
                values[at] = self.interlocks[name, *key]
        return request.answered(tuple(values))


class Device:
    """The devices at one line: takes bytes, gives the bytes of the answers."""

    def __init__(self, bank: Bank, framing: Framing, faults: Faults) -> None:
        self._bank = bank
        self._framing: Framing = framing
        self._faults = faults
        self._frames = Frames(framing, asks=True)

    def said(self, data: bytes) -> list[bytes]:
        """Take bytes of the station."""
        return [answer for frame in self._frames.feed(data) if (answer := self._answer(frame))]

    def _answer(self, frame: Frame) -> bytes:
        try:
            pdu = self._bank.done(frame.unit, Request.decode(frame.pdu), self._faults)
        except ProtocolError:
            pdu = bytes((frame.pdu[0] | 0x80, 1))
        if self._faults.strikes("drop_reply") is not None:
            return b""
        swapped = self._faults.strikes("swap_answers") is not None
        transaction = frame.transaction - 1 & 0xFFFF if swapped else frame.transaction
        raw = Frame(frame.unit, pdu, transaction).encode(self._framing)
        if self._framing == "rtu" and self._faults.strikes("bad_crc") is not None:
            return raw[:-1] + bytes((raw[-1] ^ 0x01,))
        return raw


class ModbusTcp(TcpMachine):
    """The devices behind one TCP port."""

    knobs = TCP_KNOBS | KNOBS

    def __init__(self, clock: Clock, bank: Bank, *, faults: Faults = NO_FAULTS) -> None:
        super().__init__(clock, faults)
        self.bank = bank
        self._devices: dict[Connection, Device] = {}

    def on_data(self, connection: Connection, data: bytes) -> None:
        device = self._devices.setdefault(connection, Device(self.bank, "tcp", self.faults))
        for answer in device.said(data):
            connection.send(answer, after_s=ANSWER_S)

    def left(self, connection: Connection) -> None:
        super().left(connection)
        self._devices.pop(connection, None)


class ModbusRtu(SerialMachine):
    """The devices at one serial line."""

    knobs = LINE_KNOBS | KNOBS

    def __init__(self, clock: Clock, bank: Bank, *, faults: Faults = NO_FAULTS) -> None:
        super().__init__(clock, faults)
        self.bank = bank
        self._device = Device(bank, "rtu", faults)

    def on_data(self, data: bytes) -> None:
        for answer in self._device.said(data):
            self.send(answer, after_s=ANSWER_S)
