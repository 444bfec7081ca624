"""What each driver rests on: where its dialogues come from."""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from station.equip.dialogue import all_dialogues


class Basis(Struct, frozen=True):
    """The dialogues of one driver, counted by origin."""

    driver: str
    captured: int
    manual: int
    assumed: int

    @property
    def assumption(self) -> bool:
        """Whether nothing but assumption carries it, or nothing at all."""
        return not self.captured and not self.manual

    def __str__(self) -> str:
        return f"{self.captured} captured, {self.manual} by the manual, {self.assumed} assumed"


def basis(driver: str) -> Basis:
    """Count the dialogues of a driver."""
    counts = Counter(dialogue.origin for dialogue in all_dialogues(driver))
    return Basis(driver, counts["captured"], counts["manual"], counts["assumed"])


def of(drivers: Iterable[str]) -> list[Basis]:
    """Count those of each, by name."""
    return [basis(driver) for driver in sorted(set(drivers))]
