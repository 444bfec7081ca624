"""Faults that say more together than each alone: in a row, in one lot, at one site."""

from collections import Counter, deque
from dataclasses import dataclass

from station.vault.faults import STOPPING, Code

ROW = 2
"""Dies in a row that do not know the transport keys, before a wrong master burns attempts lot-wide."""
LOT = 3
"""Dies of a lot whose UID, noise, keys, containers or lock are not as they must be."""
MACS, MACS_S = 3, 3600.0
"""Wrong MACs at one site within so long."""
OF_A_LOT = frozenset(
    {
        Code.UID_DUPLICATE,
        Code.TRNG_STATISTICS,
        Code.KEY_FORMAT,
        Code.PROOF_SIGNATURE,
        Code.PROOF_KEM,
        Code.PROOF_REJECTION,
        Code.STORE_HASH,
        Code.ATTESTATION,
        Code.ROTATION,
        Code.LOCK,
        Code.LOCK_PROOF,
    }
)


@dataclass(frozen=True)
class Place:
    """Where a die is in contact."""

    station: str
    site: str
    lot: str


@dataclass(frozen=True)
class Stop:
    """What is to stop, and why."""

    code: Code
    reason: str
    station: str = ""
    site: str = ""
    """Empty: the whole line."""


class Vigilance:
    """Counts, and says what is to stop; whoever asks `due` must stop it."""

    def __init__(self) -> None:
        self._row = 0
        self._lots = Counter[tuple[str, Code]]()
        self._macs: dict[tuple[str, str], deque[float]] = {}
        self._due: list[Stop] = []

    def due(self) -> list[Stop]:
        """What is to stop since the last call."""
        due, self._due = self._due, []
        return due

    def sealed(self) -> None:
        """A die knew its keys."""
        self._row = 0

    def doubted(self, place: Place, code: Code, now: float) -> None:
        """A session ended in doubt."""
        if code is not Code.R_MAC:
            return
        macs = self._macs.setdefault((place.station, place.site), deque(maxlen=MACS))
        macs.append(now)
        if len(macs) == MACS and macs[-1] - macs[0] <= MACS_S:
            self._at_site(place, code, f"{MACS} wrong MACs in an hour")

    def judged(self, place: Place, code: Code) -> None:
        """A die was judged with a fault."""
        if code in STOPPING:
            self._due.append(Stop(code, STOPPING[code]))
        if code is Code.CARD_CRYPTOGRAM:
            self._row += 1
            if self._row >= ROW:
                self._due.append(Stop(code, "two dies in a row do not know the transport keys"))
        if code in OF_A_LOT:
            self._lots[place.lot, code] += 1
            if self._lots[place.lot, code] == LOT:
                self._due.append(Stop(code, f"{LOT} dies of lot {place.lot}: {code.name}"))

    def _at_site(self, place: Place, code: Code, why: str) -> None:
        reason = f"site {place.site} of {place.station}: {why}"
        self._due.append(Stop(code, reason, place.station, place.site))
