"""What a station tells of custody: claims, which the ledger keeps as such."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

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

    def binned(self) -> "Binned":
        """The bin that is claimed; msgspec.ValidationError if none is."""
        return msgspec.convert(self.data, Binned)


class Binned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`data` of a claim `unit.binned`."""

    bin: Annotated[int, Meta(ge=0, le=65535)]
    kind: Literal["pass", "fail", "other"]

    @property
    def passing(self) -> bool:
        """Whether good devices lie in the bin."""
        return self.kind == "pass"


class GapError(LedgerError):
    """Claims before these never came."""

    def __init__(self, claims: "Claims", following: int) -> None:
        super().__init__(f"{claims.lot}: claims begin with {claims.first}, {following} is next")
        why = f"{claims.station} claims of lot {claims.lot} from {claims.first} on, and {following} is next"
        self.fact = Fact("log.gap", data={"station": claims.station, "why": why}, lot=claims.lot)


@dataclass(frozen=True)
class Claims:
    """One call. The station numbers the claims of each lot from 0."""

    station: str
    lot: str
    first: int
    claims: Sequence[Claim]

    @classmethod
    def read(cls, station: str, first: int, events: Sequence[bytes]) -> "Claims":
        """Read a call, whose claims are all of one lot; LedgerError if they are not, or one is none."""
        if not 1 <= len(events) <= EVENTS_MAX:
            raise LedgerError(f"{len(events)} events at once, 1 to {EVENTS_MAX} are allowed")
        claims = [_claim(first + place, event) for place, event in enumerate(events)]
        lot = claims[0].lot
        if other := next((claim.lot for claim in claims if claim.lot != lot), None):
            raise LedgerError(f"claims of one lot in a call, not of {lot!r} and {other!r}")
        return cls(station, lot, first, claims)

    def facts(self) -> list[tuple[Fact, float]]:
        """The claims for the ledger, each with its time."""
        source = f"station:{self.station}"
        return [(Fact(c.event, source, c.data, unit=c.unit, lot=c.lot), c.at) for c in self.claims]


def _claim(number: int, event: bytes) -> Claim:
    try:
        claim = msgspec.json.decode(event, type=Claim)
        if claim.event == "unit.binned":
            claim.binned()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LedgerError(f"event {number} is no claim: {error}") from error
    if claim.event not in CLAIMED:
        allowed = ", ".join(sorted(CLAIMED))
        raise LedgerError(f"event {number}: a station claims {allowed}, not {claim.event[:64]!r}")
    return claim
