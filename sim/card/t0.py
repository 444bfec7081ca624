"""The chip's end of T=0, ISO/IEC 7816-3, chapter 12, as far as the reader does not do it."""

from drivers.protocols.t0 import GET_RESPONSE
from sim.card.said import MUTE, Said
from sim.sockets import Slot

NOTHING_HELD = b"\x69\x85"


class ChipT0:
    """Gives long answers by GET RESPONSE (61xx) and asks for the exact length (6Cxx)."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._held = b""
        self._status = b""
        self._header = b""

    def received(self, raw: bytes) -> Said:
        """Take a header, with its data if it has some."""
        if len(raw) < 5:
            return MUTE
        if raw[1] == GET_RESPONSE or (self._held and raw[:4] == self._header):
            return self._piece(raw[4] or 256)
        self._header = raw[:4]
        answer, busy_s = self._slot.apdu(raw)
        if answer is None:
            return MUTE
        self._held, self._status = answer[:-2], answer[-2:]
        if not self._held:
            return Said(answer, busy_s)
        if len(raw) > 5:
            return Said(bytes((0x61, len(self._held) & 0xFF if len(self._held) < 256 else 0)), busy_s)
        return self._piece(raw[4] or 256, busy_s)

    def _piece(self, size: int, busy_s: float = 0.0) -> Said:
        if not self._held:
            return Said(NOTHING_HELD)
        if len(self._held) < size:
            return Said(bytes((0x6C, len(self._held))), busy_s)
        data, self._held = self._held[:size], self._held[size:]
        left = len(self._held)
        status = bytes((0x61, left if left < 256 else 0)) if left else self._status
        return Said(data + status, busy_s)
