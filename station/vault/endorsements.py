"""How long the vault takes for certificates: from the arrival of a die's proofs until they are on disk."""

from collections import deque
from collections.abc import Callable, Sequence

from station.clock import steady

KEPT = 1000
"""Of so many dies, the last ones."""


class Endorsements:
    """What the last dies took: proofs verified, certificates made, signed, verified anew, two commits."""

    def __init__(self, seconds: Callable[[], float] = steady) -> None:
        self._seconds, self._took_s = seconds, deque[float](maxlen=KEPT)

    def one(self) -> "Endorsement":
        """One die's, which may or may not come to it."""
        return Endorsement(self._seconds, self._took_s.append)

    @property
    def p99_s(self) -> float:
        """Seconds within which 99 of 100 had them; 0 before the first."""
        return percentile([*self._took_s], 99) if self._took_s else 0.0


class Endorsement:
    """From the proofs of a die, if they come on this contact, to its certificates."""

    def __init__(self, seconds: Callable[[], float], took: Callable[[float], None]) -> None:
        self._seconds, self._took = seconds, took
        self._begun: float | None = None

    def begins(self) -> None:
        """The proofs are there."""
        self._begun = self._seconds()

    def ends(self) -> None:
        """The certificates are on disk; without a beginning nothing is told."""
        if self._begun is not None:
            self._took(self._seconds() - self._begun)


def percentile(values: Sequence[float], percent: int) -> float:
    """What so many of 100 values do not exceed."""
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]
