"""What the faults of a run ask of devices, contacts and chips: which device each hits, and how.

Each decision comes from the seed and the device's number alone, never from the order of testing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from sim.dut.memory import PowerCut
from sim.dut.population import POPULATIONS, TYPICAL, Defect, Population
from sim.faults import Fault, FaultError

DEFECTS = {defect.value: defect for defect in Defect if defect.value}
TWIN = "twin_uid"
CUT_KINDS: Mapping[str, Literal["before", "torn", "after"]] = {
    "before": "before",
    "torn": "torn",
    "after": "after",
}


@dataclass(frozen=True)
class Wishes:
    """What was asked for beside the draw."""

    seed: int = 0
    population: Population = TYPICAL
    celsius: float = 25.0
    dut: tuple[Fault, ...] = ()
    """Defects, and twins."""
    dirt: tuple[Fault, ...] = ()
    chip: tuple[Fault, ...] = ()

    def defect(self, index: int) -> Defect | None:
        """Return the defect that a fault gives to this device, None to leave it to the draw."""
        return next((DEFECTS[f.knob] for f in self.dut if f.knob in DEFECTS and self._named(f, index)), None)

    def twin(self, index: int) -> bool:
        """Whether this device carries the UID of the one before it; twins come in pairs, 1 and 2, 3 and 4."""
        twins = [fault for fault in self.dut if fault.knob == TWIN] if index % 2 == 0 else []
        return any(int(f.value) == index if f.value else self._hits(f, index // 2) for f in twins)

    def has_twin(self, index: int) -> bool:
        """Whether another device carries the same UID: of the two, a station may accept one."""
        return self.twin(index) or self.twin(index + 1)

    def mute_after(self, index: int) -> int | None:
        """After how many commands the chip falls silent; None: never."""
        value = self._chip("mute_after", index)
        return None if value is None else int(value or 10)

    def life_cycle(self, index: int) -> int | None:
        """The life cycle that the chip tells in the clear; None: the true one."""
        value = self._chip("life_cycle", index)
        return None if value is None else int(value or "0x0f", 0)

    def flaws(self, index: int) -> Mapping[str, int]:
        """What else is wrong with the chip: fields of `ChipFaults`, each with its number or 1."""
        asked = {fault.knob: fault.value for fault in reversed(self.chip) if self._hits(fault, index)}
        return {knob: int(asked[knob] or FLAWS[knob], 0) for knob in FLAWS if knob in asked}

    def power_cut(self, index: int) -> PowerCut | None:
        """The write to its memory at which the chip loses power; None: never."""
        value = self._chip("power_cut", index)
        return None if value is None else _cut(value)

    def open_chance(self, index: int, contact: int, site: int) -> float:
        """Return the probability that a first landing, or one after a good one, leaves a pin open."""
        for fault in self.dirt:
            if fault.value and int(fault.value) != site:
                continue
            if not fault.once and fault.every == 1:
                return fault.probability
            if contact == 1 and self._hits(fault, index):
                return 1.0
        return self.population.dirt

    def _named(self, fault: Fault, index: int) -> bool:
        return int(fault.value) == index if fault.value else self._hits(fault, index)

    def _chip(self, knob: str, index: int) -> str | None:
        return next((f.value for f in self.chip if f.knob == knob and self._hits(f, index)), None)

    def _hits(self, fault: Fault, index: int) -> bool:
        if fault.once:
            return index == 1
        if fault.probability < 1.0:
            return Random(f"{self.seed}:{fault.knob}:{index}").random() < fault.probability
        return index % fault.every == 0


def wishes(faults: tuple[Fault, ...], seed: int) -> Wishes:
    """Read the faults of `dut`, `socket` and `chip`; FaultError for what these do not know."""
    for fault in faults:
        if fault.machine in KNOBS:
            _check(fault)
    named = {fault.knob: fault.value for fault in faults if fault.machine == "dut"}
    return Wishes(
        seed=seed,
        population=POPULATIONS[named.get("population", TYPICAL.name)],
        celsius=float(named.get("temperature", "25")),
        dut=tuple(f for f in faults if f.machine == "dut" and (f.knob in DEFECTS or f.knob == TWIN)),
        dirt=tuple(f for f in faults if f.machine == "socket"),
        chip=tuple(f for f in faults if f.machine == "chip"),
    )


def _check(fault: Fault) -> None:
    knobs = KNOBS[fault.machine]
    if fault.knob not in knobs:
        known = ", ".join(sorted(knobs))
        raise FaultError(f"{fault.machine} has no fault {fault.knob!r}; it has: {known}")
    fits, allowed = knobs[fault.knob]
    try:
        sound = fits(fault.value)
    except ValueError:
        sound = False
    if not sound:
        raise FaultError(f"fault {fault.machine}.{fault.knob}={fault.value}: {allowed}")


def _cut(value: str) -> PowerCut:
    at, _, kind = value.partition(":")
    return PowerCut(int(at or 40), CUT_KINDS[kind or "torn"])


def _cuts(value: str) -> bool:
    at, _, kind = value.partition(":")
    return int(at or 40) >= 1 and (kind or "torn") in CUT_KINDS


FLAWS: Mapping[str, str] = {
    "wrong_mac": "1",
    "short_mac": "1",
    "long_replies": "1",
    "check_value": "1",
    "surviving_set": "1",
    "cloned_keys": "1",
    "sensor": "1",
    "lost_slot": "2",
    "endless": "0x46",
}
"""The number of each if none is given; only the last two have one."""
Knob = tuple[Callable[[str], bool], str]
"""What a value must be, in code and in words."""

_NUMBER: Knob = (lambda value: not value or int(value) >= 1, "the value is a number, from 1, or nothing")
KNOBS: Mapping[str, Mapping[str, Knob]] = {
    "dut": {
        **dict.fromkeys(DEFECTS, _NUMBER),
        TWIN: (
            lambda value: not value or int(value) % 2 == 0,
            "the value is an even number, the second twin",
        ),
        "population": (lambda value: value in POPULATIONS, f"choose one of {', '.join(sorted(POPULATIONS))}"),
        "temperature": (lambda value: -55.0 <= float(value) <= 150.0, "degrees Celsius from -55 to 150"),
    },
    "socket": {"dirt": _NUMBER},
    "chip": {
        "mute_after": (lambda value: not value or int(value) >= 0, "how many commands it answers, 0 or more"),
        "life_cycle": (lambda value: not value or 0 <= int(value, 0) <= 255, "a byte, as in 0x0F"),
        **dict.fromkeys(FLAWS, (lambda value: not value, "it has no value")),
        "lost_slot": (lambda value: value in ("", "1", "2", "3"), "the key slot, 1 to 3"),
        "endless": (lambda value: not value or 0 <= int(value, 0) <= 255, "an INS byte, as in 0x46"),
        "power_cut": (_cuts, "the write, from 1, and how it is hit: 40:before, 40:torn or 40:after"),
    },
}
"""The faults of the simulator's own machines."""
