"""What lies between the shared instruments of a simulated cell, and between them and the sockets.

Output 1 of the generator goes to channel 1 of the scope and input 1 of the counter: through crosspoint 1A01
where there is a matrix. The multimeter that no site is wired to sees VDD of site n through crosspoint 1Bnn,
the scanner on its channel 100 + n.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sim.bench import SupplyLoad
from sim.counter.keysight_53230a import Keysight53230A
from sim.dmm.keysight_34465a import Keysight34465A
from sim.dmm.keysight_34970a import Keysight34970A
from sim.generator.keysight_33500b import Keysight33500B, Output
from sim.instrument import Instrument
from sim.plant import Plant
from sim.relays.keithley_707b import Keithley707B
from sim.scope.keysight_infiniivision import KeysightInfiniiVision
from sim.sockets import Load, OpenCircuit

I = TypeVar("I", bound=Instrument)  # noqa: E741 - an instrument

CABLE = "1A01"
SOURCE_OHM = 0.05
OPEN = OpenCircuit()
_SHAPES: Mapping[str, Callable[[float], float]] = {
    "SIN": lambda turns: math.sin(2 * math.pi * turns),
    "SQU": lambda turns: 1.0 if turns < 0.5 else -1.0,
    "PULS": lambda turns: 1.0 if turns < 0.5 else -1.0,
    "RAMP": lambda turns: 2 * turns - 1,
}
"""Between -1 and 1, by the part of a period that has passed."""


@dataclass(frozen=True, slots=True)
class Cable:
    """From a generator's output to whoever looks at its other end."""

    generator: Keysight33500B
    matrix: Keithley707B | None

    @property
    def output(self) -> Output:
        """What the generator is set to."""
        return self.generator.outputs["1"]

    def volts(self, seconds: float) -> float:
        """What is there, so long after the trigger; a burst and an arbitrary wave are not followed."""
        output = self.output
        if not self._live() or (shape := _SHAPES.get(output.shape)) is None:
            return 0.0
        return output.offset_v + output.amplitude_vpp / 2 * shape(seconds * output.frequency_hz % 1.0)

    def frequency_hz(self) -> float | None:
        """How many edges a second come; None if none comes."""
        return self.output.frequency_hz if self._live() else None

    def _live(self) -> bool:
        return self.output.on and (self.matrix is None or CABLE in self.matrix.closed)


@dataclass(frozen=True, slots=True)
class Sense:
    """Two wires at VDD of a site: whatever the supply drives there."""

    vdd: SupplyLoad

    def current(self, volts: float) -> float:
        """A voltmeter finds the voltage at which nothing flows."""
        return (volts - (self.vdd.volts or 0.0)) / SOURCE_OHM

    def driven(self, volts: float | None) -> None:
        """Nobody drives it from here."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What a matrix leads to: that of the first crosspoint that is closed."""

    matrix: Keithley707B
    loads: Mapping[str, Load]

    def current(self, volts: float) -> float:
        """Through the contacts."""
        return self._there().current(volts)

    def driven(self, volts: float | None) -> None:
        """Drive what is there."""
        self._there().driven(volts)

    def _there(self) -> Load:
        return next((load for path, load in self.loads.items() if path in self.matrix.closed), OPEN)


def lay(plant: Plant) -> None:
    """Connect what is in the cell; what is missing connects nothing."""
    matrix = next(iter(_all(plant, Keithley707B)), None)
    senses = {number: Sense(socket.vdd) for number, socket in plant.bench.sockets.items()}
    for generator in _all(plant, Keysight33500B)[:1]:
        _show(plant, Cable(generator, matrix))
    for scanner in _all(plant, Keysight34970A):
        scanner.loads = {str(100 + number): sense for number, sense in senses.items()}
    for meter in _all(plant, Keysight34465A) if matrix is not None else ():
        if isinstance(meter.load, OpenCircuit) and matrix is not None:
            meter.load = Switched(matrix, {f"1B{number:02d}": sense for number, sense in senses.items()})


def _show(plant: Plant, cable: Cable) -> None:
    for scope in _all(plant, KeysightInfiniiVision):
        scope.signals = {1: cable.volts}
        scope.inputs[1].signal = cable.volts
    for counter in _all(plant, Keysight53230A):
        counter.source = cable.frequency_hz


def _all(plant: Plant, kind: type[I]) -> list[I]:
    return [instrument for instrument in plant.visa.values() if isinstance(instrument, kind)]
