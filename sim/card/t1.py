"""The chip's end of T=1, ISO/IEC 7816-3, chapter 11, around a chip that knows only APDUs."""

from drivers.protocols.atr import Atr
from drivers.protocols.t1 import (
    DEFAULT_IFS,
    MAX_INF,
    RESPONSE,
    BadBlockError,
    Block,
    Supervision,
    decode,
    i_block,
    r_block,
)
from sim.card.said import MUTE, Said
from sim.sockets import Slot

WTX = 2
"""How many block waiting times the chip asks for when it takes long."""
WTX_AFTER = 0.8
"""At which part of the waiting time that it has it asks for more."""
_WTX_GRANTED = Supervision.WTX | RESPONSE
_IFS_AGREED = Supervision.IFS | RESPONSE


class ChipT1:
    """T=1 as a chip speaks it: acknowledges, chains, asks for more time, says how long its blocks may be."""

    def __init__(self, slot: Slot, atr: Atr, waiting_s: float) -> None:
        self._slot = slot
        self._crc = atr.crc
        self._waiting_s = waiting_s
        self._must_announce = atr.ifsc < MAX_INF
        self._ifsd = DEFAULT_IFS
        self._last = r_block(0)
        self._mute = False
        self._clear()

    def _clear(self) -> None:
        self._sends = self._wants = 0
        self._command = bytearray()
        self._answer = b""
        self._at = 0
        self._busy_s = 0.0
        self._held: Block | None = None

    def received(self, raw: bytes) -> Said:
        """Take one block from the reader."""
        if self._mute:
            return MUTE
        try:
            block = decode(raw, crc=self._crc)
            if block.is_i:
                return self._after_i(block)
            return self._after_r(block) if block.is_r else self._after_s(block)
        except BadBlockError as bad:
            if self._last.pcb in tuple(Supervision):
                return self._said(self._last)
            return self._complained(1 if bad.garbled else 2)

    def _after_i(self, block: Block) -> Said:
        if block.sequence != self._wants:
            raise BadBlockError("I-block out of turn", garbled=False)
        self._wants ^= 1
        self._command += block.inf
        self._held = block
        if self._must_announce:
            self._must_announce = False
            return self._said(Block(Supervision.IFS, bytes((MAX_INF,))))
        return self._go_on()

    def _go_on(self) -> Said:
        held, self._held = self._held, None
        if held is None:
            raise BadBlockError("nothing waits for this", garbled=False)
        if held.more:
            return self._said(r_block(self._wants))
        answer, self._busy_s = self._slot.apdu(bytes(self._command))
        self._command.clear()
        if answer is None:
            self._mute = True
            return MUTE
        self._answer, self._at = answer, 0
        return self._when_done(self._waiting_s)

    def _when_done(self, allowed_s: float) -> Said:
        if self._busy_s <= allowed_s * WTX_AFTER:
            return self._said(self._piece(), self._busy_s)
        self._busy_s -= allowed_s * WTX_AFTER
        return self._said(Block(Supervision.WTX, bytes((WTX,))), allowed_s * WTX_AFTER)

    def _piece(self) -> Block:
        inf = self._answer[self._at : self._at + self._ifsd]
        block = i_block(self._sends, inf, more=self._at + len(inf) < len(self._answer))
        self._sends ^= 1
        self._at += len(inf)
        return block

    def _after_r(self, block: Block) -> Said:
        last = self._last
        if last.is_i and last.more and block.sequence != last.sequence:
            return self._said(self._piece())
        done = block.sequence != last.sequence if last.is_i else last.pcb & RESPONSE and not last.is_r
        return self._complained(0) if done else self._said(last)

    def _after_s(self, block: Block) -> Said:
        match block.pcb:
            case Supervision.RESYNCH:
                self._clear()
            case Supervision.IFS if len(block.inf) == 1 and 1 <= block.inf[0] <= MAX_INF:
                self._ifsd = block.inf[0]
            case Supervision.ABORT:
                self._answer, self._at = b"", 0
            case pcb if pcb == _WTX_GRANTED and self._last.pcb == Supervision.WTX:
                return self._when_done(self._waiting_s * WTX)
            case pcb if pcb == _IFS_AGREED and self._last.pcb == Supervision.IFS:
                return self._go_on()
            case _:
                raise BadBlockError(f"S-block {block.pcb:02X} out of turn", garbled=False)
        return self._said(Block(block.pcb | RESPONSE, block.inf))

    def _complained(self, error: int) -> Said:
        """Ask for the block that is wanted; the last one stays what it was, it may be asked for again."""
        return Said(r_block(self._wants, error).encode(crc=self._crc))

    def _said(self, block: Block, after_s: float = 0.0) -> Said:
        self._last = block
        return Said(block.encode(crc=self._crc), after_s)
