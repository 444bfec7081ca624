"""The N6705C of dialogues; between two messages 10 ms go by, as the driver waits."""

from sim.supply.keysight_n6700 import KeysightN6700
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.instruments import Unhurried, faults, load
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    pin = load(dialogue)
    machine = KeysightN6700(clock, dict.fromkeys("1234", pin), faults(dialogue, KeysightN6700.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    return Unhurried(machine, clock, dialogue.number("gap_s", 0.01))
