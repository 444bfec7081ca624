"""The simulated PC/SC service behind the dialogues of `pcsc`; `given` as in those of `ccid`."""

from drivers.protocols.pcsc import Ask
from drivers.transports.pcsc import _Card
from sim.card.pcsc import SimulatedPcsc
from sim.faults import Faults, parse
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.ccid import Chip
from tests.stepclock import StepClock

READER = "Simulated Reader 00 00"


class ServicePlayer(Player):
    """Speaks to the service through the port's own thread code, which holds no state of a driver."""

    def __init__(self, service: SimulatedPcsc) -> None:
        self._card = _Card("pcsc:reader", READER, service)
        self._answer = b""

    def say(self, data: bytes) -> None:
        self._card.send(data)
        self._answer = self._card.answer()

    def hear(self, size: int, endpoint: int) -> bytes:
        del size, endpoint
        return self._answer

    def control(self, setup: bytes) -> None:
        self._answer = self._card.asked(Ask(setup[1]))


def simulator(dialogue: Dialogue) -> Player:
    asked = dialogue.given.get("fault")
    faults = Faults("reader", SimulatedPcsc.knobs, (parse(asked),) if asked else (), "dialogue")
    return ServicePlayer(SimulatedPcsc(StepClock(), {READER: Chip(dialogue.given)}, faults=faults))
