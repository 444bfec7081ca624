"""The 33512B of dialogues; `given idn` is its name."""

from sim.generator.keysight_33500b import Keysight33500B
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer, Player
from tests.simulated.instruments import faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    machine = Keysight33500B(clock, faults(dialogue, Keysight33500B.knobs))
    machine.idn = dialogue.given.get("idn", machine.idn)
    if load := dialogue.given.get("load"):
        machine.obey(f"OUTP1:LOAD {load}")
    return InstrumentPlayer(machine, clock)
