"""`given faults`, and `engine = no`: a bridge that takes no commands."""

from sim.dio.ftdi_mpsse import BULK_IN, BULK_OUT, FtdiMpsse
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
    bus.attach(kind(bus, faults=faults(dialogue, FtdiMpsse.knobs)))
    return UsbPlayer(bus, out=BULK_OUT, back=BULK_IN)
