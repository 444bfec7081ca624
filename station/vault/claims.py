"""What a station tells of custody: claims, which the ledger keeps as such."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from station.custody.ledger import Fact
from station.errors import LedgerError

EVENTS_MAX = 1024
"""Claims in one call."""
CLAIMED = frozenset({"unit.binned", "unit.received", "unit.rejected"})
"""What a station may claim; all else the vault knows better, or a person must sign."""


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event of the station."""

    event: str
    unit: str
    lot: str
    at: float
    """Unix seconds."""
    data: dict[str, object] = {}


@dataclass(frozen=True)
class Claims:
    """A call: `first` is the number of its first event, counted by the station from 0."""

    station: str
    first: int
    events: Sequence[bytes]

    def read(self) -> list[tuple[Fact, float]]:
        """The claims as facts, each with its time; LedgerError if one is none."""
        if len(self.events) > EVENTS_MAX:
            raise LedgerError(f"{len(self.events)} events at once, at most {EVENTS_MAX} are allowed")
        return [self._fact(self.first + place, event) for place, event in enumerate(self.events)]

    def _fact(self, number: int, event: bytes) -> tuple[Fact, float]:
        try:
            claim = msgspec.json.decode(event, type=Claim)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise LedgerError(f"event {number} is no claim: {error}") from error
        if claim.event not in CLAIMED:
            allowed = ", ".join(sorted(CLAIMED))
            raise LedgerError(f"event {number}: a station claims {allowed}, not {claim.event[:64]!r}")
        source = f"station:{self.station}"
        return Fact(claim.event, source, claim.data, unit=claim.unit, lot=claim.lot), claim.at
