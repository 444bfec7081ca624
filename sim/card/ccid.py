"""A USB card reader of class CCID with one or more slots, by default at TPDU level.

USB device class CCID 1.1. Times: 1 ms a USB transfer, characters of 12 etu at the rate agreed on.
"""

from collections.abc import Sequence

from drivers.errors import ProtocolError
from drivers.protocols.ccid import (
    INTERFACE_CLASS,
    Answer,
    Ask,
    ClassDescriptor,
    Command,
    Features,
    Icc,
    Outcome,
    Request,
    SlotChange,
    Tell,
)
from drivers.protocols.t1 import Block, Supervision
from sim.card.bay import ApduBay, Bay, refused
from sim.faults import NO_FAULTS, Faults
from sim.sockets import Slot
from sim.usb import descriptors
from sim.usb.backend import UsbBus
from sim.usb.device import UsbDevice, stalled

BULK_OUT = 0x01
BULK_IN = 0x82
INTERRUPT_IN = 0x83
BAD_SLOT = 5
ABORTED = 0xFF
EXTENSION_FACTOR = 3
DETACHED_MS = 500.0
REMOVED_MS = 1000.0
_ALONE = Features.AUTO_VOLTAGE | Features.AUTO_PPS_PROPRIETARY | Features.AUTO_IFSD | Features.AUTO_BAUD
"""What a reader at APDU level does without being asked."""
_LONGEST = {Features.TPDU: 271, Features.SHORT_APDU: 271, Features.EXTENDED_APDU: 65556}
"""The longest message of a reader by its level, as readers on the market have it."""


class CcidReader(UsbDevice):
    """The reader. Plug it into a bus with `bus.attach`; each slot reaches whatever device is in contact."""

    knobs = frozenset(
        {
            "usb_detach",
            "mute",
            "card_removed",
            "slow_card",
            "bad_edc",
            "bad_tck",
            "wrong_seq",
            "swap_answers",
            "out_of_step",
            "truncate",
        }
    )
    """`usb_detach` and `card_removed` take how many ms it lasts, `slow_card` how many extensions are asked
    for, `truncate` how many bytes of an answer are left, `out_of_step` which answer it is (2) in whose place
    the chip asks to resynchronise."""

    def __init__(  # noqa: PLR0913 - what a descriptor tells, each by its name
        self,
        bus: UsbBus,
        slots: Sequence[Slot],
        *,
        faults: Faults = NO_FAULTS,
        vid: int = 0x1209,
        pid: int = 0x0001,
        serial: str = "R0001",
        level: Features = Features.TPDU,
        longest: int | None = None,
    ) -> None:
        """Connect `slots`; `level` is the exchange level: TPDU, SHORT_APDU or EXTENDED_APDU.

        `longest` is how many bytes a message may have; by default what is usual at that level.
        """
        super().__init__(bus.clock)
        alone = Features.AUTO_VOLTAGE if level is Features.TPDU else _ALONE
        self.capabilities = ClassDescriptor(
            last_slot=len(slots) - 1,
            features=level | alone,
            maximum_message=_LONGEST[level] if longest is None else longest,
        )
        self.descriptor = descriptors.device(vid, pid)
        self.configuration = _configuration(self.capabilities)
        self.strings = ("hardbin", "simulated CCID reader", serial)
        self.faults = faults
        self._bus = bus
        bay = Bay if level is Features.TPDU else ApduBay
        self._bays = tuple(bay(slot, bus.clock, self.capabilities) for slot in slots)
        self._present = self._changed = [False] * len(slots)
        self._transfers = 0

    # -- what the bus brings
    def on_reset(self) -> None:
        """Forget all: the slots are without power."""
        super().on_reset()
        for bay in self._bays:
            bay.deactivate()
        self._present = self._changed = [False] * len(self._bays)

    def on_out(self, endpoint: int, data: bytes) -> None:
        """Take a command; one that is none halts the pipe."""
        del endpoint
        try:
            command = Command.decode(data)
        except ProtocolError:
            self.stall(BULK_IN)
            return
        if command.slot >= len(self._bays):
            self._answer(refused(command, Icc.ABSENT, BAD_SLOT))
            return
        if self.faults and self._gone(command):
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
        """Tell of cards that came or went; one message waits for the station, the newest."""
        del endpoint
        present = [bay.present for bay in self._bays]
        if present == self._present:
            return
        pipe = self.pipe(INTERRUPT_IN)
        with pipe.lock:
            earlier = self._changed if pipe.transfers else [False] * len(present)
            pipe.transfers.clear()
        news = zip(earlier, present, self._present, strict=True)
        self._changed = [changed or now != before for changed, now, before in news]
        self._present = present
        change = SlotChange(tuple(zip(present, self._changed, strict=True)))
        self.push(INTERRUPT_IN, change.encode())

    def _gone(self, command: Command) -> bool:
        """Whether a fault takes the reader off the bus for a while."""
        if command.ask is not Ask.TRANSFER or (lasting := self.faults.strikes("usb_detach")) is None:
            return False
        self._bus.detach(self, back_after_s=float(lasting or DETACHED_MS) / 1000)
        return True

    # -- commands
    def _take(self, command: Command, bay: "Bay") -> None:
        if command.ask is Ask.ABORT:
            self._abort(command, bay)
            return
        if bay.aborting is not None:
            self._answer(refused(command, bay.icc, ABORTED))
            return
        if command.ask is Ask.TRANSFER:
            self._transfer(command, bay)
            return
        answer, after_s = bay.obey(command)
        if command.ask is Ask.POWER_ON and answer.data and self.faults.strikes("bad_tck") is not None:
            answer = _with_data(answer, answer.data[:-1] + bytes((answer.data[-1] ^ 0xFF,)))
        self._answer(answer, after_s)

    def _transfer(self, command: Command, bay: "Bay") -> None:
        if self.faults:
            self._troubled(command, bay)
            return
        answer, after_s = bay.transfer(command, mute=False)
        self._extend(command, bay, bay.extensions(after_s) if answer.outcome is Outcome.OK else 0)
        if answer.outcome is Outcome.OK and bay.may_owe:
            bay.owed_s += self.push_on_credit(BULK_IN, answer.encode(), after_s=after_s)
            return
        owed_s, bay.owed_s = bay.owed_s, 0.0
        self._answer(answer, after_s + owed_s)

    def _extend(self, command: Command, bay: "Bay", times: int) -> None:
        """Ask for more time before an answer."""
        for n in range(times):
            late = Answer(
                Tell.DATA, command.slot, command.seq, bay.icc, Outcome.EXTENSION, error=EXTENSION_FACTOR
            )
            self._answer(late, (n + 1) * bay.waiting_s)

    def _troubled(self, command: Command, bay: "Bay") -> None:
        """Do a transfer as the faults will have it."""
        if (lasting := self.faults.strikes("card_removed")) is not None:
            bay.remove(float(lasting or REMOVED_MS) / 1000)
        answer, after_s = bay.transfer(command, mute=self.faults.strikes("mute") is not None)
        self._transfers += 1
        if (which := self.faults.strikes("out_of_step")) is not None and self._transfers == int(which or 2):
            answer = _with_data(answer, Block(Supervision.RESYNCH).encode())
        slow = int(self.faults.strikes("slow_card") or 0)
        waits = bay.extensions(after_s) if answer.outcome is Outcome.OK else 0
        self._extend(command, bay, slow or waits)
        if answer.data and self.faults.strikes("bad_edc") is not None:
            answer = _with_data(answer, answer.data[:-1] + bytes((answer.data[-1] ^ 0x55,)))
        if self.faults.strikes("wrong_seq") is not None:
            answer = Answer(answer.tell, answer.slot, answer.seq + 1 & 0xFF, answer.icc, data=answer.data)
        if self.faults.strikes("swap_answers") is not None:
            answer = Answer(answer.tell, answer.slot ^ 1, answer.seq, answer.icc, data=answer.data)
        raw = answer.encode()
        if (left := self.faults.strikes("truncate")) is not None:
            raw = raw[: int(left or 5)]
        self.answer(BULK_IN, raw, after_s=after_s + slow * bay.waiting_s)

    def _abort(self, command: Command, bay: "Bay") -> None:
        if bay.aborting != command.seq:
            self._answer(refused(command, bay.icc, ABORTED))
            return
        bay.aborting = None
        pipe = self.pipe(BULK_IN)
        with pipe.lock:
            kept = [one for one in pipe.transfers if one[1][5:6] != bytes((command.slot,))]
            pipe.transfers.clear()
            pipe.transfers.extend(kept)
        self._answer(Answer(Tell.SLOT_STATUS, command.slot, command.seq, bay.icc, extra=bay.clock_state))

    def _answer(self, answer: Answer, after_s: float = 0.0) -> None:
        self.answer(BULK_IN, answer.encode(), after_s=after_s)


def _with_data(answer: Answer, data: bytes) -> Answer:
    return Answer(answer.tell, answer.slot, answer.seq, answer.icc, answer.outcome, answer.error, 0, data)


def _configuration(capabilities: ClassDescriptor) -> bytes:
    pipes = (
        descriptors.endpoint(BULK_OUT, descriptors.BULK, 64),
        descriptors.endpoint(BULK_IN, descriptors.BULK, 64),
        descriptors.endpoint(INTERRUPT_IN, descriptors.INTERRUPT, 8, 16),
    )
    return descriptors.configuration(descriptors.interface(INTERFACE_CLASS, capabilities.encode(), pipes))
