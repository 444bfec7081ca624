"""The wafers of a simulated prober, in tests that need no chips."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.dialogue import Dialogue


@dataclass
class Wafers:
    """Wafers with the same dies; every landing and every mark is kept."""

    places: Sequence[tuple[int, int]] = ((0, 0), (1, 0))
    names: Sequence[str] = ("W1",)
    landings: list[tuple[int, int, int]] = field(default_factory=list)
    """Wafer, x, y of the reference at each contact."""
    marks: dict[tuple[int, int, int], int] = field(default_factory=dict)
    """The bin in the prober's map, by wafer, x, y."""
    down: bool = False
    """Whether the contacts are closed."""

    @property
    def count(self) -> int:
        return len(self.names)

    def name(self, wafer: int) -> str:
        return self.names[wafer - 1]

    def dies(self, wafer: int) -> Sequence[tuple[int, int]]:
        assert 1 <= wafer <= self.count
        return self.places

    def land(self, wafer: int, x: int, y: int) -> None:
        assert not self.down, "landed without having been lifted"
        self.down = True
        self.landings.append((wafer, x, y))

    def lift(self) -> None:
        self.down = False

    def mark(self, wafer: int, x: int, y: int, hard_bin: int) -> None:
        self.marks[wafer, x, y] = hard_bin


def given(dialogue: Dialogue) -> Wafers:
    """Read `given dies` as in `0,0; 1,0`, and `given wafers`, their ids."""
    places = [place.split(",") for place in dialogue.given.get("dies", "0,0; 1,0").split(";")]
    names = dialogue.given.get("wafers", "W1").split()
    return Wafers([(int(x), int(y)) for x, y in places], ["" if name == "none" else name for name in names])
