"""Stages of simulated probers, and the station's end of their lines, as `given` in dialogues names them.

`given dies`, `wafers` (see `tests.wafers`), `faults` (blank between them), `on_chuck = 1`: that wafer is
there, `at = x,y`: and the card stands over this die, `contact = yes`: in contact with it. `quick = yes`:
it moves quicker than it answers.
"""

from sim.faults import Faults, parse
from sim.lines import Talker
from sim.prober.stage import Stage, Timing
from tests.dialogue import Dialogue
from tests.player import ANSWER_WITHIN_S, Player
from tests.stepclock import StepClock
from tests.wafers import given

SLOW_S = 600.0
"""Longer than any load: dialogues wait for the answer however long it takes."""


def stage(dialogue: Dialogue, clock: StepClock, knobs: frozenset[str]) -> Stage:
    """Make a prober in the state that is given."""
    wanted = tuple(parse(f"prober.{text}") for text in dialogue.given.get("faults", "").split())
    timing = (
        Timing(index_s=(0.001, 0.001), contact_s=(0.001, 0.001)) if "quick" in dialogue.given else Timing()
    )
    faults = Faults("prober", knobs, wanted, "dialogue")
    made = Stage(clock, given(dialogue), faults=faults, timing=timing)
    if wafer := dialogue.given.get("on_chuck"):
        slot = next(place for place, number in made.slots.items() if number == int(wafer))
        made.load(*slot)
    if at := dialogue.given.get("at"):
        x, y = at.split(",")
        made.step(int(x), int(y))
    if "contact" in dialogue.given:
        made.raise_chuck()
    made.contact_height = dialogue.given.get("contact_height", "yes") == "yes"
    return made


class LinesPlayer(Player):
    """Says lines, hears lines; what is told to the machine is answered in its own time."""

    def __init__(self, talker: Talker, clock: StepClock, *, ends: bytes = b"\n") -> None:
        self._talker = talker
        self._clock = clock
        self._ends = ends
        self._heard = bytearray()

    def say(self, data: bytes) -> None:
        self._talker.take(data.decode("latin-1").rstrip("\r\n"), self._hear)

    def _hear(self, text: str) -> None:
        self._heard += text.encode("latin-1") + self._ends

    def hear(self, size: int, endpoint: int) -> bytes:
        del endpoint
        within_s = SLOW_S if size > 1 else ANSWER_WITHIN_S
        self._clock.run_until(lambda: len(self._heard) >= size, within_s=within_s)
        data = bytes(self._heard[:size])
        del self._heard[:size]
        return data
