"""`given bus = yes`: over GPIB, without envelopes; `given wafer_map = no`; the rest as `probers` knows."""

from sim.lines import BusLines
from sim.prober.formfactor_velox import FormFactorVelox
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer, Player
from tests.simulated.probers import LinesPlayer, stage
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    machine = FormFactorVelox(
        stage(dialogue, clock, FormFactorVelox.knobs),
        enveloped="bus" not in dialogue.given,
        wafer_map=dialogue.given.get("wafer_map", "yes") == "yes",
    )
    if "bus" in dialogue.given:
        return InstrumentPlayer(BusLines(machine), clock)
    return LinesPlayer(machine, clock)
