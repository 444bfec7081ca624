"""A USB card reader of class CCID at TPDU level, with one or more slots: it moves blocks, and no more.

USB device class CCID 1.1. Times: 1 ms a USB transfer, characters of 12 etu at the rate agreed on.
"""

from collections.abc import Callable, Mapping, Sequence

from drivers.errors import ProtocolError
from drivers.protocols.atr import AtrError, block_waiting_s
from drivers.protocols.ccid import (
    INTERFACE_CLASS,
    MUTE,
    Answer,
    Ask,
    ClassDescriptor,
    Command,
    Features,
    Icc,
    Outcome,
    Parameters,
    Request,
    SlotChange,
    Tell,
)
from sim.card.t1 import Contacts, Said
from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.sockets import Slot
from sim.usb import descriptors
from sim.usb.backend import UsbBus
from sim.usb.device import UsbDevice, stalled

BULK_OUT = 0x01
BULK_IN = 0x82
INTERRUPT_IN = 0x83
BLOCK_GUARD_ETU = 22
ACTIVATION_CLOCKS = 40_000
BAD_SLOT = 5
NOT_SUPPORTED = 0
ABORTED = 0xFF
EXTENSION_FACTOR = 3
CLOCK_STOPPED = 1
DETACHED_MS = 500.0
REMOVED_MS = 1000.0


class CcidReader(UsbDevice):
    """The reader. Plug it into a bus with `bus.attach`; each slot reaches whatever device is in contact."""

    knobs = frozenset(
        {"usb_detach", "mute", "card_removed", "slow_card", "bad_edc", "bad_tck", "wrong_seq", "truncate"}
    )
    """`usb_detach` and `card_removed` take how many ms it lasts, `slow_card` how many extensions are asked
    for, `truncate` how many bytes of an answer are left."""

    def __init__(
        self,
        bus: UsbBus,
        slots: Sequence[Slot],
        *,
        faults: Faults = NO_FAULTS,
        vid: int = 0x1209,
        pid: int = 0x0001,
        serial: str = "R0001",
    ) -> None:
        super().__init__(bus.clock)
        self.capabilities = ClassDescriptor(
            last_slot=len(slots) - 1, features=Features.TPDU | Features.AUTO_VOLTAGE
        )
        self.descriptor = descriptors.device(vid, pid)
        self.configuration = _configuration(self.capabilities)
        self.strings = ("hardbin", "simulated CCID reader", serial)
        self.faults = faults
        self._bus = bus
        self._bays = tuple(Bay(slot, bus.clock, self.capabilities) for slot in slots)
        self._told = [False] * len(slots)

    # -- what the bus brings
    def on_reset(self) -> None:
        """Forget all: the slots are without power."""
        super().on_reset()
        for bay in self._bays:
            bay.deactivate()
        self._told = [False] * len(self._bays)

    def on_out(self, endpoint: int, data: bytes) -> None:
        """Take a command; one that is none halts the pipe."""
        del endpoint
        try:
            command = Command.decode(data)
        except ProtocolError:
            self.stall(BULK_IN)
            return
        if command.slot >= len(self._bays):
            self._answer(_refused(command, Icc.ABSENT, BAD_SLOT))
            return
        if command.ask is Ask.TRANSFER and (lasting := self.faults.strikes("usb_detach")) is not None:
            self._bus.detach(self, back_after_s=float(lasting or DETACHED_MS) / 1000)
            return
        self._take(command, self._bays[command.slot])
        self.on_poll(INTERRUPT_IN)

    def on_control(self, request_type: int, request: int, value: int, index: int, data: bytes) -> bytes:
        """Take the control half of an abort."""
        del request_type, index, data
        if request != Request.ABORT or value & 0xFF >= len(self._bays):
            raise stalled()
        self._bays[value & 0xFF].aborting = value >> 8
        return b""

    def on_poll(self, endpoint: int) -> None:
        """Tell of cards that came or went since the station last asked."""
        del endpoint
        present = [bay.present for bay in self._bays]
        if present == self._told:
            return
        slots = zip(present, self._told, strict=True)
        self._told = present
        self.push(INTERRUPT_IN, SlotChange(tuple((now, now != before) for now, before in slots)).encode())

    # -- commands
    def _take(self, command: Command, bay: "Bay") -> None:
        if command.ask is Ask.ABORT:
            self._abort(command, bay)
            return
        if bay.aborting is not None:
            self._answer(_refused(command, bay.icc, ABORTED))
            return
        if command.ask is Ask.TRANSFER:
            self._transfer(command, bay)
            return
        if (does := _COMMANDS.get(command.ask)) is None:
            self._answer(_refused(command, bay.icc, NOT_SUPPORTED))
            return
        answer, after_s = does(bay, command)
        if command.ask is Ask.POWER_ON and answer.data and self.faults.strikes("bad_tck") is not None:
            answer = _with_data(answer, answer.data[:-1] + bytes((answer.data[-1] ^ 0xFF,)))
        self._answer(answer, after_s)

    def _transfer(self, command: Command, bay: "Bay") -> None:
        if (lasting := self.faults.strikes("card_removed")) is not None:
            bay.remove(float(lasting or REMOVED_MS) / 1000)
        extensions = int(self.faults.strikes("slow_card") or 0)
        answer, after_s = bay.transfer(command, mute=self.faults.strikes("mute") is not None)
        for n in range(extensions):
            late = Answer(
                Tell.DATA, command.slot, command.seq, bay.icc, Outcome.EXTENSION, error=EXTENSION_FACTOR
            )
            self._answer(late, (n + 1) * bay.waiting_s)
        if answer.data and self.faults.strikes("bad_edc") is not None:
            answer = _with_data(answer, answer.data[:-1] + bytes((answer.data[-1] ^ 0x55,)))
        if self.faults.strikes("wrong_seq") is not None:
            answer = Answer(answer.tell, answer.slot, answer.seq + 1 & 0xFF, answer.icc, data=answer.data)
        raw = answer.encode()
        if (left := self.faults.strikes("truncate")) is not None:
            raw = raw[: int(left or 5)]
        self.push(BULK_IN, raw, after_s=after_s + extensions * bay.waiting_s)

    def _abort(self, command: Command, bay: "Bay") -> None:
        if bay.aborting != command.seq:
            self._answer(_refused(command, bay.icc, ABORTED))
            return
        bay.aborting = None
        pipe = self.pipe(BULK_IN)
        with pipe.condition:
            kept = [one for one in pipe.transfers if one[1][5:6] != bytes((command.slot,))]
            pipe.transfers.clear()
            pipe.transfers.extend(kept)
        self._answer(Answer(Tell.SLOT_STATUS, command.slot, command.seq, bay.icc, extra=bay.clock_state))

    def _answer(self, answer: Answer, after_s: float = 0.0) -> None:
        self.push(BULK_IN, answer.encode(), after_s=after_s)


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
        """The block waiting time by the parameters set."""
        return block_waiting_s(self._parameters.bwi, self._parameters.fi_di, self._clock_hz)

    def remove(self, lasting_s: float) -> None:
        """Lose contact for a while."""
        self._back_at = self._clock.time() + lasting_s
        self.deactivate()

    def deactivate(self) -> None:
        """Take the power away."""
        if self._contacts is not None:
            self._contacts = None
            self._slot.deactivate()

    # -- commands; each returns the answer and after how many seconds it comes
    def power_on(self, command: Command) -> tuple[Answer, float]:
        """Activate the chip, or reset it if it is active."""
        activation_s = ACTIVATION_CLOCKS / self._clock_hz
        self._parameters = Parameters(0)
        self._contacts = None
        atr = self._slot.activate() if self.present else None
        if atr is None:
            return _refused(command, self.icc, MUTE), activation_s
        try:
            self._contacts = contacts = Contacts(self._slot, atr, self._clock_hz)
        except AtrError:
            return Answer(Tell.DATA, command.slot, command.seq, Icc.ACTIVE, data=atr), activation_s
        self._parameters = Parameters(contacts.protocol, contacts.fi_di)
        atr_s = contacts.seconds(atr, 0x11)
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
            return _refused(command, self.icc, 7, Tell.PARAMETERS), 0.0
        return self.get_parameters(command)

    def transfer(self, command: Command, *, mute: bool) -> tuple[Answer, float]:
        """Move a block, or a PPS, to the chip and its answer back."""
        icc = self.icc
        if self._contacts is None:
            return _refused(command, icc, MUTE), 0.0
        rate = self._parameters.fi_di
        allowed_s = self.waiting_s * max(1, command.specific[0])
        sent_s = self._contacts.seconds(command.data, rate)
        heard = rate == self._contacts.fi_di
        said = self._contacts.received(command.data) if heard and not mute else Said(None)
        if said.raw is None or said.after_s > allowed_s:
            return _refused(command, icc, MUTE), sent_s + allowed_s
        guard_s = self._contacts.seconds(b"\0", rate) * BLOCK_GUARD_ETU / 12
        answer_s = self._contacts.seconds(said.raw, rate)
        answer = Answer(Tell.DATA, command.slot, command.seq, icc, data=said.raw)
        return answer, sent_s + guard_s + said.after_s + answer_s


_COMMANDS: Mapping[Ask, Callable[[Bay, Command], tuple[Answer, float]]] = {
    Ask.POWER_ON: Bay.power_on,
    Ask.POWER_OFF: Bay.power_off,
    Ask.SLOT_STATUS: Bay.status,
    Ask.GET_PARAMETERS: Bay.get_parameters,
    Ask.SET_PARAMETERS: Bay.set_parameters,
}
_ANSWERS = {
    Ask.POWER_ON: Tell.DATA,
    Ask.TRANSFER: Tell.DATA,
    Ask.GET_PARAMETERS: Tell.PARAMETERS,
    Ask.RESET_PARAMETERS: Tell.PARAMETERS,
    Ask.SET_PARAMETERS: Tell.PARAMETERS,
    Ask.ESCAPE: Tell.ESCAPE,
    Ask.SET_RATE: Tell.RATE,
}


def _refused(command: Command, icc: Icc, error: int, tell: Tell | None = None) -> Answer:
    kind = tell or _ANSWERS.get(command.ask, Tell.SLOT_STATUS)
    return Answer(kind, command.slot, command.seq, icc, Outcome.FAILED, error)


def _with_data(answer: Answer, data: bytes) -> Answer:
    return Answer(answer.tell, answer.slot, answer.seq, answer.icc, answer.outcome, answer.error, 0, data)


def _configuration(capabilities: ClassDescriptor) -> bytes:
    pipes = (
        descriptors.endpoint(BULK_OUT, descriptors.BULK, 64),
        descriptors.endpoint(BULK_IN, descriptors.BULK, 64),
        descriptors.endpoint(INTERRUPT_IN, descriptors.INTERRUPT, 8, 16),
    )
    return descriptors.configuration(descriptors.interface(INTERFACE_CLASS, capabilities.encode(), pipes))
