"""`given mode`, `retest_sort`, `laser = yes`, `enter_s`, `parts` and `faults` as those of `binon`."""

from typing import get_args

from drivers.protocols.exatron import Mode
from sim.faults import Faults, parse
from sim.handler.exatron import ExatronHandler, Timing
from tests.dialogue import Dialogue
from tests.simulated.lines import LinePlayer
from tests.stepclock import StepClock
from tests.trays import given


def simulator(dialogue: Dialogue) -> LinePlayer:
    clock = StepClock()
    modes: dict[str, Mode] = {mode: mode for mode in get_args(Mode)}
    wanted = tuple(parse(f"handler.{text}") for text in dialogue.given.get("faults", "").split())
    retest_sort = dialogue.given.get("retest_sort")
    handler = ExatronHandler(
        clock,
        given(dialogue),
        mode=modes[dialogue.given.get("mode", "exatron")],
        retest_sort=int(retest_sort) if retest_sort else None,
        faults=Faults("handler", ExatronHandler.knobs, wanted, "dialogue"),
        timing=Timing(enter_s=dialogue.number("enter_s", 60.0)),
    )
    handler.laser = "laser" in dialogue.given
    player = LinePlayer(handler, clock)
    handler.start()
    return player
