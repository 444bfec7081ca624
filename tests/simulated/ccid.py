"""The simulated card reader behind the dialogues of `ccid`.

given atr = <hex> | none            the chip's answer to reset
given answer = <hex>                what it answers to every command; 90 00
given chip_s = <seconds>            how long it takes for a command
given present = yes | no | later    whether a chip makes contact; later: it comes with the first interrupt
given mute = yes                    the chip answers no command
given slots = <number>              how many slots there are, each with such a chip; 1
given names = <maker|model|serial>  the strings of its device descriptor
given release = <hex>               the release number there
given fault = <machine.knob...>     a fault of the reader, which is called `reader`
"""

from array import array

import usb.core

from sim.card.ccid import BULK_IN, BULK_OUT, INTERRUPT_IN, CcidReader
from sim.faults import Faults, parse
from sim.usb import descriptors
from sim.usb.backend import SimUsbBackend, UsbBus
from tests.dialogue import Dialogue
from tests.player import ANSWER_WITHIN_S, Player
from tests.stepclock import StepClock

ATR = "3B 84 81 31 FE 45 53 45 31 30 98"


class Chip:
    """A chip, or the lack of one, as `given` says."""

    def __init__(self, given: dict[str, str]) -> None:
        atr = given.get("atr", ATR)
        self.here = given.get("present", "yes") == "yes"
        self._atr = None if atr == "none" else bytes.fromhex(atr)
        self._reply = None if given.get("mute") == "yes" else bytes.fromhex(given.get("answer", "9000"))
        self._seconds = float(given.get("chip_s", "0.001"))

    def present(self) -> bool:
        return self.here

    def activate(self) -> bytes | None:
        return self._atr

    def deactivate(self) -> None:
        pass

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        del command
        return self._reply, self._seconds


class UsbPlayer(Player):
    """Speaks to the reader through the backend that PyUSB would call."""

    def __init__(self, bus: UsbBus, chip: Chip) -> None:
        self._backend = SimUsbBackend(bus)
        self._handle = self._backend.open_device(bus.attached[0])
        self._chip = chip
        self._answer: bytes | None = None

    def say(self, data: bytes) -> None:
        self._backend.bulk_write(self._handle, BULK_OUT, 0, array("B", data), 1000)

    def hear(self, size: int, endpoint: int) -> bytes:
        if self._answer is not None:
            answer, self._answer = self._answer[:size], None
            return answer
        buffer = array("B", bytes(1024))
        read = self._backend.intr_read if endpoint == INTERRUPT_IN else self._backend.bulk_read
        if endpoint == INTERRUPT_IN:
            self._chip.here = True
        try:
            count = read(self._handle, endpoint or BULK_IN, 0, buffer, int(ANSWER_WITHIN_S * 1000))
        except usb.core.USBTimeoutError:
            return b""
        return buffer[:count].tobytes()

    def control(self, setup: bytes) -> None:
        value, index = int.from_bytes(setup[2:4], "big"), int.from_bytes(setup[4:6], "big")
        buffer = array("B", setup[6:] if setup[0] < 0x80 else bytes(255))
        count = self._backend.ctrl_transfer(self._handle, setup[0], setup[1], value, index, buffer, 1000)
        self._answer = buffer[:count].tobytes() if setup[0] >= 0x80 else None


def simulator(dialogue: Dialogue) -> Player:
    """Make the reader that `dialogue` talks to."""
    chip = Chip(dialogue.given)
    asked = dialogue.given.get("fault")
    faults = Faults("reader", CcidReader.knobs, (parse(asked),) if asked else (), "dialogue")
    bus = UsbBus(StepClock())
    others = [Chip(dialogue.given) for _ in range(1, int(dialogue.given.get("slots", "1")))]
    reader = CcidReader(bus, [chip, *others], faults=faults)
    if names := dialogue.given.get("names"):
        maker, model, serial = names.split("|")
        reader.strings = (maker, model, serial)
    if release := dialogue.given.get("release"):
        reader.descriptor = descriptors.device(0x1209, 0x0001, release=int(release, 16))
    bus.attach(reader)
    return UsbPlayer(bus, chip)
