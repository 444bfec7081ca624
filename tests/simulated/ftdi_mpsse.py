"""`given faults`, `low` (lines that are pulled down), and `engine = no`: a bridge that takes no commands."""

from sim.dio.ftdi_mpsse import BULK_IN, BULK_OUT, FtdiMpsse
from sim.dio.lines import Lines
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
    bus.attach(kind(bus, lines=lines, faults=faults(dialogue, FtdiMpsse.knobs)))
    return UsbPlayer(bus, out=BULK_OUT, back=BULK_IN)
