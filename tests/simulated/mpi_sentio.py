"""`given version`, and what `tests.simulated.probers` knows."""

from sim.prober.mpi_sentio import MpiSentio
from tests.dialogue import Dialogue
from tests.simulated.probers import LinesPlayer, stage
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> LinesPlayer:
    clock = StepClock()
    machine = MpiSentio(
        stage(dialogue, clock, MpiSentio.knobs), version=dialogue.given.get("version", "26.2.0")
    )
    return LinesPlayer(machine, clock)
