"""A simulated PC/SC service: the functions of pyscard's `smartcard.scard` that a port calls.

Its readers are slots of a load board, or chips of a test. Names and values are those of PC/SC.
"""

from collections.abc import Mapping

from drivers.protocols.atr import AtrError, parse
from drivers.protocols.pcsc import Status
from sim.card.t0 import ChipT0
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.sockets import Slot

UNKNOWN_READER = 0x80100009
SHARING_VIOLATION = 0x8010000B
SERVICE_STOPPED = 0x8010001E


class SimulatedPcsc:
    """The service. It has no other clients than one."""

    SCARD_SCOPE_SYSTEM = 2
    SCARD_SHARE_EXCLUSIVE = 1
    SCARD_PROTOCOL_T0 = 1
    SCARD_PROTOCOL_T1 = 2
    SCARD_PCI_T0 = 1
    SCARD_PCI_T1 = 2
    SCARD_RESET_CARD = 1
    SCARD_UNPOWER_CARD = 2

    knobs = frozenset({"mute", "card_removed", "service_stopped", "taken"})

    def __init__(self, clock: Clock, readers: Mapping[str, Slot], *, faults: Faults = NO_FAULTS) -> None:
        self._clock = clock
        self._readers = dict(readers)
        self._faults = dict.fromkeys(readers, faults)
        """By reader; any of them may find the service stopped."""
        self._atr: dict[str, bytes] = {}
        """The readers whose chip has power."""
        self._t0: dict[str, ChipT0] = {}

    def plug(self, reader: str, slot: Slot, faults: Faults) -> None:
        """Plug another reader in."""
        self._readers[reader], self._faults[reader] = slot, faults

    # -- names as pyscard has them
    def SCardEstablishContext(self, scope: int) -> tuple[int, int]:  # noqa: N802
        """Reach the service."""
        del scope
        stopped = [
            faults for faults in self._faults.values() if faults.strikes("service_stopped") is not None
        ]
        return (SERVICE_STOPPED, 0) if stopped else (0, 1)

    def SCardReleaseContext(self, context: int) -> int:  # noqa: N802
        """Let go of it."""
        del context
        return 0

    def SCardListReaders(self, context: int, groups: list[str]) -> tuple[int, list[str]]:  # noqa: N802
        """Name the readers."""
        del context, groups
        return 0, sorted(self._readers)

    def SCardConnect(  # noqa: N802
        self, context: int, reader: str, share: int, protocols: int
    ) -> tuple[int, str, int]:
        """Take a reader and power its chip on; the handle is the reader's name."""
        del context, share
        if reader not in self._readers:
            return UNKNOWN_READER, "", 0
        if self._strikes(reader, "taken"):
            return SHARING_VIOLATION, "", 0
        code, protocol = self._activated(reader, protocols)
        return code, reader, protocol

    def SCardReconnect(self, handle: str, share: int, protocols: int, how: int) -> tuple[int, int]:  # noqa: N802
        """Reset the chip."""
        del share, how
        return self._activated(handle, protocols)

    def SCardDisconnect(self, handle: str, how: int) -> int:  # noqa: N802
        """Take the power from the chip."""
        del how
        if self._atr.pop(handle, None) is not None:
            self._readers[handle].deactivate()
        return 0

    def SCardStatus(self, handle: str) -> tuple[int, str, int, int, list[int]]:  # noqa: N802
        """Return the ATR."""
        return 0, handle, 0, 0, list(self._atr[handle])

    def SCardTransmit(self, handle: str, pci: int, command: list[int]) -> tuple[int, list[int]]:  # noqa: N802
        """Give the chip a command."""
        slot = self._readers[handle]
        if self._strikes(handle, "card_removed") or not slot.present():
            self._atr.pop(handle, None)
            return Status.REMOVED, []
        if self._strikes(handle, "mute"):
            return Status.NOT_TRANSACTED, []
        if pci == self.SCARD_PCI_T0:
            said = self._t0[handle].received(bytes(command))
            answer, busy_s = said.raw, said.after_s
        else:
            answer, busy_s = slot.apdu(bytes(command))
        self._clock.sleep(busy_s)
        return (Status.NOT_TRANSACTED, []) if answer is None else (0, list(answer))

    def _activated(self, reader: str, protocols: int) -> tuple[int, int]:
        slot = self._readers[reader]
        self._atr.pop(reader, None)
        if not slot.present():
            return Status.NO_CARD, 0
        if (atr := slot.activate()) is None:
            return Status.MUTE, 0
        try:
            t1 = 1 in parse(atr).protocols and bool(protocols & self.SCARD_PROTOCOL_T1)
        except AtrError:
            return Status.UNSUPPORTED, 0
        self._atr[reader] = atr
        self._t0[reader] = ChipT0(slot)
        return 0, self.SCARD_PROTOCOL_T1 if t1 else self.SCARD_PROTOCOL_T0

    def _strikes(self, reader: str, knob: str) -> bool:
        return self._faults[reader].strikes(knob) is not None
