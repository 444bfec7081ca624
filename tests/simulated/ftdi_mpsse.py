"""`given faults`, `low` (lines that are pulled down), `mode` (of a register), `i2c` (addresses).

And `engine = no`: a bridge that takes no commands.
"""

from sim.dio.ftdi_mpsse import BULK_IN, BULK_OUT, FtdiMpsse
from sim.dio.i2c import Bus
from sim.dio.lines import Lines
from sim.dio.spi import Register
from sim.usb.backend import UsbBus
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.lines import faults
from tests.simulated.usb import UsbPlayer
from tests.stepclock import StepClock


class Dumb(FtdiMpsse):
    """Has no engine."""

    def on_out(self, endpoint: int, data: bytes) -> None:
        pass


def simulator(dialogue: Dialogue) -> Player:
    bus = UsbBus(StepClock())
    kind = Dumb if dialogue.given.get("engine") == "no" else FtdiMpsse
    lines = Lines()
    for name in dialogue.given.get("low", "").split():
        lines.drive(name, high=False)
    chip = kind(bus, lines=lines, faults=faults(dialogue, FtdiMpsse.knobs))
    chip.register = Register(int(dialogue.given.get("mode", "0")))
    chip.i2c = Bus([int(one, 16) for one in dialogue.given.get("i2c", "").split()])
    bus.attach(chip)
    return UsbPlayer(bus, out=BULK_OUT, back=BULK_IN)
