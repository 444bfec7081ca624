"""The 707B of dialogues; `given idn` is its name, `given closed` and `given forbidden` are paths."""

from sim.relays.keithley_707b import Keithley707B
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer, Player
from tests.simulated.instruments import faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    machine = Keithley707B(clock, faults(dialogue, Keithley707B.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    machine.closed |= set(dialogue.given.get("closed", "").split())
    machine.forbidden |= set(dialogue.given.get("forbidden", "").split())
    return InstrumentPlayer(machine, clock)
