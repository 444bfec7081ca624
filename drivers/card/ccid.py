"""USB card readers of class CCID with any number of slots: USB device class CCID, revision 1.1.

At TPDU level the driver speaks T=1 itself; readers at short and extended APDU level do that alone. Readers at
character level are refused.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

from msgspec import Struct

from drivers.errors import DutError, EquipmentError, ProtocolError
from drivers.links.card import VOLTAGES, SlotLink, Voltage
from drivers.links.ccid import ChipError, ReaderLink
from drivers.protocols.ccid import (
    CLASS_DESCRIPTOR_TYPE,
    INTERFACE_CLASS,
    ClassDescriptor,
    Features,
    Icc,
)
from drivers.roles import Card, CardStep, Identity, Machine, ScriptReply
from drivers.transports import Control, Conversation, Port, data_of
from drivers.transports.trace import muted
from drivers.transports.usb_descriptors import (
    CONFIGURATION,
    DEVICE,
    ENGLISH,
    GET_DESCRIPTOR,
    IN,
    STRING,
    Interface,
    interfaces,
    text,
)

MAX_SLOTS = 16
LAST_S = 1.0
_LEVELS = Features.TPDU | Features.SHORT_APDU | Features.EXTENDED_APDU


class CcidOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a station file may say of a reader."""

    slots: int = 1
    """How many slots are wired to sites; the reader must have at least as many."""
    voltage: Voltage = "auto"

    def __post_init__(self) -> None:
        if not 1 <= self.slots <= MAX_SLOTS:
            raise ValueError(f"slots = {self.slots}; allowed are 1 to {MAX_SLOTS}")


class CcidSlot(Card):
    """One slot: the chip in it. A failed exchange leaves the chip alone until it is reset or powered on."""

    def __init__(self, name: str, number: int, port: Port) -> None:
        super().__init__(name)
        self.number = number
        self._port = port
        self._link: SlotLink | None = None

    def attach(self, link: SlotLink) -> None:
        """Use a link; a new one after each connect."""
        self._link = link

    async def power_on(self) -> bytes:
        """Activate the chip and agree on protocol and rate; DutError if it does not take part."""
        try:
            return await self._port.run(self._linked().power_on())
        except ChipError as error:
            raise DutError(f"{self.name}: {error}", silent=error.silent) from error

    async def power_off(self) -> None:
        """Deactivate the contacts; a slot without a chip is off already."""
        await self._port.run(_off(self._linked()))

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        """Do the steps in order in one hop on the port's thread; none of their bytes enter the trace."""
        with muted():
            return await self._port.run(self._linked().script(tuple(script)))

    async def make_safe(self) -> None:
        """Power off, and read back that the chip is without power."""
        if await self._port.run(_made_safe(self._linked())) is Icc.ACTIVE:
            raise EquipmentError(f"{self.name}: the chip still has power")

    def _linked(self) -> SlotLink:
        if self._link is None:
            raise EquipmentError(f"{self.name} is not connected")
        return self._link


class CcidReader(Machine):
    """One reader. Its channels are its slots, counted from "0"."""

    port: ClassVar[type] = Port
    Options = CcidOptions

    def __init__(self, name: str, port: Port, options: CcidOptions) -> None:
        self.name = name
        self._port = port
        self._options = options
        self._slots = tuple(CcidSlot(f"{name}.{number}", number, port) for number in range(options.slots))
        self.channels: Mapping[str, CcidSlot] = {str(slot.number): slot for slot in self._slots}

    async def connect(self) -> None:
        """Open the port, check that the reader can do what is needed, and take the power from every slot.

        After a reader was unplugged: `aclose`, then this again; all slots are then without power.
        """
        await self._port.open()
        reader = await self._port.run(_reader(self._options))
        for slot in self._slots:
            slot.attach(SlotLink(slot.number, reader, self._options.voltage))
            await slot.make_safe()

    async def identify(self) -> Identity:
        """Read the strings of the device descriptor; the firmware is its release number."""
        return await self._port.run(_identity())

    async def aclose(self) -> None:
        """Take the power from the slots as far as the reader still answers, and close the port."""
        with suppress(EquipmentError, TimeoutError):
            async with asyncio.timeout(LAST_S):
                for slot in self._slots:
                    await slot.power_off()
        await self._port.aclose()


def _off(link: SlotLink) -> Conversation[None]:
    with suppress(ChipError):  # no chip, no power
        yield from link.power_off()


def _made_safe(link: SlotLink) -> Conversation[Icc]:
    yield from _off(link)
    with suppress(ChipError):
        return (yield from link.state())
    return Icc.ABSENT


def _reader(options: CcidOptions) -> Conversation[ReaderLink]:
    head = yield from _descriptor(CONFIGURATION, 9)
    raw = yield from _descriptor(CONFIGURATION, int.from_bytes(head[2:4], "little"))
    found = [one for one in interfaces(raw) if one.device_class == INTERFACE_CLASS]
    if not found:
        raise ProtocolError("the device has no interface of class smart card")
    if found[0].protocol != 0:
        raise ProtocolError(f"card reader of protocol {found[0].protocol}; CCID is 0 (1, 2 are ICCD)")
    return ReaderLink(found[0], _suitable(_capabilities(found[0]), options))


def _capabilities(interface: Interface) -> ClassDescriptor:
    for piece in interface.extra:
        if piece[1] == CLASS_DESCRIPTOR_TYPE:
            return ClassDescriptor.decode(piece)
    raise ProtocolError("the card reader has no class descriptor")


def _suitable(capabilities: ClassDescriptor, options: CcidOptions) -> ClassDescriptor:
    if not capabilities.features & _LEVELS:
        raise EquipmentError("the reader works at character level; TPDU or APDU level is needed")
    if capabilities.last_slot + 1 < options.slots:
        raise EquipmentError(f"slots = {options.slots}, but the reader has {capabilities.last_slot + 1}")
    wanted = VOLTAGES[options.voltage]
    if wanted == 0 and not capabilities.features & Features.AUTO_VOLTAGE:
        raise EquipmentError("the reader does not choose the voltage itself: set option voltage")
    if wanted and not capabilities.voltages & 1 << (wanted - 1):
        raise EquipmentError(f"the reader does not supply {options.voltage}")
    return capabilities


def _identity() -> Conversation[Identity]:
    raw = yield from _descriptor(DEVICE, 18)
    if len(raw) != 18:
        raise ProtocolError(f"USB device descriptor of {len(raw)} bytes; it has 18")
    maker = yield from _string(raw[14])
    model = yield from _string(raw[15])
    serial = yield from _string(raw[16])
    return Identity(maker, model, serial, f"{raw[13]:x}.{raw[12]:02x}")


def _string(index: int) -> Conversation[str]:
    return text((yield from _descriptor(STRING, 255, index))) if index else ""


def _descriptor(kind: int, length: int, index: int = 0) -> Conversation[bytes]:
    language = ENGLISH if kind == STRING else 0
    return data_of((yield Control(IN, GET_DESCRIPTOR, kind << 8 | index, language, length=length)))
