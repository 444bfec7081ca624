"""The station's part of a dialogue, played to a simulated machine: every `<` and `!` must come as written.

`tests/simulated/<model>.py` holds `simulator(dialogue) -> Player`: the machine in the state of `given`.
"""

from abc import ABC, abstractmethod
from importlib import import_module

from sim.instrument import RQS, Instrument
from tests.dialogue import Dialogue, Turn
from tests.stepclock import StepClock

ANSWER_WITHIN_S = 10.0


class Player(ABC):
    """What a dialogue needs of a simulated machine; `hear` and `request` let its clock run on."""

    @abstractmethod
    def say(self, data: bytes) -> None:
        """Send one message, or bytes of a line, or one bulk transfer."""

    @abstractmethod
    def hear(self, size: int, endpoint: int) -> bytes:
        """Return the next message or transfer, or `size` bytes of a line; less or nothing after silence."""

    def request(self) -> int | None:
        """Wait for a service request and return its status byte; None if none comes."""
        raise NotImplementedError(f"{type(self).__name__} has no service requests")

    def status(self) -> int:
        """Serial poll."""
        raise NotImplementedError(f"{type(self).__name__} has no status byte")

    def clear(self) -> None:
        """Device clear."""
        raise NotImplementedError(f"{type(self).__name__} has no device clear")

    def trigger(self) -> None:
        """Group execute trigger."""
        raise NotImplementedError(f"{type(self).__name__} has no trigger")

    def control(self, setup: bytes) -> None:
        """USB control transfer: request type, request, value, index, data; an answer is heard next."""
        raise NotImplementedError(f"{type(self).__name__} has no control transfers")


class InstrumentPlayer(Player):
    """A machine on a message bus, whose clock is `clock`."""

    def __init__(self, instrument: Instrument, clock: StepClock) -> None:
        self.instrument = instrument
        self.clock = clock

    def say(self, data: bytes) -> None:
        self.instrument.bus_write(data, end=True)

    def hear(self, size: int, endpoint: int) -> bytes:
        del size, endpoint
        return self.instrument.bus_read(1 << 20, None, self.clock.time() + ANSWER_WITHIN_S)[0]

    def request(self) -> int | None:
        asked = self.clock.run_until(lambda: self.instrument.asks_for_service)
        return self.instrument.bus_status() if asked else None

    def status(self) -> int:
        return self.instrument.bus_status()

    def clear(self) -> None:
        self.instrument.bus_clear()

    def trigger(self) -> None:
        self.instrument.triggered()


def simulator(dialogue: Dialogue) -> Player:
    """Make the machine that `dialogue` talks to."""
    made = import_module(f"tests.simulated.{dialogue.model}").simulator(dialogue)
    assert isinstance(made, Player)
    return made


def play(dialogue: Dialogue, player: Player) -> None:
    """Say every `>` and demand every answer and service request."""
    for turn in dialogue.turns:
        _play_turn(dialogue, turn, player)


def _play_turn(dialogue: Dialogue, turn: Turn, player: Player) -> None:
    match turn.kind:
        case "say":
            player.say(turn.data)
        case "hear":
            _same(dialogue, turn, player.hear(len(turn.data), turn.number), turn.data)
        case "silence":
            _same(dialogue, turn, player.hear(1, turn.number), b"")
        case "request":
            _same(dialogue, turn, player.request(), turn.number | RQS)
        case "status":
            _same(dialogue, turn, player.status(), turn.number)
        case "clear":
            player.clear()
        case "trigger":
            player.trigger()
        case "control":
            player.control(turn.data)


def _same(dialogue: Dialogue, turn: Turn, got: object, expected: object) -> None:
    assert got == expected, (
        f"{dialogue}, line {turn.line}: the simulator gave {got!r}, written is {expected!r}"
    )
