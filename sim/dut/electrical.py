"""What an instrument meets at a pin of `se1`: protection diode, leakage, shorts, supply current.

The inputs are fail-safe: a diode to ground, no diode to VDD, and a clamp that opens at `CLAMP_V`. An input at
3.6 V therefore shows its leakage whether or not the chip has power. Where several paths lead away from a pin,
each carries the series resistance by itself; their currents add.
"""

from dataclasses import dataclass
from math import exp, log

BOOT_V = 1.62
"""Lowest VDD at which the chip works (class C of ISO/IEC 7816-3)."""
CLAMP_V = 7.0
LEAKAGE_V = 3.6
"""The voltage at which an input's leakage is specified."""
DROP_A = 100e-6
"""The current at which a diode's drop is specified."""
IDD_V = 3.3
"""The supply at which the idle current is specified."""
ROOM_C = 25.0

IDEALITY = 1.05
THERMAL_V_PER_K = 8.617333e-5
DROP_V_PER_K = -1.8e-3
LEAKAGE_DOUBLES_K = 10.0
CLAMP_OHM = 40.0
WAKE_V = 1.0
IDD_PER_V = 0.01


def omega(y: float) -> float:
    """Solve x + ln x = y for x > 0: what a diode and a resistor in series come to.

    Newton's steps on a concave function: from the second on they come from below, so x stays positive.
    """
    y = max(y, -300.0)
    x = y - log(y) if y > 1.0 else exp(y)
    for _ in range(3 if y < -6.0 or y > 4.0 else 6):
        x *= (1.0 + y - log(x)) / (1.0 + x)
    return x


@dataclass(frozen=True, slots=True)
class Diode:
    """A junction to ground, conducting below ground, with what is in series to it."""

    slope_v: float
    """Ideality times the thermal voltage."""
    saturation_a: float
    series_ohm: float

    def current(self, volts: float) -> float:
        """Amps into the pin: 0 at and above -0.1 V, where the junction is far below any meter's floor."""
        if volts > -0.1:
            return 0.0
        slope = self.slope_v
        scale = slope / self.series_ohm
        return -scale * omega(-volts / slope + log(self.saturation_a / scale))

    def voltage(self, amps: float) -> float:
        """Volts at the pin when `amps` below 0 flow into it: the inverse of `current`."""
        return -self.slope_v * log(-amps / self.saturation_a) + amps * self.series_ohm


def diode(drop_v: float, series_ohm: float, celsius: float) -> Diode:
    """Return the junction that shows `drop_v` at `DROP_A` without the resistance, at `celsius`."""
    slope = IDEALITY * THERMAL_V_PER_K * (celsius + 273.15)
    return Diode(slope, DROP_A * exp(-drop_v / slope), series_ohm)


@dataclass(frozen=True, slots=True)
class InputPin:
    """IO, CLK or RST of a device, seen through its contact."""

    diode: Diode
    siemens: float
    """Leakage and any short to ground."""

    def current(self, volts: float) -> float:
        """Amps that flow into the pin at `volts` against ground."""
        amps = volts * self.siemens
        if volts > CLAMP_V:
            return amps + (volts - CLAMP_V) / CLAMP_OHM
        return amps if volts > -0.1 else amps + self.diode.current(volts)


@dataclass(frozen=True, slots=True)
class SupplyPin:
    """VDD of a device, seen through its contact."""

    diode: Diode
    siemens: float
    """Leakage and any short to ground."""
    idle_a: float
    """At `IDD_V`."""

    def current(self, volts: float, busy_a: float = 0.0) -> float:
        """Amps that flow into VDD at `volts`; `busy_a` comes on top while the cryptography works."""
        amps = volts * self.siemens
        if volts >= BOOT_V:
            return amps + self.idle_a * (1.0 + IDD_PER_V * (volts - IDD_V)) + busy_a
        if volts > WAKE_V:
            awake = self.idle_a * (1.0 + IDD_PER_V * (BOOT_V - IDD_V))
            return amps + awake * (volts - WAKE_V) / (BOOT_V - WAKE_V)
        return amps if volts > -0.1 else amps + self.diode.current(volts)
