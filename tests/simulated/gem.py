"""A handler with SECS/GEM: `given recipe`, `sites`, `parts`, `faults`.

`taken = yes`: another host is selected already.
`says = written`: what it does not say by itself, a person at the machine has it say.
"""

import msgspec

from drivers.protocols.gem import GemEvent, GemProfile
from drivers.protocols.hsms import Frame, Kind
from sim.handler.gem import GemHandler
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.lines import TcpPlayer, faults
from tests.stepclock import StepClock
from tests.trays import given

PROFILE = GemProfile(
    presented=GemEvent(ceid=2001, rptid=10, vids=(100,)),
    lot_ended=GemEvent(ceid=2002),
    sorted=GemEvent(ceid=2003),
    retest="RETEST",
    recipe="SE1",
)


class Written(TcpPlayer):
    """A person has the machine say what it does not say by itself."""

    def __init__(self, machine: GemHandler, clock: StepClock, dialogue: Dialogue) -> None:
        super().__init__(machine, clock)
        self._written = [turn.data for turn in dialogue.turns if turn.kind in ("hear", "silence")]

    def hear(self, size: int, endpoint: int) -> bytes:
        written = self._written.pop(0)
        heard = super().hear(size, endpoint)
        if heard or not written:
            return heard
        self._connection.send(written)
        return super().hear(size, endpoint)


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    handler = GemHandler(
        clock,
        given(dialogue),
        msgspec.structs.replace(PROFILE, end=dialogue.given.get("end", "")),
        sites=int(dialogue.given.get("sites", "1")),
        faults=faults(dialogue, GemHandler.knobs),
    )
    if recipe := dialogue.given.get("recipe"):
        handler.services.recipes["SE1"] = recipe.encode().decode("unicode_escape").encode("latin-1")
    if "taken" in dialogue.given:
        TcpPlayer(handler, clock).say(Frame(Kind.SELECT_REQ, 9).encode())
        clock.sleep(1.0)
    if dialogue.given.get("says") == "written":
        return Written(handler, clock, dialogue)
    return TcpPlayer(handler, clock)
