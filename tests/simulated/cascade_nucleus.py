"""`given responds = yes`: the choice of answers is answered; a wafer is on the chuck unless `empty = yes`.

The rest as `probers` knows.
"""

from sim.lines import BusLines
from sim.prober.cascade_nucleus import CascadeNucleus
from sim.prober.stage import State
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer
from tests.simulated.probers import stage
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> InstrumentPlayer:
    clock = StepClock()
    made = stage(dialogue, clock, CascadeNucleus.knobs)
    if made.state is State.EMPTY and "empty" not in dialogue.given:
        made.put(1)
    machine = CascadeNucleus(made, responds="responds" in dialogue.given)
    machine.summit = machine.answers = "chosen" in dialogue.given
    return InstrumentPlayer(BusLines(machine), clock)
