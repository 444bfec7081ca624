"""The 2636B of dialogues; `given idn` is what it answers to `*IDN?`."""

from sim.smu.keithley_2600b import Keithley2600B
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer, Player
from tests.simulated.instruments import faults, load
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    pin = load(dialogue)
    machine = Keithley2600B(clock, {"a": pin, "b": pin}, faults(dialogue, Keithley2600B.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    return InstrumentPlayer(machine, clock)
