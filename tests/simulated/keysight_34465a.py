"""The 34465A of dialogues; `given load_ohm` and `given volts` are what it sees, `given idn` its name.

`given requests = on` is the state after connect, `given gap_s` what goes by before each message.
"""

from sim.dmm.keysight_34465a import Keysight34465A
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.instruments import Resistor, Unhurried, faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    load = Resistor(dialogue.number("load_ohm", 1e12), dialogue.number("volts", 0.0))
    machine = Keysight34465A(clock, {"": load}, faults(dialogue, Keysight34465A.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    if dialogue.given.get("requests") == "on":
        machine.obey("*ESE 1;*SRE 32")
    return Unhurried(machine, clock, dialogue.number("gap_s", 0.0))
