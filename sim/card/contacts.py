"""The chip's end of its contacts: ATR and PPS of ISO/IEC 7816-3, then the protocol agreed on."""

from drivers.protocols.atr import Atr, block_waiting_s, etu_s, parse
from sim.card.said import MUTE, Said
from sim.card.t0 import ChipT0
from sim.card.t1 import ChipT1
from sim.sockets import Slot


class Contacts:
    """A chip from its activation to the next one: takes what the reader sends, byte for byte."""

    def __init__(self, slot: Slot, atr: bytes, clock_hz: float) -> None:
        self.atr: Atr = parse(atr)
        self.protocol = self.atr.protocol
        self.fi_di = self.atr.rate
        self._character_etu = 11 if self.atr.guard == 255 else 12
        self._slot = slot
        self._clock_hz = clock_hz
        self._settled = self.atr.specific is not None
        self._t1 = ChipT1(slot, self.atr, self._waiting_s())
        self._t0 = ChipT0(slot)

    def received(self, raw: bytes) -> Said:
        """Take a PPS, a block, or a command of T=0."""
        if raw[:1] == b"\xff" and not self._settled:
            return self._agreed(raw)
        self._settled = True
        return self._t1.received(raw) if self.protocol == 1 else self._t0.received(raw)

    def _waiting_s(self) -> float:
        return block_waiting_s(self.atr.bwi, self.fi_di, self._clock_hz)

    def _agreed(self, request: bytes) -> Said:
        self._settled = True
        protocol = request[1] & 0x0F
        wanted = request[2] if request[1] & 0x10 else 0x11
        if protocol not in self.atr.protocols or wanted not in (0x11, self.atr.fi_di):
            return MUTE
        self.protocol, self.fi_di = protocol, wanted
        self._t1 = ChipT1(self._slot, self.atr, self._waiting_s())
        return Said(request)

    def seconds(self, count: int, fi_di: int) -> float:
        """Return how long bytes take at a rate: 12 etu each, 11 where the chip asks for no guard time."""
        return count * self._character_etu * etu_s(fi_di, self._clock_hz)
