"""The NGE103B of dialogues; between two messages 10 ms go by. `given master = on` as after connect."""

from sim.supply.rohde_schwarz import NgxSupply
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.instruments import Unhurried, faults, load
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    pin = load(dialogue)
    machine = NgxSupply(clock, dict.fromkeys("1234", pin), faults(dialogue, NgxSupply.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    if dialogue.given.get("master") == "on":
        machine.obey("OUTP:GEN 1")
    return Unhurried(machine, clock, dialogue.number("gap_s", 0.01))
