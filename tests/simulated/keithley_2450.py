"""The 2450 of dialogues; `given language` is what it answers to `*LANG?`, `given idn` to `*IDN?`."""

from sim.smu.keithley_2450 import Keithley2450
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer, Player
from tests.simulated.instruments import faults, load
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    machine = Keithley2450(clock, {"": load(dialogue)}, faults(dialogue, Keithley2450.knobs))
    machine.language = dialogue.given.get("language", machine.language)
    machine.idn = dialogue.given.get("idn", machine.idn)
    return InstrumentPlayer(machine, clock)
