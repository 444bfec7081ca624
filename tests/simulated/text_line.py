"""A code reader: `given code` is in front of it; `trigger`, `wrap` (before|after), `faults`."""

from sim.idreader.text_line import TextLineReader
from tests.dialogue import Dialogue, unescaped
from tests.player import ANSWER_WITHIN_S, Player
from tests.simulated.lines import LinePlayer, faults
from tests.stepclock import StepClock


class PatientPlayer(LinePlayer):
    """Lets the time pass in which nothing comes."""

    def hear(self, size: int, endpoint: int) -> bytes:
        until = self._clock.time() + ANSWER_WITHIN_S
        if not (heard := super().hear(size, endpoint)):
            self._clock.sleep(until - self._clock.time())
        return heard


def simulator(dialogue: Dialogue) -> Player:
    clock, told = StepClock(), dialogue.given
    before, _, after = told.get("wrap", "|").partition("|")
    reader = TextLineReader(
        clock,
        lambda: told.get("code", ""),
        trigger=unescaped(told.get("trigger", "LON\\r")),
        wrap=(before, after + "\r\n"),
        faults=faults(dialogue, TextLineReader.knobs),
    )
    return PatientPlayer(reader, clock)
