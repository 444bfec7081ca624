"""The DSO-X 3034T of dialogues; `given signal` is what channel 1 sees, `given samples` its record.

`square` is 0 and 2 V, 1 kHz, rising at the trigger; `volts_full_scale` and `step_s` set the screen.
Between two messages 20 ms go by, as the driver waits.
"""

from sim.scope.keysight_infiniivision import DIVISIONS, KeysightInfiniiVision, Signal
from tests.dialogue import Dialogue
from tests.player import Player
from tests.simulated.instruments import Unhurried, faults
from tests.stepclock import StepClock


def simulator(dialogue: Dialogue) -> Player:
    clock = StepClock()
    machine = KeysightInfiniiVision(
        clock, faults(dialogue, KeysightInfiniiVision.knobs), {1: signal(dialogue)}
    )
    machine.idn = dialogue.given.get("idn", machine.idn)
    if samples := dialogue.given.get("samples", "").split():
        step_s = dialogue.number("step_s", 1e-9)
        machine.points = len(samples)
        machine.scale_s = len(samples) * step_s / DIVISIONS
        machine.position_s = len(samples) * step_s / 2
        machine.inputs[1].full_scale_v = dialogue.number("volts_full_scale", 10.0)
        machine.inputs[1].shown = True
    return Unhurried(machine, clock, 0.02)


def signal(dialogue: Dialogue) -> Signal:
    samples = [float(text) for text in dialogue.given.get("samples", "").split()]
    step_s = dialogue.number("step_s", 1e-9)
    if samples:
        return lambda at_s: samples[min(max(round(at_s / step_s), 0), len(samples) - 1)]
    if dialogue.given.get("signal") == "square":
        return lambda at_s: 2.0 if (at_s + 1e-9) % 1e-3 < 0.5e-3 else 0.0
    return lambda _: 0.0
