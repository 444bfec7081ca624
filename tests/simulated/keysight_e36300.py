"""The E36312A of dialogues; between two messages 10 ms go by, as the driver waits."""

from sim.supply.instrument import SupplyInstrument
from sim.supply.keysight_e36300 import KeysightE36300
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer, Player
from tests.simulated.instruments import faults, load
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    pin = load(dialogue)
    machine = KeysightE36300(clock, {"1": pin, "2": pin, "3": pin}, faults(dialogue, KeysightE36300.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    return Unhurried(machine, clock, dialogue.number("gap_s", 0.01))


class Unhurried(InstrumentPlayer):
    """Leaves a gap before each message."""

    def __init__(self, instrument: SupplyInstrument, clock: StepClock, gap_s: float) -> None:
        super().__init__(instrument, clock)
        self._gap_s = gap_s

    def say(self, data: bytes) -> None:
        self.clock.sleep(self._gap_s)
        super().say(data)
