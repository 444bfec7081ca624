"""The TP04300 of dialogues; `given idn` is its name, `given gap_s` what goes by before each message.

`given remote = yes` is the state after `%RM`, `given celsius` where the air is.
"""

from sim.thermal.body import Body
from sim.thermal.intest_thermostream import TIME_CONSTANT_S, InTestThermoStream
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.instruments import Unhurried, faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    machine = InTestThermoStream(clock, faults(dialogue, InTestThermoStream.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    machine.remote = dialogue.given.get("remote") == "yes"
    if "celsius" in dialogue.given:
        celsius = dialogue.number("celsius", 0.0)
        machine.body = Body(TIME_CONSTANT_S, celsius, celsius)
        machine.set |= {"SETP": celsius, "SOAK": 0.0}
    return Unhurried(machine, clock, dialogue.number("gap_s", 0.05))
