"""When a lot is not to go on as it is: what a sequence asks for. `station.engine.stop_rules` does it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from station.model import Bin

LEAST_STUCK = 3
LATER = frozenset({"clean_every", "retries"})


@dataclass(frozen=True)
class StopRules:
    """Each rule is off until it is given what it needs. Shares lie between 0 and 1."""

    baseline_yield: float | None = None
    """The share of good devices in a healthy lot: it says how many fails in a row stop a site (R1, R2)."""
    all_sites: int | None = None
    """So many touchdowns in a row with a fail at every one of two or more sites hold the lot (R3)."""
    yield_floor: float | None = None
    """The least share of good devices of a lot that goes on (R4)."""
    compare_sites: bool = False
    """Whether a site that fails more than the others is switched off (R5)."""
    bin_limits: tuple[tuple[Bin, float], ...] = ()
    """The largest share of devices in a bin of a lot that goes on (R6)."""
    contact_bins: tuple[Bin, ...] = ()
    """Bins of devices that were not touched."""
    no_touch: int | None = None
    """So many touchdowns in a row with every one of two or more sites in contact bins hold the lot (R7)."""
    stuck: int | None = None
    """So many equal readings in a row of a test at a site come from no device: it is not judged (R12)."""
    clean_every: int | None = None
    """After so many touchdowns the tips are cleaned (R8); of a prober that can."""
    retries: float | None = None
    """The largest share of rows that are run again in the same contact before it is an alarm (R11)."""

    def wrong(self, known: Collection[int]) -> Iterator[str]:
        """Name what cannot be meant, given the numbers of the bins that devices can get."""
        shares = {"baseline_yield": self.baseline_yield, "yield_floor": self.yield_floor}
        shares["retries"] = self.retries
        shares |= {f"limit of bin {bin_.number}": limit for bin_, limit in self.bin_limits}
        for name, share in shares.items():
            if share is not None and not 0 < share < 1:
                yield f"rules: {name} = {share:g} must lie between 0 and 1"
        counts = {"all_sites": self.all_sites, "no_touch": self.no_touch, "clean_every": self.clean_every}
        for name, count in counts.items():
            if count is not None and count < 1:
                yield f"rules: {name} = {count} must be 1 or more touchdowns"
        if self.stuck is not None and self.stuck < LEAST_STUCK:
            yield f"rules: stuck = {self.stuck} must be {LEAST_STUCK} or more readings"
        if self.no_touch is not None and not self.contact_bins:
            yield "rules: no_touch needs contact_bins"
        for bin_ in (*self.contact_bins, *(bin_ for bin_, _ in self.bin_limits)):
            if bin_.number not in known:
                yield f"rules: bin {bin_.number} {bin_.name!r} is used by no row"


def asked(rules: StopRules) -> dict[str, object]:
    """Return the rules as a fingerprint rests on them: those that came later only if they are asked for."""
    told: dict[str, object] = msgspec.to_builtins(rules)
    return {name: value for name, value in told.items() if value is not None or name not in LATER}
