"""Which chip a device has: its UID, its defects, its timing."""

from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

from sim.dut.aside import Aside
from sim.dut.chip import Chip, ChipFaults
from sim.dut.device import Device
from sim.dut.latency import Profile
from sim.dut.memory import Memory
from sim.dut.population import Defect, Die
from sim.dut.wishes import Wishes

BIASES = (0.56, 0.8)
"""From what only a host sees in 2 KiB of noise, to what the chip's own tests see at boot."""


class Keeper(Protocol):
    """Keeps the memories of chips."""

    def keep(self, index: int, memory: Memory) -> None:
        """Give a memory back what it held, and keep what is written into it."""


@dataclass(frozen=True)
class Chips:
    """Makes the chips of one lot, each as wafer sort left it: numbered, with keys, its test port open."""

    seed: int
    latency: Profile
    wishes: Wishes
    aside: Aside | None = None
    diary: Keeper | None = None
    """Where what a chip holds is kept beyond the life of this process."""

    def __call__(self, device: Device) -> Chip:
        """Make the chip of a device, as it first gets power."""
        chip = Chip.from_sort(
            device.index,
            seed=str(self.seed),
            uid=device.uid,
            latency=self.latency,
            faults=self._faults(device),
        )
        chip.aside = self.aside
        if self.diary is not None:
            self.diary.keep(device.index, chip.memory)
        chip.cut(self.wishes.power_cut(device.index))
        return chip

    def _faults(self, device: Device) -> ChipFaults:
        die, index = device.die, device.index
        flaws = self.wishes.flaws(index)
        return ChipFaults(
            mute_after=self.wishes.mute_after(index),
            trng=_trng(die),
            bias=Random(die.chip_seed).uniform(*BIASES),
            broken=_broken(die),
            pairwise=die.defect is Defect.PAIRWISE,
            life_cycle=self.wishes.life_cycle(index),
            wrong_mac="wrong_mac" in flaws,
            short_mac="short_mac" in flaws,
            long_replies="long_replies" in flaws,
            check_value="check_value" in flaws,
            surviving_set="surviving_set" in flaws,
            sensor="sensor" in flaws,
            lost_slot=flaws.get("lost_slot"),
            endless=flaws.get("endless"),
            cloned_keys="cloned_keys" in flaws,
        )


def _trng(die: Die) -> Literal["sound", "stuck", "biased", "repeating"]:
    match die.defect:
        case Defect.TRNG_STUCK:
            return "stuck"
        case Defect.TRNG_BIASED:
            return "biased"
        case Defect.TRNG_REPEATING:
            return "repeating"
        case _:
            return "sound"


def _broken(die: Die) -> Literal["nothing", "aes", "mldsa", "mlkem"]:
    if die.defect is not Defect.KAT:
        return "nothing"
    return Random(die.chip_seed).choice(("aes", "mldsa", "mlkem"))
