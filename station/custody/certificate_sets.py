"""The balance of certificates: every set that was issued is sealed in its unit, revoked, or on hold."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from station.errors import CustodyError


class Hold(StrEnum):
    """Where a set of certificates is."""

    ON_HOLD = "on hold"
    """Issued, and its unit not sealed yet."""
    SEALED = "sealed"
    REVOKED = "revoked"


@dataclass
class CertificateSets:
    """The sets of one lot, by unit; all are of one size."""

    lot: str
    size: int = 3
    _sets: dict[str, tuple[frozenset[str], Hold]] = field(default_factory=dict)
    _serials: set[str] = field(default_factory=set)

    def issue(self, unit: str, serials: Collection[str]) -> None:
        """A set was signed for a unit; the same set again is no change. CustodyError if it may not be."""
        known = self._sets.get(unit)
        new = frozenset(serials)
        if known is not None and known[0] == new:
            return
        if known is not None:
            raise CustodyError(f"lot {self.lot}: unit {unit} has another set of certificates")
        if len(new) != self.size or len(serials) != self.size:
            raise CustodyError(f"lot {self.lot}: unit {unit}: {len(new)} certificates, a set has {self.size}")
        if new & self._serials:
            raise CustodyError(f"lot {self.lot}: unit {unit}: {min(new & self._serials)} is issued already")
        self._sets[unit] = (new, Hold.ON_HOLD)
        self._serials |= new

    def seal(self, unit: str) -> None:
        """The unit of a set is sealed."""
        self._move(unit, Hold.SEALED, {Hold.ON_HOLD})

    def revoke(self, unit: str) -> None:
        """A set is revoked; there is no way back."""
        self._move(unit, Hold.REVOKED, {Hold.ON_HOLD, Hold.SEALED})

    def _move(self, unit: str, target: Hold, sources: set[Hold]) -> None:
        serials, hold = self._sets.get(unit, (frozenset[str](), None))
        if hold not in sources:
            state = "never issued" if hold is None else hold
            raise CustodyError(f"lot {self.lot}: certificates of unit {unit} are {state}, not to be {target}")
        self._sets[unit] = (serials, target)

    def counts(self) -> Mapping[Hold, int]:
        """Return how many sets are where; their sum is what was issued."""
        return {hold: sum(kept is hold for _, kept in self._sets.values()) for hold in Hold}
