"""The 2450 of dialogues, or `given model`; `given language`, `idn`: its answers; `edges_at`: a line."""

from sim.smu.keithley_2450 import Keithley2450
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer, Player
from tests.simulated.instruments import faults, load
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    machine = Keithley2450(
        clock,
        {"": load(dialogue)},
        faults(dialogue, Keithley2450.knobs),
        model=dialogue.given.get("model", "2450"),
    )
    machine.language = dialogue.given.get("language", machine.language)
    machine.idn = dialogue.given.get("idn", machine.idn)
    if "edges_at" in dialogue.given:
        machine.trigger.lines[int(dialogue.given["edges_at"])] = "TRIG,IN"
    return InstrumentPlayer(machine, clock)
