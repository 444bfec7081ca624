"""The E36312A of dialogues; between two messages 10 ms go by, as the driver waits."""

from sim.supply.keysight_e36300 import KeysightE36300
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.instruments import Unhurried, faults, load
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    pin = load(dialogue)
    machine = KeysightE36300(clock, {"1": pin, "2": pin, "3": pin}, faults(dialogue, KeysightE36300.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    return Unhurried(machine, clock, dialogue.number("gap_s", 0.01))
