"""The 53230A of dialogues; `given frequency_hz` and `interval_s` are what it sees, `given idn` its name.

`given requests = on` is the state after connect, `given gap_s` what goes by before each message.
"""

from sim.counter.keysight_53230a import Keysight53230A
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.instruments import Unhurried, faults
from tests.stepclock import StepClock

SEEN = ("frequency_hz", "interval_s")


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    seen = {
        name: float(value) for name, value in dialogue.given.items() if name in ("frequency_hz", "interval_s")
    }
    machine = Keysight53230A(clock, faults(dialogue, Keysight53230A.knobs), **seen)
    machine.idn = dialogue.given.get("idn", machine.idn)
    if dialogue.given.get("requests") == "on":
        machine.obey("*ESE 1;*SRE 32")
    return Unhurried(machine, clock, dialogue.number("gap_s", 0.0))
