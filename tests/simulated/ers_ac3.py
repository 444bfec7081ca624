"""The AC3 of dialogues; `given gap_s` goes by before each message, `given celsius` is where the chuck is.

`given mode` is its mode: 1 normal, 2 standby.
"""

from sim.thermal.body import Body
from sim.thermal.ers_ac3 import TIME_CONSTANT_S, ErsAc3
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.instruments import Unhurried, faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    machine = ErsAc3(clock, faults(dialogue, ErsAc3.knobs))
    machine.mode = int(dialogue.given.get("mode", machine.mode))
    if "celsius" in dialogue.given:
        celsius = dialogue.number("celsius", 0.0)
        machine.target_c = celsius
        machine.body = Body(TIME_CONSTANT_S, celsius, celsius)
    return Unhurried(machine, clock, dialogue.number("gap_s", 0.0))
