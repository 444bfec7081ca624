"""`given lot`, `sites`, `parts` and `faults`; `plays = handler`: it says what is written, whatever its state.

The station asks for its name and state when it connects; unless `names = no`, it is started after that.
"""

from sim.handler.geringer_pto92ut import GeringerPto92ut, Timing
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.lines import LinePlayer, faults
from tests.stepclock import StepClock
from tests.trays import given


class Started(LinePlayer):
    """The start key is pressed when the handler has said who it is."""

    def __init__(self, machine: GeringerPto92ut, clock: StepClock, after: int) -> None:
        super().__init__(machine, clock)
        self._handler = machine
        self._left = after
        self._press()

    def hear(self, size: int, endpoint: int) -> bytes:
        heard = super().hear(size, endpoint)
        self._left -= 1
        self._press()
        return heard

    def _press(self) -> None:
        if self._left == 0:
            self._handler.start()


class Played(LinePlayer):
    """A person at the handler has it say the lines of the dialogue."""

    def __init__(self, machine: GeringerPto92ut, clock: StepClock, dialogue: Dialogue) -> None:
        super().__init__(machine, clock)
        self._handler = machine
        self._lines = [turn.data for turn in dialogue.turns if turn.kind == "hear"]

    def hear(self, size: int, endpoint: int) -> bytes:
        self._handler.send(self._lines.pop(0))
        return super().hear(size, endpoint)


def simulator(dialogue: Dialogue) -> Player:
    clock, told = StepClock(), dialogue.given
    handler = GeringerPto92ut(
        clock,
        given(dialogue),
        lot=told.get("lot", "LOT7"),
        sites=int(told.get("sites", "1")),
        faults=faults(dialogue, GeringerPto92ut.knobs),
        timing=Timing(patience_s=5.0),
    )
    if told.get("plays") == "handler":
        return Played(handler, clock, dialogue)
    return Started(handler, clock, 0 if told.get("names") == "no" else 2)
