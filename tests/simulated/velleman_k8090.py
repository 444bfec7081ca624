"""`given timers`, `on`, `before` (masks of relays, hexadecimal) and `faults` of the relay board."""

from sim.dio.velleman_k8090 import VellemanK8090
from tests.dialogue import Dialogue
from tests.simulated.lines import LinePlayer, faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> LinePlayer:
    clock = StepClock()
    board = VellemanK8090(clock, faults=faults(dialogue, VellemanK8090.knobs))
    for field in ("timers", "on", "before"):
        setattr(board, field, int(dialogue.given.get(field, "0"), 16))
    return LinePlayer(board, clock)
