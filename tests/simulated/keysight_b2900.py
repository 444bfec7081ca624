"""The B2912A of dialogues; `given idn` is what it answers to `*IDN?`."""

from sim.smu.keysight_b2900 import KeysightB2900
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer, Player
from tests.simulated.instruments import faults, load
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    pin = load(dialogue)
    machine = KeysightB2900(clock, {"1": pin, "2": pin}, faults(dialogue, KeysightB2900.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    return InstrumentPlayer(machine, clock)
