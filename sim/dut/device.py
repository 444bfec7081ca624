"""One simulated device: its die, seen through the contacts of a landing, and the chip behind them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from drivers.protocols.se1_table import LifeCycle
from sim.dut.electrical import BOOT_V, LEAKAGE_V, Diode, InputPin, SupplyPin, diode
from sim.dut.population import INPUTS, Defect, Die

CARD_PINS = ("VDD", "GND", "IO", "CLK", "RST")
SUPPLY_LEAKAGE_A = 50e-9


class Silicon(Protocol):
    """What a device needs of `sim.dut.chip`."""

    @property
    def life_cycle(self) -> int:
        """The state's byte, as the chip's own memory has it."""

    def deactivate(self) -> None:
        """Clock and reset have gone."""

    def power(self, volts: float | None) -> None:
        """VDD comes up, changes or goes away (None)."""

    def atr(self) -> bytes | None:
        """Reset the chip and return its answer, None if it gives none."""

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        """Answer a command (None: silent) and say how many seconds it takes."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One landing of one device: which pin stayed open, and what the others came to."""

    open_pin: str = ""
    ohm: float = 0.2

    def holds(self, pin: str) -> bool:
        """Whether current can flow through `pin`; nothing flows anywhere without GND."""
        return self.open_pin not in (pin, "GND")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a chip has come."""

    sealed: bool
    """Its life cycle is SECURED or beyond."""
    personalised: bool
    """It has committed its identity."""


class Device:
    """A device from its first landing until it is sorted. The chip is made when it first gets power."""

    def __init__(self, index: int, die: Die, uid: bytes, make_chip: "MakeChip") -> None:
        self.index = index
        self.die = die
        self.uid = uid
        self.contacts = 0
        self.contact: Contact | None = None
        self.chip: Silicon | None = None
        self._make_chip = make_chip
        self._volts: float | None = None
        self._active = False

    def holds(self, pin: str) -> bool:
        """Whether an instrument at `pin` reaches the die: contact made, and no open inside."""
        return self.contact is not None and self.contact.holds(pin) and not self._open_inside(pin)

    def _open_inside(self, pin: str) -> bool:
        return self.die.defect is Defect.OPEN_PIN and self.die.pin in (pin, "GND")

    # -- electrical
    def input_pin(self, pin: str) -> InputPin:
        """Return the circuit of an input at this landing; only where it holds."""
        at = INPUTS.index(pin)
        siemens = self.die.leakage_a[at] / LEAKAGE_V + self._short_siemens(pin)
        return InputPin(self._diode(self.die.drop_v[at]), siemens)

    def supply_pin(self) -> SupplyPin:
        """Return the circuit of VDD at this landing; only where it holds."""
        siemens = SUPPLY_LEAKAGE_A / LEAKAGE_V + self._short_siemens("VDD")
        return SupplyPin(self._diode(self.die.drop_v[0] - 0.06), siemens, self.die.idle_a)

    def _diode(self, drop_v: float) -> Diode:
        return diode(drop_v, self.die.bond_ohm + self._contact_ohm, self.die.celsius)

    @property
    def _contact_ohm(self) -> float:
        return self.contact.ohm if self.contact is not None else 0.0

    def _short_siemens(self, pin: str) -> float:
        if self.die.defect is not Defect.SHORT_TO_GROUND or self.die.pin != pin:
            return 0.0
        return 1.0 / (self.die.short_ohm + self._contact_ohm)

    @property
    def short_to_vdd_ohm(self) -> float | None:
        """What lies between VDD and the pin that is shorted to it; None where none is."""
        return self.die.short_ohm + self._contact_ohm if self.die.defect is Defect.SHORT_TO_VDD else None

    # -- the chip
    def supplied(self, volts: float | None) -> None:
        """Tell what VDD has come to at the contacts; the chip learns what gets through."""
        reaches = volts is not None and volts >= BOOT_V and self.holds("VDD")
        volts = volts if reaches and not self._cannot_boot else None
        if volts == self._volts:
            return
        self._volts = volts
        self._active = self._active and volts is not None
        if volts is not None:
            self.have_chip()
        if self.chip is not None:
            self.chip.power(volts)

    def have_chip(self) -> None:
        """Make the chip, if there is none yet."""
        if self.chip is None:
            self.chip = self._make_chip(self)

    @property
    def _cannot_boot(self) -> bool:
        shorted = self.die.defect is Defect.SHORT_TO_GROUND and self.die.pin == "VDD"
        return shorted or self.die.defect is Defect.DEAD_REGULATOR

    def activate(self) -> bytes | None:
        """Clock and reset have come: return the ATR, None if the device cannot be heard."""
        mute = self.die.defect is Defect.DEAD or not self._line_sound
        self._active = self.chip is not None and self._volts is not None and not mute
        return self.chip.atr() if self.chip is not None and self._active else None

    @property
    def _line_sound(self) -> bool:
        shorted = self.die.defect in (Defect.SHORT_TO_GROUND, Defect.SHORT_TO_VDD)
        return all(self.holds(pin) for pin in CARD_PINS) and not shorted

    def progress(self) -> Progress:
        """Return how far the chip has come, as a fresh boot finds it."""
        state = None if self.chip is None else self.chip.life_cycle
        sealed = state in (LifeCycle.SECURED, LifeCycle.CARD_LOCKED)
        return Progress(sealed=sealed, personalised=sealed or state == LifeCycle.INITIALIZED)

    def deactivate(self) -> None:
        """Clock and reset have gone; the supply stays as it is."""
        self._active = False
        if self.chip is not None:
            self.chip.deactivate()

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        """Give the chip a command; a device that is not active, or mute, keeps silent."""
        if self.chip is None or not self._active or self.die.defect is Defect.MUTE:
            return None, 0.0
        return self.chip.apdu(command)


MakeChip: TypeAlias = Callable[[Device], Silicon]
