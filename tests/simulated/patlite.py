"""`given model`, `prefix`, `states` (hexadecimal) and `faults` of a signal tower."""

from typing import cast

from drivers.protocols.patlite import Model
from sim.tower.patlite import Patlite
from tests.dialogue import Dialogue
from tests.simulated.lines import TcpPlayer, faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> TcpPlayer:
    clock, told = StepClock(), dialogue.given
    model = cast("Model", told.get("model", "lr5"))
    tower = Patlite(
        clock, model=model, prefix=told.get("prefix", "AB"), faults=faults(dialogue, Patlite.knobs)
    )
    if states := told.get("states"):
        tower.states[:] = bytes.fromhex(states)
    return TcpPlayer(tower, clock)
