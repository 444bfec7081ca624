"""A handler with a parallel port; a line of the dialogue is the name of a wire and its new level.

`given sites`, `parts` and `faults` as those of `binon`; `coding`, `sensing`, `outputs_active` of its port.
"""

from collections import deque
from typing import cast

from drivers.protocols.ttl import Active, Coding, Sensing, Signals
from sim.dio.lines import Lines
from sim.handler.ttl import Port, TtlHandler
from tests.dialogue import Dialogue
from tests.player import ANSWER_WITHIN_S, Player
from tests.simulated.lines import faults
from tests.stepclock import StepClock
from tests.trays import given

BINS = 3
GAP_S = 0.006
"""The station's pace: bins are set up and held for longer than the handler asks for."""


def signals(sites: int) -> dict[int, Signals]:
    """The wires of a port with three bin lines, called by what they do."""
    return {
        site: Signals(
            sot=f"SOT{site}",
            bins=tuple(f"BIN{site}.{number}" for number in range(1, BINS + 1)),
            eot=f"EOT{site}",
            busy=f"BUSY{site}",
            retest=f"RETEST{site}",
            error=f"ERROR{site}",
        )
        for site in range(1, sites + 1)
    }


class WirePlayer(Player):
    """Drives the station's wires, and hears how those of the handler change."""

    def __init__(self, lines: Lines, clock: StepClock, theirs: frozenset[str]) -> None:
        self._lines = lines
        self._clock = clock
        self._theirs = theirs
        self._heard: deque[bytes] = deque()
        lines.watch(self._on_line)

    def _on_line(self, line: str, high: bool) -> None:
        if line in self._theirs:
            self._heard.append(f"{line} {'high' if high else 'low'}\n".encode())

    def say(self, data: bytes) -> None:
        self._clock.sleep(GAP_S)
        line, level = data.decode().split()
        self._lines.drive(line, high=level == "high")

    def hear(self, size: int, endpoint: int) -> bytes:
        del size, endpoint
        self._clock.run_until(lambda: bool(self._heard), within_s=ANSWER_WITHIN_S)
        return self._heard.popleft() if self._heard else b""


def simulator(dialogue: Dialogue) -> Player:
    clock, lines, told = StepClock(), Lines(), dialogue.given
    wires = signals(int(told.get("sites", "1")))
    port = Port(
        coding=cast("Coding", told.get("coding", "one_hot")),
        sensing=cast("Sensing", told.get("sensing", "pulse")),
        outputs_active=cast("Active", told.get("outputs_active", "low")),
    )
    for one in wires.values():
        for line in one.outputs:
            lines.drive(line, high=port.outputs_active == "low")
    knobs = faults(dialogue, TtlHandler.knobs)
    handler = TtlHandler(clock, given(dialogue), lines, wires, port=port, faults=knobs)
    player = WirePlayer(lines, clock, frozenset(line for one in wires.values() for line in one.inputs))
    handler.start()
    return player
