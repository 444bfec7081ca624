"""One slot of a simulated card reader: power, parameters, and the chip behind its contacts.

At TPDU level a reader moves blocks; at APDU level it speaks the block protocol itself and moves commands.
"""

from drivers.errors import ProtocolError
from drivers.protocols.atr import AtrError, block_waiting_s, pps_request, work_waiting_s
from drivers.protocols.ccid import (
    HEADER,
    MUTE,
    Answer,
    Ask,
    ClassDescriptor,
    Command,
    Icc,
    Level,
    Outcome,
    Parameters,
    Tell,
)
from drivers.protocols.t1 import MAX_INF
from sim.card.contacts import Contacts
from sim.card.said import MUTE as SILENCE
from sim.clock import Clock
from sim.sockets import Slot

BLOCK_GUARD_ETU = 22
BLOCK_FRAME = 4
"""Bytes of a block of T=1 around its data: prologue and LRC."""
ACTIVATION_CLOCKS = 40_000
CLOCK_STOPPED = 1
BAD_PARAMETERS = 7
NOT_SUPPORTED = 0

_ANSWERS = {
    Ask.POWER_ON: Tell.DATA,
    Ask.TRANSFER: Tell.DATA,
    Ask.GET_PARAMETERS: Tell.PARAMETERS,
    Ask.RESET_PARAMETERS: Tell.PARAMETERS,
    Ask.SET_PARAMETERS: Tell.PARAMETERS,
    Ask.ESCAPE: Tell.ESCAPE,
    Ask.SET_RATE: Tell.RATE,
}


def refused(command: Command, icc: Icc, error: int) -> Answer:
    """Make the answer that says no, of the kind that the command asks for."""
    kind = _ANSWERS.get(command.ask, Tell.SLOT_STATUS)
    return Answer(kind, command.slot, command.seq, icc, Outcome.FAILED, error)


class Bay:
    """One slot: power, parameters, and the chip behind its contacts."""

    def __init__(self, slot: Slot, clock: Clock, capabilities: ClassDescriptor) -> None:
        self.aborting: int | None = None
        """The number of a message that the control pipe said is to be aborted."""
        self._slot = slot
        self._clock = clock
        self._clock_hz = capabilities.default_clock * 1e3
        self._contacts: Contacts | None = None
        self._parameters = Parameters(0)
        self._back_at = 0.0
        self.chaining = False
        """Whether the chip's last block only carries a chain on."""
        self.owed_s = 0.0
        """What the blocks of a chain have taken so far, charged with the block that ends it: waiting for each
        of them would make a simulated lot a tenth slower for nobody's sake."""

    @property
    def may_owe(self) -> bool:
        """Whether the time of the last block may wait; it may not when the station would miss it."""
        return self.chaining and self.owed_s < self.waiting_s / 2

    @property
    def present(self) -> bool:
        """Whether a chip makes contact."""
        return self._clock.time() >= self._back_at and self._slot.present()

    @property
    def icc(self) -> Icc:
        """The state that each answer tells."""
        if not self.present:
            self.deactivate()
            return Icc.ABSENT
        return Icc.ACTIVE if self._contacts is not None else Icc.INACTIVE

    @property
    def clock_state(self) -> int:
        """Whether the chip's clock runs (0) or stands low."""
        return 0 if self._contacts is not None else CLOCK_STOPPED

    @property
    def waiting_s(self) -> float:
        """The waiting time by the parameters set."""
        if self._parameters.protocol == 0:
            return work_waiting_s(self._parameters.wi, self._parameters.fi_di, self._clock_hz)
        return block_waiting_s(self._parameters.bwi, self._parameters.fi_di, self._clock_hz)

    def remove(self, lasting_s: float) -> None:
        """Lose contact for a while."""
        self._back_at = self._clock.time() + lasting_s
        self.deactivate()

    def deactivate(self) -> None:
        """Take the power away."""
        self.chaining, self.owed_s = False, 0.0
        if self._contacts is not None:
            self._contacts = None
            self._slot.deactivate()

    def extensions(self, after_s: float) -> int:
        """How often the reader asks for more time before an answer; in T=1 the chip does that itself."""
        by_block = self._contacts is not None and self._contacts.protocol == 1
        return 0 if by_block else int(after_s / self.waiting_s)

    # -- commands; each returns the answer and after how many seconds it comes
    def obey(self, command: Command) -> tuple[Answer, float]:
        """Do a command that concerns power and parameters; refuse what is not known."""
        match command.ask:
            case Ask.POWER_ON:
                return self.power_on(command)
            case Ask.POWER_OFF:
                return self.power_off(command)
            case Ask.SLOT_STATUS:
                return self.status(command)
            case Ask.GET_PARAMETERS:
                return self.get_parameters(command)
            case Ask.SET_PARAMETERS:
                return self.set_parameters(command)
        return refused(command, self.icc, NOT_SUPPORTED), 0.0

    def power_on(self, command: Command) -> tuple[Answer, float]:
        """Activate the chip, or reset it if it is active."""
        activation_s = ACTIVATION_CLOCKS / self._clock_hz
        self._parameters = Parameters(0)
        self._contacts = None
        atr = self._slot.activate() if self.present else None
        if atr is None:
            return refused(command, self.icc, MUTE), activation_s
        try:
            self._contacts = contacts = Contacts(self._slot, atr, self._clock_hz)
        except AtrError:
            return Answer(Tell.DATA, command.slot, command.seq, Icc.ACTIVE, data=atr), activation_s
        self._parameters = Parameters(contacts.protocol, contacts.fi_di)
        atr_s = contacts.seconds(len(atr), 0x11)
        return Answer(Tell.DATA, command.slot, command.seq, data=atr), activation_s + atr_s

    def power_off(self, command: Command) -> tuple[Answer, float]:
        """Deactivate the chip."""
        self.deactivate()
        return self.status(command)

    def status(self, command: Command) -> tuple[Answer, float]:
        """Tell whether a chip is there and has power."""
        icc = self.icc
        return Answer(Tell.SLOT_STATUS, command.slot, command.seq, icc, extra=self.clock_state), 0.0

    def get_parameters(self, command: Command) -> tuple[Answer, float]:
        """Tell the parameters."""
        p = self._parameters
        return Answer(
            Tell.PARAMETERS, command.slot, command.seq, self.icc, extra=p.protocol, data=p.encode()
        ), 0.0

    def set_parameters(self, command: Command) -> tuple[Answer, float]:
        """Take the parameters by which the reader talks to the chip from now on."""
        try:
            self._parameters = Parameters.decode(command.specific[0], command.data)
        except ProtocolError:
            return refused(command, self.icc, BAD_PARAMETERS), 0.0
        return self.get_parameters(command)

    def transfer(self, command: Command, *, mute: bool) -> tuple[Answer, float]:
        """Move a block, or a PPS, to the chip and its answer back."""
        icc = self.icc
        self.chaining = False
        if self._contacts is None:
            return refused(command, icc, MUTE), 0.0
        contacts, data, rate = self._contacts, command.data, self._parameters.fi_di
        allowed_s = self.waiting_s * max(1, command.specific[0])
        sent_s = contacts.seconds(len(data), rate)
        said = contacts.received(data) if rate == contacts.fi_di and not mute else SILENCE
        raw = said.raw
        if raw is None or (said.after_s > allowed_s and contacts.protocol == 1):
            return refused(command, icc, MUTE), sent_s + allowed_s
        guard_s = contacts.seconds(1, rate) * BLOCK_GUARD_ETU / 12
        answer = Answer(Tell.DATA, command.slot, command.seq, icc, Outcome.OK, 0, 0, raw)
        self.chaining = contacts.protocol == 1 and _carries_on(raw)
        return answer, sent_s + guard_s + said.after_s + contacts.seconds(len(raw), rate)


def _carries_on(block: bytes) -> bool:
    """Tell an R-block without error, and an I-block with its more bit, from what ends a chain."""
    return block[1] & 0xEF == 0x80 or block[1] & 0xA0 == 0x20


class ApduBay(Bay):
    """A slot of a reader at short or extended APDU level: it takes whole commands and waits itself."""

    def __init__(self, slot: Slot, clock: Clock, capabilities: ClassDescriptor) -> None:
        super().__init__(slot, clock, capabilities)
        self._size = capabilities.maximum_message - HEADER
        self._command = bytearray()
        self._reply = b""

    def power_on(self, command: Command) -> tuple[Answer, float]:
        """Activate the chip, and agree on T=1 and its fastest rate where it offers them."""
        answer = super().power_on(command)
        contacts = self._contacts
        if contacts is not None and contacts.atr.specific is None:
            contacts.received(pps_request(int(1 in contacts.atr.protocols), contacts.atr.fi_di))
            self._parameters = Parameters(contacts.protocol, contacts.fi_di)
        return answer

    def transfer(self, command: Command, *, mute: bool) -> tuple[Answer, float]:
        """Take a command, or a piece of one; give the answer, or a piece of it."""
        icc = self.icc
        level = int.from_bytes(command.specific[1:3], "little")
        if self._contacts is None:
            return refused(command, icc, MUTE), 0.0
        if level == Level.GO_ON:
            return self._piece(command, first=False), 0.0
        if level in (Level.WHOLE, Level.BEGINS):
            self._command.clear()
        self._command += command.data
        if level in (Level.BEGINS, Level.CONTINUES):
            more = Answer(Tell.DATA, command.slot, command.seq, icc, extra=Level.GO_ON)
            return more, 0.0
        reply, busy_s = (None, self.waiting_s) if mute else self._slot.apdu(bytes(self._command))
        moved_s = self._moved_s(self._contacts, len(self._command)) + self._moved_s(
            self._contacts, len(reply or b"")
        )
        if reply is None:
            return refused(command, icc, MUTE), moved_s + self.waiting_s
        self._reply = reply
        return self._piece(command, first=True), moved_s + busy_s

    def extensions(self, after_s: float) -> int:
        """How often the reader asks for more time before an answer."""
        return int(after_s / self.waiting_s)

    @staticmethod
    def _moved_s(contacts: Contacts, size: int) -> float:
        """How long so many bytes take one way; in T=1 in blocks, of which all but the last are answered."""
        if contacts.protocol != 1:
            return contacts.seconds(size, contacts.fi_di)
        blocks = max(1, -(-size // MAX_INF))
        frames = 2 * blocks - 1
        guards_s = contacts.seconds(frames, contacts.fi_di) * BLOCK_GUARD_ETU / 12
        return contacts.seconds(size + frames * BLOCK_FRAME, contacts.fi_di) + guards_s

    def _piece(self, command: Command, *, first: bool) -> Answer:
        data, self._reply = self._reply[: self._size], self._reply[self._size :]
        if first:
            level = Level.BEGINS if self._reply else Level.WHOLE
        else:
            level = Level.CONTINUES if self._reply else Level.ENDS
        return Answer(Tell.DATA, command.slot, command.seq, self.icc, extra=level, data=data)
