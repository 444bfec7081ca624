"""Loads and faults of simulated instruments, as `given` in dialogues names them."""

import math

from sim.faults import Faults, parse
from sim.instrument import Instrument
from tests.dialogue import Dialogue
from tests.player import InstrumentPlayer
from tests.stepclock import StepClock


class Resistor:
    """A resistor to ground behind a source of `volts`; remembers what it was driven with."""

    def __init__(self, ohm: float, volts: float = 0.0) -> None:
        self.ohm = ohm
        self.volts = volts
        self.history: list[float | None] = []

    def current(self, volts: float) -> float:
        return (volts - self.volts) / self.ohm

    def driven(self, volts: float | None) -> None:
        self.history.append(volts)


def load(dialogue: Dialogue) -> Resistor:
    """`given load_ohm`: what hangs on every output; nothing does unless it is given."""
    return Resistor(dialogue.number("load_ohm", math.inf))


def faults(dialogue: Dialogue, knobs: frozenset[str]) -> Faults:
    """`given fault = it.<knob>...`: the machine is called `it`; several are separated by blanks."""
    return Faults("it", knobs, tuple(map(parse, dialogue.given.get("fault", "").split())), "dialogue")


class Unhurried(InstrumentPlayer):
    """Leaves a gap before each message."""

    def __init__(self, instrument: Instrument, clock: StepClock, gap_s: float) -> None:
        super().__init__(instrument, clock)
        self._gap_s = gap_s

    def say(self, data: bytes) -> None:
        self.clock.sleep(self._gap_s)
        super().say(data)
