"""What a simulated handler feeds from and sorts into, in tests that need no chips."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.dialogue import Dialogue


@dataclass
class Trays:
    """Sockets of a handler: batches go in, each device comes out once."""

    batches: list[frozenset[int]]
    """The sites that each load fills."""
    sockets: dict[int, int] = field(default_factory=dict)
    """Device number by site."""
    bins: dict[int, int] = field(default_factory=dict)
    """Hard bin by device number."""
    landings: list[tuple[int, ...]] = field(default_factory=list)
    """The devices of each landing."""
    down: bool = False

    def load(self) -> frozenset[int]:
        assert not self.down, "parts placed under closed contacts"
        if not self.batches:
            return frozenset()
        batch = self.batches.pop(0)
        for site in sorted(batch):
            assert site not in self.sockets, f"two parts at site {site}"
            self.sockets[site] = self.made + 1
        return batch

    def refeed(self, bins: frozenset[int]) -> int:
        assert not bins
        return 0

    def code(self, site: int) -> str:
        return f"P{self.sockets[site]:06d}"

    @property
    def made(self) -> int:
        """How many devices have left the input."""
        return len(self.bins) + len(self.sockets)

    def land(self) -> None:
        assert not self.down
        self.down = True
        self.landings.append(tuple(self.sockets.values()))

    def lift(self) -> None:
        self.down = False

    def promised(self, bins: Mapping[int, int]) -> None:
        pass

    def sort(self, bins: Mapping[int, int]) -> None:
        assert not self.down, "parts moved under closed contacts"
        for site, hard_bin in bins.items():
            device = self.sockets.pop(site)
            assert device not in self.bins
            self.bins[device] = hard_bin


def full(sites: int, times: int) -> Trays:
    """So many batches that fill all sites."""
    return Trays([frozenset(range(1, sites + 1))] * times)


def given(dialogue: Dialogue) -> Trays:
    """Read `given parts`: the sites of each batch, as in `1 2 3; 1`."""
    return Trays([_sites(batch) for batch in dialogue.given.get("parts", "1").split(";")])


def _sites(text: str) -> frozenset[int]:
    numbers: Iterable[int] = map(int, text.split())
    return frozenset(numbers)
