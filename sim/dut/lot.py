"""The devices of a lot: made when loaded, forgotten when sorted, but for what became of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias
from zlib import crc32

from drivers.protocols.se1_objects import Uid
from sim.dut.device import Contact, Device, MakeChip
from sim.dut.population import OF_THE_CHIP, PINS, Die, draw
from sim.dut.truth import Fates, Truth
from sim.dut.wishes import TWIN, Wishes

CREATOR, PRODUCT, PLANT = 0x0A01, 1, 7
DIES_PER_WAFER, DIES_PER_ROW = 2400, 60
MAX_DEVICES = DIES_PER_WAFER * 255
CLONED = "cloned_keys"
"""Of the devices with one key, a station may accept one."""
NEAR = 0.03
"""How near a limit a true parameter must be to count as a reason for rejecting a good device."""

Heater: TypeAlias = Callable[[], float | None]
"""The temperature that a machine gives the devices, degrees Celsius; None while it is at rest."""


@dataclass
class Lot:
    """What the handler's input holds, and what is known of all that came out of it."""

    name: str
    size: int
    seed: int
    make_chip: MakeChip
    wishes: Wishes = field(default_factory=Wishes)
    reads_chips: bool = True
    """Whether the cell talks to chips: what it cannot see does not make a device bad for it."""
    wafer_radius: int = 8
    """Of its wafers, in dies, if it comes on wafers; they are larger if it would not fit."""

    heaters: list[Heater] = field(default_factory=list)
    """What in the cell may heat or cool the devices."""

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_DEVICES:
            raise ValueError(f"a simulated lot has 0 to {MAX_DEVICES} devices, not {self.size}")
        self.fates = Fates(self.size)

    def die(self, index: int) -> Die:
        """Return what device `index` truly is; the same at each call."""
        heat = self.fates.heat(index)
        return self._drawn(index).at(self.wishes.celsius if heat is None else heat)

    def _drawn(self, index: int) -> Die:
        return draw(self.wishes.population, self.seed, index, self.wishes.defect(index))

    def landed(self, device: Device) -> None:
        """Give a device that is landed on the temperature of the cell, if something works on that."""
        heats = [heat for heater in self.heaters if (heat := heater()) is not None]
        if heats:
            celsius = round(heats[0], 1)
            self.fates.heated(device.index, celsius)
            if celsius != device.die.celsius:
                device.die = self._drawn(device.index).at(celsius)

    def device(self, index: int) -> Device:
        """Make device `index`, from 1."""
        return Device(index, self.die(index), self.uid(index), self.make_chip)

    def uid(self, index: int) -> bytes:
        """Return the UID that wafer sort has written: 16 bytes."""
        return uid(self.name, index - 1 if self.wishes.twin(index) else index)

    def contact(self, device: Device, site: int) -> Contact:
        """Draw the next landing of a device: by seed, device and contact number, nothing else."""
        number = device.contacts + 1
        random = Random(f"{self.seed}:{device.index}:contact:{number}")
        again = bool(self.fates.open_pin(device.index))
        stays = self.wishes.population.stays_dirty if again else 0.0
        dirt = max(stays, self.wishes.open_chance(device.index, number, site))
        fails, pin = random.random() < dirt, random.choice(PINS)
        return Contact(pin if fails else "", random.lognormvariate(-1.6, 0.3))

    def truth(self, index: int) -> Truth:
        """Join what the device is with what became of it."""
        die, fates = self.die(index), self.fates
        defect = self._wrong(index, die)
        return Truth(
            index=index,
            uid=self.uid(index),
            good=not defect,
            defect=defect,
            reasons=(defect,) if defect else self._reasons(index, die),
            contacts=fates.contacts(index),
            hard_bin=fates.hard_bin(index),
            sealed=fates.sealed(index),
            personalised=fates.personalised(index),
            place=fates.place(index),
        )

    def _wrong(self, index: int, die: Die) -> str:
        """Return what makes the device bad; empty if it is good."""
        wrong = die.outside() if self._hides(die) else die.wrong()
        if wrong or not self.reads_chips:
            return wrong
        if self.wishes.life_cycle(index) is not None:
            return "life_cycle"
        return next((flaw for flaw in sorted(self.wishes.flaws(index)) if flaw != CLONED), "")

    def _hides(self, die: Die) -> bool:
        return not self.reads_chips and die.defect in OF_THE_CHIP

    def _reasons(self, index: int, die: Die) -> tuple[str, ...]:
        """Return why a good device may be rejected all the same."""
        open_pin = self.fates.open_pin(index)
        causes = {
            f"open contact at {open_pin}": bool(open_pin),
            TWIN: self.wishes.has_twin(index),
            "mute_after": self.wishes.mute_after(index) is not None,
            "power_cut": self.wishes.power_cut(index) is not None,
            CLONED: CLONED in self.wishes.flaws(index),
            die.defect.value: self._hides(die),
        }
        return (*die.near(NEAR), *(name for name, true in causes.items() if true), *self.fates.notes(index))


def uid(lot: str, index: int) -> bytes:
    """Return the UID of the device at a place of the lot, as wafer sort lays it out."""
    digits = "".join(c for c in lot if c.isdigit())
    number = int(digits) if digits and int(digits) < 2**32 else crc32(lot.encode())
    wafer, at = divmod(index - 1, DIES_PER_WAFER)
    y, x = divmod(at, DIES_PER_ROW)
    return Uid(CREATOR, PRODUCT, PLANT, number, wafer + 1, x - DIES_PER_ROW // 2, y).encode()
