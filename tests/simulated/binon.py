"""`given profile`, `fields` (JSON), `sites`, `parts` (see `tests.trays`), `faults` (blank between them).

`given landed = yes`: the first parts are in contact already.
"""

import json

from drivers.protocols.binon import profile_of
from sim.faults import Faults, parse
from sim.handler.binon import BinonHandler
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer
from tests.stepclock import StepClock
from tests.trays import given


def simulator(dialogue: Dialogue) -> InstrumentPlayer:
    clock = StepClock()
    wanted = tuple(parse(f"handler.{text}") for text in dialogue.given.get("faults", "").split())
    trays = given(dialogue)
    handler = BinonHandler(
        clock,
        trays,
        profile_of(dialogue.given.get("profile", ""), json.loads(dialogue.given.get("fields", "{}"))),
        sites=int(dialogue.given.get("sites", "4")),
        faults=Faults("handler", BinonHandler.knobs, wanted, "dialogue"),
    )
    handler.start()
    if "landed" in dialogue.given:
        clock.run_until(lambda: bool(trays.landings))
    return InstrumentPlayer(handler, clock)
