"""What a station file may say of any prober."""

from msgspec import Struct

from drivers.roles.probe_card import Place, ProbeCard
from drivers.roles.prober import StepMode


class ProberOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options that all probers have."""

    sites: frozenset[int] = frozenset({1})
    """The sites of the station; the card must have as many."""
    card: tuple[Place, ...] = ((0, 0),)
    """Where each site stands, in dies right of and below the reference; site 1 first."""
    off_wafer: bool = True
    """Whether sites may land beside the dies that are to be tested."""
    mode: StepMode = "tester_master"
    """Who says which die is next."""
    loader: bool = True
    """Whether wafers come out of cassettes; otherwise one is on the chuck, put there by a person."""
    cassettes: tuple[int, ...] = (1,)
    slots: tuple[int, ...] = ()
    """Which slots of each cassette; empty: all in which there is a wafer."""
    align: bool = True
    """Whether each wafer is aligned after it was loaded."""
    mark: bool = True
    """Whether bins are written into the prober's own map."""
    settle_s: float = 0.0
    """From contact to test."""
    contact_tries: int = 2
    """How often a die is landed on, with a cleaning between, before it is given up."""
    clean_every: int = 0
    """Landings between two cleanings; 0: only when there was no contact."""
    window_k: float = 1.0
    """How near the chuck's temperature must come to its set point."""
    heating_s: float = 3600.0
    """How long it may take."""

    def __post_init__(self) -> None:
        if len(self.card) != len(self.sites) or self.sites != frozenset(range(1, len(self.sites) + 1)):
            raise ValueError(
                f"card has {len(self.card)} sites, the station has {sorted(self.sites)}: "
                "one offset [x, y] for each site is needed, site 1 first"
            )
        self.probe_card  # noqa: B018 - it is made, or refused, here
        if not self.cassettes or any(cassette not in (1, 2) for cassette in self.cassettes):
            raise ValueError(f"cassettes {list(self.cassettes)}: 1 and 2 are allowed")
        if any(not 1 <= slot <= 25 for slot in self.slots):
            raise ValueError(f"slots {list(self.slots)}: 1 to 25 are allowed")
        for field, low in (("settle_s", 0), ("contact_tries", 1), ("clean_every", 0), ("window_k", 0)):
            if (value := getattr(self, field)) < low:
                raise ValueError(f"{field} {value:g}: {low} or more is allowed")
        if self.heating_s <= 0:
            raise ValueError(f"heating_s {self.heating_s:g}: more than 0 is allowed")

    @property
    def probe_card(self) -> ProbeCard:
        """The card; CardError, a ValueError, if it cannot be meant."""
        return ProbeCard(dict(enumerate(self.card, start=1)), off_wafer=self.off_wafer)
