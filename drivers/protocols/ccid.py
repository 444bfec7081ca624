"""Messages and descriptors of USB card readers: USB device class CCID, revision 1.1, chapters 5 and 6."""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Self

from msgspec import Struct

from drivers.errors import ProtocolError

INTERFACE_CLASS = 0x0B
HEADER = 10
SHORT_APDU = 261


class Ask(IntEnum):
    """What the station sends through the bulk pipe."""

    POWER_ON = 0x62
    POWER_OFF = 0x63
    SLOT_STATUS = 0x65
    TRANSFER = 0x6F
    GET_PARAMETERS = 0x6C
    RESET_PARAMETERS = 0x6D
    SET_PARAMETERS = 0x61
    ESCAPE = 0x6B
    CLOCK = 0x6E
    T0_APDU = 0x6A
    SECURE = 0x69
    MECHANICAL = 0x71
    ABORT = 0x72
    SET_RATE = 0x73


class Tell(IntEnum):
    """What the reader answers, and what it says unasked on its interrupt pipe."""

    DATA = 0x80
    SLOT_STATUS = 0x81
    PARAMETERS = 0x82
    ESCAPE = 0x83
    RATE = 0x84
    SLOT_CHANGE = 0x50
    HARDWARE_ERROR = 0x51


class Request(IntEnum):
    """Class requests on the control pipe."""

    ABORT = 0x01
    GET_CLOCK_FREQUENCIES = 0x02
    GET_DATA_RATES = 0x03


ABORT_REQUEST_TYPE = 0x21
"""Class request to an interface, station to reader."""


class Icc(IntEnum):
    """State of the chip in a slot, as each answer tells it."""

    ACTIVE = 0
    INACTIVE = 1
    ABSENT = 2


class Outcome(IntEnum):
    """Whether a command went well; EXTENSION is no answer yet."""

    OK = 0
    FAILED = 1
    EXTENSION = 2


class Level(IntEnum):
    """How a transfer is part of a longer one (wLevelParameter, and byte 9 of a DATA answer)."""

    WHOLE = 0
    BEGINS = 1
    ENDS = 2
    CONTINUES = 3
    GO_ON = 0x10


class Features(IntFlag):
    """What a reader does by itself (dwFeatures)."""

    AUTO_CONFIGURATION = 0x02
    AUTO_ACTIVATION = 0x04
    AUTO_VOLTAGE = 0x08
    AUTO_BAUD = 0x20
    AUTO_PPS_PROPRIETARY = 0x40
    AUTO_PPS = 0x80
    AUTO_IFSD = 0x0400
    TPDU = 0x10000
    SHORT_APDU = 0x20000
    EXTENDED_APDU = 0x40000


ERRORS = {
    0x00: "command not supported",
    0xA2: "short circuit of the card",
    0xA3: "ATR too long",
    0xAB: "no data exchanged",
    0xB0: "EMV mode: message too long",
    0xBB: "EMV mode: protocol error",
    0xBD: "EMV mode: card error in T=1",
    0xBE: "wrong APDU length",
    0xE0: "slot busy",
    0xEF: "PIN entry cancelled",
    0xF0: "PIN entry timed out",
    0xF2: "busy with an automatic sequence",
    0xF3: "protocol deactivated",
    0xF4: "procedure byte conflict",
    0xF5: "class not supported",
    0xF6: "protocol not supported",
    0xF7: "bad TS in the ATR",
    0xF8: "bad TCK in the ATR",
    0xFB: "hardware error",
    0xFC: "overrun while talking to the card",
    0xFD: "parity error while talking to the card",
    0xFE: "card absent or mute",
    0xFF: "aborted by the station",
}
MUTE = 0xFE
GARBLED = frozenset({0xFC, 0xFD})
CARD_ERRORS = frozenset({0xA2, 0xA3, 0xAB, 0xB0, 0xBB, 0xBD, 0xF3, 0xF4, 0xF7, 0xF8, 0xFC, 0xFD, 0xFE})
"""Errors that tell of the chip; all others tell of the reader, or of what the station asked of it."""


def error_text(code: int) -> str:
    """Say what a bError means."""
    if 0x01 <= code <= 0x7F:
        return f"the reader does not accept byte {code} of the message"
    return ERRORS.get(code, "error of the reader's maker")


_COMMAND_HEAD = struct.Struct("<BIBB3s")
_ANSWER_HEAD = struct.Struct("<BIBBBBB")
# looked up here, since a call of the class takes ten times as long and there are two messages a transfer
_ASKS = {int(ask): ask for ask in Ask}
_TELLS = {int(tell): tell for tell in Tell}
_STATES = {outcome << 6 | icc: (icc, outcome) for outcome in Outcome for icc in Icc}
_DEFINED = 0xC3


class Command(Struct, frozen=True):
    """One message to a slot."""

    ask: Ask
    slot: int
    seq: int
    specific: bytes = b"\0\0\0"
    data: bytes = b""

    def encode(self) -> bytes:
        """Write the message as one bulk transfer."""
        data = self.data
        return _COMMAND_HEAD.pack(self.ask, len(data), self.slot, self.seq, self.specific) + data

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read a message; ProtocolError if it is none."""
        data = _data(raw, "command")
        kind, _, slot, seq, specific = _COMMAND_HEAD.unpack_from(raw)
        if (ask := _ASKS.get(kind)) is None:
            raise ProtocolError(f"CCID command {kind:02X} does not exist")
        return cls(ask, slot, seq, specific, data)


class Answer(Struct, frozen=True):
    """One message from a slot."""

    tell: Tell
    slot: int
    seq: int
    icc: Icc = Icc.ACTIVE
    outcome: Outcome = Outcome.OK
    error: int = 0
    extra: int = 0
    """Chain parameter, state of the clock, or protocol, by the kind of message."""
    data: bytes = b""

    def encode(self) -> bytes:
        """Write the message as one bulk transfer."""
        data, status = self.data, self.outcome << 6 | self.icc
        head = self.tell, len(data), self.slot, self.seq, status, self.error, self.extra
        return _ANSWER_HEAD.pack(*head) + data

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read a message; ProtocolError if it is none."""
        data = _data(raw, "answer")
        kind, _, slot, seq, status, error, extra = _ANSWER_HEAD.unpack_from(raw)
        try:
            return cls(_TELLS[kind], slot, seq, *_STATES[status & _DEFINED], error, extra, data)
        except KeyError:
            raise ProtocolError(f"CCID answer {raw[:HEADER].hex(' ')} is not allowed") from None


def _data(raw: bytes, what: str) -> bytes:
    """Return what follows the head, which says how long it is."""
    if len(raw) < HEADER:
        raise ProtocolError(f"CCID {what} of {len(raw)} bytes; its head alone has {HEADER}")
    data = raw[HEADER:]
    if len(data) != (length := int.from_bytes(raw[1:5], "little")):
        raise ProtocolError(f"CCID {what} of {len(raw)} bytes announces {HEADER + length}")
    return data


def transfer(slot: int, seq: int, data: bytes, *, waiting: int = 0, level: int = Level.WHOLE) -> Command:
    """Make a transfer to the chip: `waiting` lengthens the block waiting time of T=1."""
    return Command(Ask.TRANSFER, slot, seq, struct.pack("<BH", waiting, level), data)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the reader must know of the chip to talk to it in T=1 (`protocol` 1) or T=0."""

    protocol: int
    fi_di: int = 0x11
    guard: int = 0
    crc: bool = False
    inverse: bool = False
    bwi: int = 4
    cwi: int = 13
    wi: int = 10
    clock_stop: int = 0
    ifsc: int = 32

    def encode(self) -> bytes:
        """Write bmFindexDindex and what follows it."""
        if self.protocol == 0:
            return bytes((self.fi_di, self.inverse << 1, self.guard, self.wi, self.clock_stop))
        checks = 0x10 | self.inverse << 1 | self.crc
        waiting = self.bwi << 4 | self.cwi
        return bytes((self.fi_di, checks, self.guard, waiting, self.clock_stop, self.ifsc, 0))

    @classmethod
    def decode(cls, protocol: int, raw: bytes) -> Self:
        """Read what `encode` writes."""
        match protocol, *raw:
            case 0, fi_di, checks, guard, wi, stop:
                return cls(0, fi_di, guard, False, bool(checks & 2), wi=wi, clock_stop=stop)
            case 1, fi_di, checks, guard, waiting, stop, ifsc, _:
                bits = bool(checks & 1), bool(checks & 2)
                return cls(1, fi_di, guard, *bits, waiting >> 4, waiting & 15, 10, stop, ifsc)
        raise ProtocolError(f"CCID parameters for T={protocol} of {len(raw)} bytes")


@dataclass(frozen=True, slots=True)
class SlotChange:
    """What the interrupt pipe tells: for each slot, lowest first, whether a card is there and has changed."""

    slots: tuple[tuple[bool, bool], ...]

    def encode(self) -> bytes:
        """Write the message as one interrupt transfer."""
        bits = sum((present | changed << 1) << 2 * n for n, (present, changed) in enumerate(self.slots))
        return bytes((Tell.SLOT_CHANGE,)) + bits.to_bytes((len(self.slots) + 3) // 4, "little")

    @classmethod
    def decode(cls, raw: bytes, slots: int) -> Self:
        """Read a message of a reader with `slots` slots; ProtocolError if it is none."""
        if len(raw) != 1 + (slots + 3) // 4 or raw[0] != Tell.SLOT_CHANGE:
            raise ProtocolError(f"CCID notification {raw.hex(' ')} for {slots} slots")
        bits = int.from_bytes(raw[1:], "little")
        return cls(tuple((bool(bits >> 2 * n & 1), bool(bits >> 2 * n & 2)) for n in range(slots)))


_CLASS_DESCRIPTOR = struct.Struct("<BBHBBIIIBIIBIIIIIBBHBB")
CLASS_DESCRIPTOR_TYPE = 0x21


@dataclass(frozen=True)
class ClassDescriptor:
    """What a reader can do, in the order and with the units of the standard (kHz, bit/s)."""

    last_slot: int = 0
    voltages: int = 7
    """Bit 0 for 5 V, 1 for 3 V, 2 for 1.8 V."""
    protocols: int = 3
    """Bit 0 for T=0, 1 for T=1."""
    default_clock: int = 4000
    maximum_clock: int = 4000
    clocks: int = 0
    data_rate: int = 10752
    maximum_data_rate: int = 688172
    data_rates: int = 0
    maximum_ifsd: int = 254
    features: int = Features.TPDU
    maximum_message: int = 271
    busy_slots: int = 1
    revision: int = 0x0110

    def encode(self) -> bytes:
        """Write the 54 bytes."""
        # fmt: off
        return _CLASS_DESCRIPTOR.pack(
            _CLASS_DESCRIPTOR.size, CLASS_DESCRIPTOR_TYPE, self.revision, self.last_slot, self.voltages,
            self.protocols, self.default_clock, self.maximum_clock, self.clocks, self.data_rate,
            self.maximum_data_rate, self.data_rates, self.maximum_ifsd, 0, 0, self.features,
            self.maximum_message, 0, 0, 0, 0, self.busy_slots,
        )
        # fmt: on

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read a class descriptor; ProtocolError if it is none."""
        if len(raw) != _CLASS_DESCRIPTOR.size:
            raise ProtocolError(f"CCID class descriptor of {len(raw)} bytes; it has {_CLASS_DESCRIPTOR.size}")
        f = _CLASS_DESCRIPTOR.unpack(raw)
        return cls(*(*f[3:13], *f[15:17], f[21], f[2]))
