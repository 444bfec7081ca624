"""The 34970A of dialogues: channel 101 sees 1 V, 102 2 V, and so on; `given closed` are actuators.

`given requests = on` is the state after connect, `given gap_s` what goes by before each message.
"""

from sim.dmm.keysight_34970a import MULTIPLEXER, Keysight34970A
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.instruments import Resistor, Unhurried, faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    loads = {str(channel): Resistor(1e-3, channel - 100.0) for channel in MULTIPLEXER}
    machine = Keysight34970A(clock, faults(dialogue, Keysight34970A.knobs), loads)
    machine.idn = dialogue.given.get("idn", machine.idn)
    machine.closed |= set(map(int, dialogue.given.get("closed", "").split()))
    if dialogue.given.get("requests") == "on":
        machine.obey("*ESE 1;*SRE 32")
    return Unhurried(machine, clock, dialogue.number("gap_s", 0.0))
