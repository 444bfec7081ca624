"""What a multimeter sees at whatever hangs on its inputs."""

from dataclasses import dataclass
from typing import Literal

from sim.sockets import Load, voltage_at

DmmQuantity = Literal["VOLT:DC", "VOLT:AC", "CURR:DC", "CURR:AC", "RES", "FRES"]
INPUT_OHM = 10e6
LEADS_OHM = 0.2
"""What two wires add to a resistance."""
MOST_V = 1000.0
TEST_A = 1e-4
TEST_MOST_V = 10.0
OVERLOAD = 9.9e37


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What hangs there, with the multimeter's own resistance beside it."""

    load: Load

    def current(self, volts: float) -> float:
        return self.load.current(volts) + volts / INPUT_OHM

    def driven(self, volts: float | None) -> None:
        """A voltmeter drives nothing."""


def seen(load: Load, quantity: DmmQuantity) -> float:
    """Return volts, amps or ohms; nothing that is simulated is alternating."""
    match quantity:
        case "VOLT:DC":
            return voltage_at(_Loaded(load), 0.0, MOST_V)
        case "CURR:DC":
            return -load.current(0.0)
        case "RES" | "FRES":
            return _ohms(load) + (LEADS_OHM if quantity == "RES" else 0.0)
        case _:
            return 0.0


def _ohms(load: Load) -> float:
    volts = voltage_at(load, TEST_A, TEST_MOST_V)
    if TEST_MOST_V - volts < 1e-6:
        return OVERLOAD
    return (volts - voltage_at(load, 0.0, TEST_MOST_V)) / TEST_A
