"""A code reader that types: `given codes` are held in front of it, one after the other; `faults`."""

from sim.idreader.keyboard import INTERRUPT_IN, KeyboardReader
from sim.usb.backend import UsbBus
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.lines import faults
from tests.simulated.usb import UsbPlayer
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    bus = UsbBus(clock)
    reader = KeyboardReader(bus, faults=faults(dialogue, KeyboardReader.knobs))
    bus.attach(reader)
    for number, code in enumerate(dialogue.given.get("codes", "").split()):
        clock.call_later(1.0 + number, reader.scan, code)
    return UsbPlayer(bus, out=0, back=INTERRUPT_IN, interrupt=INTERRUPT_IN)
