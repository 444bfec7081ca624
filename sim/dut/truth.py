"""What is true of each device, and what became of it: the station cannot reach this."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NOT_SORTED = -1

SEALED = 1
PERSONALISED = 2


@dataclass(frozen=True, slots=True)
class Truth:
    """One device of the lot, by its running number (from 1)."""

    index: int
    uid: bytes
    good: bool
    """No defect, and all true parameters inside the product's true specification."""
    defect: str
    """What is wrong with it; empty when it is good."""
    reasons: tuple[str, ...]
    """Why a station may reject it: its defect; else what befell it at its last landing, or a near limit."""
    contacts: int
    hard_bin: int | None
    """Where it ended; None when it was not sorted."""
    sealed: bool
    """Its life cycle is SECURED or beyond."""
    personalised: bool
    """Its identity is committed, sealed or not."""
    place: tuple[str, int, int] | None = None
    """Wafer, x and y of a die that was landed on."""


class Fates:
    """What became of the devices of a lot, in a few bytes each."""

    def __init__(self, devices: int) -> None:
        self._contacts = array("H", bytes(2 * devices))
        self._bins = array("h", [NOT_SORTED]) * devices
        self._marks = array("B", bytes(devices))
        self._open_pins = dict[int, str]()
        self._notes = dict[int, tuple[str, ...]]()
        self._places = dict[int, tuple[str, int, int]]()
        self._heats = dict[int, float]()
        self.told: Callable[..., None] = _unheard
        """Told of each change, in the words that `again` takes."""

    def placed(self, index: int, place: tuple[str, int, int]) -> None:
        """Remember which die of which wafer a device is."""
        self._places[index] = place

    def place(self, index: int) -> tuple[str, int, int] | None:
        """Return wafer, x and y of a die; None of a device that is on no wafer, or was not landed on."""
        return self._places.get(index)

    def again(self, change: Sequence[str | int | bool]) -> None:
        """Let a change that was told be true again; one of other words is none of ours."""
        match change:
            case ["landed", int(index), str(open_pin)]:
                self.landed(index, open_pin)
            case ["passed over", int(index), str(open_pin)]:
                self.passed_over(index, open_pin)
            case ["noted", int(index), str(reason)]:
                self.noted(index, reason)
            case ["marked", int(index), bool(sealed), bool(personalised)]:
                self.marked(index, sealed=sealed, personalised=personalised)
            case ["sorted", int(index), int(hard_bin)]:
                self.sorted(index, hard_bin)
            case ["again", *indices]:
                for one in indices:
                    self._bins[int(one) - 1] = NOT_SORTED
            case ["heated", int(index), str(celsius)]:
                self.heated(index, float(celsius))
            case _:
                pass

    def landed(self, index: int, open_pin: str) -> int:
        """Count a landing, remember the pin that stayed open; return the number of the contact, from 1."""
        self._contacts[index - 1] += 1
        self._opened(index, open_pin)
        self.told("landed", index, open_pin)
        return self._contacts[index - 1]

    def heated(self, index: int, celsius: float) -> None:
        """Remember the temperature of a device at its last landing."""
        if self._heats.get(index) != celsius:
            self._heats[index] = celsius
            self.told("heated", index, f"{celsius}")

    def heat(self, index: int) -> float | None:
        """Return the temperature that something in the cell gave the device; None if nothing did."""
        return self._heats.get(index)

    def passed_over(self, index: int, open_pin: str) -> None:
        """Nobody has measured at the last landing: what was open at the one before counts."""
        self._opened(index, open_pin)
        self.told("passed over", index, open_pin)

    def _opened(self, index: int, open_pin: str) -> None:
        if open_pin:
            self._open_pins[index] = open_pin
        else:
            self._open_pins.pop(index, None)

    def noted(self, index: int, reason: str) -> None:
        """Remember what happened to a device in its socket that it cannot be blamed for.

        It stays remembered when the device is landed again with a neighbour: its verdict may be of before.
        """
        notes = self._notes.get(index, ())
        if reason not in notes:
            self._notes[index] = (*notes, reason)
            self.told("noted", index, reason)

    def marked(self, index: int, *, sealed: bool, personalised: bool) -> None:
        """Remember how far the chip got."""
        self._marks[index - 1] = SEALED * sealed | PERSONALISED * personalised
        self.told("marked", index, sealed, personalised)

    def sorted(self, index: int, hard_bin: int) -> None:
        """Remember the bin in which the device lies."""
        self._bins[index - 1] = hard_bin
        self.told("sorted", index, hard_bin)

    def contacts(self, index: int) -> int:
        """Return how often the device was landed."""
        return self._contacts[index - 1]

    def hard_bin(self, index: int) -> int | None:
        """Return the bin of the device, None when it was not sorted."""
        found = self._bins[index - 1]
        return None if found == NOT_SORTED else found

    def open_pin(self, index: int) -> str:
        """Return the pin that was open at the last landing that was measured at; empty when all held."""
        return self._open_pins.get(index, "")

    def notes(self, index: int) -> tuple[str, ...]:
        """Return what happened to the device at its last landing."""
        return self._notes.get(index, ())

    def sealed(self, index: int) -> bool:
        """Whether the life cycle was SECURED or beyond when the device was last seen."""
        return bool(self._marks[index - 1] & SEALED)

    def personalised(self, index: int) -> bool:
        """Whether the identity was committed when the device was last seen."""
        return bool(self._marks[index - 1] & PERSONALISED)


def _unheard(*change: object) -> None:
    """Nobody keeps it."""
