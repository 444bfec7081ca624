"""How devices differ: process spread, defects and their rates, and what one device truly is.

All that is drawn for a device comes from the seed and its running number alone, so it does not matter at
which site it is tested, or after whom.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import accumulate
from math import exp
from random import Random
from typing import TypeAlias

from sim.dut.electrical import DROP_V_PER_K, LEAKAGE_DOUBLES_K, ROOM_C

INPUTS = ("IO", "CLK", "RST")
PINS = ("VDD", "GND", *INPUTS)


class Defect(Enum):
    """What can be wrong with a device beyond its spread."""

    NONE = ""
    OPEN_PIN = "open_pin"
    SHORT_TO_GROUND = "short_to_ground"
    SHORT_TO_VDD = "short_to_vdd"
    LEAKY_INPUT = "leaky_input"
    IDD_HIGH = "idd_high"
    DEAD_REGULATOR = "dead_regulator"
    DEAD = "dead"
    """No ATR."""
    MUTE = "mute"
    """An ATR, then silence."""
    TRNG_STUCK = "trng_stuck"
    TRNG_BIASED = "trng_biased"
    TRNG_REPEATING = "trng_repeating"
    """The noise source says the same again and again."""
    KAT = "kat"
    """An algorithm computes wrongly."""
    PAIRWISE = "pairwise"
    """New key pairs do not match themselves."""
    MARGINAL = "marginal"
    """One parameter lies near a limit, on either side: some of these devices are good."""


OF_THE_CHIP = frozenset(
    {
        *(Defect.DEAD, Defect.MUTE, Defect.TRNG_STUCK, Defect.TRNG_BIASED, Defect.TRNG_REPEATING),
        *(Defect.KAT, Defect.PAIRWISE),
    }
)
"""What no contact or supply tells of: a cell that does not talk to chips cannot see it."""
OF_AMOUNT = frozenset({Defect.LEAKY_INPUT, Defect.IDD_HIGH, Defect.DEAD_REGULATOR, Defect.MARGINAL})
"""What is nothing but a parameter: a leak that the cold hides is none there."""


@dataclass(frozen=True)
class Spec:
    """What a good `se1` must be, whatever a sequence measures; closed intervals, at the heat of the lot."""

    drop_v: tuple[float, float] = (-0.9, -0.3)
    """An input with -100 uA."""
    leakage_a: tuple[float, float] = (-1e-6, 1e-6)
    """An input at 3.6 V."""
    idd_a: tuple[float, float] = (2e-3, 9e-3)
    """VDD at 3.3 V, idle."""


SPEC = Spec()

Rates: TypeAlias = Mapping[Defect, float]


@dataclass(frozen=True)
class Population:
    """The distribution that devices and contacts are drawn from. Rates are probabilities."""

    name: str
    rates: Rates
    dirt: float
    """That one pin stays open, per landing and site."""
    stays_dirty: float = 0.1
    """That the next landing of the same device fails again after an open one."""

    def __post_init__(self) -> None:
        total = sum(self.rates.values())
        if not 0.0 <= total <= 1.0:
            raise ValueError(f"population {self.name!r}: the rates sum up to {total:g}, they may reach 1")

    def with_rate(self, defect: Defect, rate: float) -> "Population":
        """Return the same population with another rate of one defect."""
        return replace(self, rates={**self.rates, defect: rate})


IDEAL = Population("ideal", {}, dirt=0.0)
TYPICAL = Population(
    "typical",
    {
        Defect.OPEN_PIN: 0.004,
        Defect.SHORT_TO_GROUND: 0.003,
        Defect.SHORT_TO_VDD: 0.002,
        Defect.LEAKY_INPUT: 0.005,
        Defect.IDD_HIGH: 0.004,
        Defect.DEAD_REGULATOR: 0.003,
        Defect.DEAD: 0.005,
        Defect.MUTE: 0.003,
        Defect.TRNG_STUCK: 0.003,
        Defect.TRNG_BIASED: 0.003,
        Defect.KAT: 0.004,
        Defect.PAIRWISE: 0.002,
        Defect.MARGINAL: 0.015,
        Defect.TRNG_REPEATING: 0.002,
    },
    dirt=0.008,
)
POPULATIONS = {population.name: population for population in (IDEAL, TYPICAL)}


@dataclass(frozen=True, slots=True)
class Die:
    """What one device truly is."""

    defect: Defect
    pin: str
    """The pin that an open, a short or a leak concerns; empty for other defects."""
    short_ohm: float
    drop_v: tuple[float, float, float]
    """By input, the diode's drop at 100 uA without resistance."""
    leakage_a: tuple[float, float, float]
    """By input, at 3.6 V."""
    bond_ohm: float
    idle_a: float
    busy_a: float
    """What the cryptography draws on top."""
    chip_seed: int
    """For whatever the chip draws by itself."""
    celsius: float = ROOM_C
    """The heat at which it is tested, and at which its parameters hold."""

    def at(self, celsius: float) -> "Die":
        """Return the same die at another heat."""
        if celsius == self.celsius:
            return self
        kelvins = celsius - self.celsius
        d, a = self.drop_v, self.leakage_a
        shift, factor = DROP_V_PER_K * kelvins, 2.0 ** (kelvins / LEAKAGE_DOUBLES_K)
        return replace(
            self,
            drop_v=(d[0] + shift, d[1] + shift, d[2] + shift),
            leakage_a=(a[0] * factor, a[1] * factor, a[2] * factor),
            celsius=celsius,
        )

    def outside(self) -> str:
        """Return the first true parameter outside `SPEC`, in words; empty when all are inside."""
        return next((name for name, distance in self._distances() if distance > 0.0), "")

    def near(self, fraction: float) -> tuple[str, ...]:
        """Return the parameters that are in spec, yet within `fraction` of a limit."""
        return tuple(f"{name} near its limit" for name, d in self._distances() if -fraction < d <= 0.0)

    def wrong(self) -> str:
        """Return its defect, or the parameter outside `SPEC`; empty if it is good at this heat."""
        outside = self.outside()
        if self.defect in OF_AMOUNT and not outside:
            return ""
        return outside if self.defect is Defect.MARGINAL else self.defect.value or outside

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it: no defect, all true parameters in spec."""
        return not self.wrong()

    def _distances(self) -> list[tuple[str, float]]:
        """By parameter, how far outside the nearest limit, as a fraction of it; below 0 inside."""
        inputs = list(zip(INPUTS, self.drop_v, self.leakage_a, strict=True))
        named = [
            *((f"drop of {pin}", -volts, SPEC.drop_v) for pin, volts, _ in inputs),
            *((f"leakage of {pin}", amps, SPEC.leakage_a) for pin, _, amps in inputs),
            ("idle current", self.idle_a, SPEC.idd_a),
        ]
        return [(name, max((low - x) / abs(low), (x - high) / abs(high))) for name, x, (low, high) in named]


def draw(population: Population, seed: int, index: int, forced: Defect | None = None) -> Die:
    """Draw device `index` (from 1); `forced` is a defect that a fault gives it."""
    random = Random(f"{seed}:{index}")
    healthy = _healthy(random)
    defect = _defect(population, random.random())
    return _spoilt(healthy, defect if forced is None else forced, random)


def _healthy(random: Random) -> Die:
    drop = _normal(random, 0.6, 0.01)
    return Die(
        defect=Defect.NONE,
        pin="",
        short_ohm=0.0,
        drop_v=(drop, drop + _normal(random, 0.0, 0.002), drop + _normal(random, 0.0, 0.002)),
        leakage_a=(_leakage(random), _leakage(random), _leakage(random)),
        bond_ohm=1.5 + random.random(),
        idle_a=_normal(random, 5e-3, 0.45e-3),
        busy_a=_normal(random, 12e-3, 0.8e-3),
        chip_seed=random.getrandbits(64),
    )


def _normal(random: Random, mean: float, sigma: float) -> float:
    """Normal, cut at four sigma: tails of a process are screened out, defects are what is left."""
    return mean + max(-4.0, min(4.0, random.gauss(0.0, 1.0))) * sigma


def _leakage(random: Random) -> float:
    return 2e-9 * exp(_normal(random, 0.0, 0.5))


def _defect(population: Population, u: float) -> Defect:
    kinds = list(population.rates)
    at = bisect_right(list(accumulate(population.rates.values())), u)
    return kinds[at] if at < len(kinds) else Defect.NONE


def _spoilt(die: Die, defect: Defect, random: Random) -> Die:
    match defect:
        case Defect.OPEN_PIN:
            return replace(die, defect=defect, pin=random.choice(PINS))
        case Defect.SHORT_TO_GROUND:
            return replace(
                die, defect=defect, pin=random.choice(("VDD", *INPUTS)), short_ohm=random.uniform(1, 40)
            )
        case Defect.SHORT_TO_VDD:
            return replace(die, defect=defect, pin=random.choice(INPUTS), short_ohm=random.uniform(1, 40))
        case Defect.LEAKY_INPUT:
            return _leaking(replace(die, defect=defect), random.randrange(3), 1e-6 * random.uniform(1.5, 8))
        case Defect.IDD_HIGH:
            return replace(die, defect=defect, idle_a=random.uniform(10e-3, 25e-3))
        case Defect.DEAD_REGULATOR:
            return replace(die, defect=defect, idle_a=random.uniform(0.02e-3, 0.8e-3))
        case Defect.MARGINAL:
            return _marginal(replace(die, defect=defect), random)
        case _:
            return replace(die, defect=defect)


def _leaking(die: Die, at: int, amps: float) -> Die:
    values = list(die.leakage_a)
    values[at] = amps
    return replace(die, pin=INPUTS[at], leakage_a=(values[0], values[1], values[2]))


def _marginal(die: Die, random: Random) -> Die:
    """Put a parameter 1 to 8 % inside or outside a limit: farther than a sound meter errs."""
    factor = 1.0 + random.choice((-1, 1)) * random.uniform(0.01, 0.08)
    match random.randrange(3):
        case 0:
            return _leaking(die, random.randrange(3), SPEC.leakage_a[1] * factor)
        case 1:
            return replace(die, idle_a=SPEC.idd_a[1] * factor)
        case _:
            return replace(die, idle_a=SPEC.idd_a[0] * factor)
