"""What is heated and cooled: it goes towards a target as a first-order body does."""

import math
from dataclasses import dataclass

AMBIENT_C = 23.0


@dataclass
class Body:
    """A temperature that moves."""

    time_constant_s: float
    target_c: float = AMBIENT_C
    _from_c: float = AMBIENT_C
    _since_s: float = 0.0
    _off_k: float = 0.0
    _off_since_s: float = 0.0

    def celsius(self, now: float) -> float:
        """Where it is."""
        gone = math.exp(-(now - self._since_s) / self.time_constant_s)
        return self.target_c + (self._from_c - self.target_c) * gone + self._disturbance_k(now)

    def _disturbance_k(self, now: float) -> float:
        passed_s = now - self._off_since_s
        return self._off_k * math.exp(-passed_s / self.time_constant_s) if self._off_k else 0.0

    def disturb(self, kelvins: float, now: float) -> None:
        """Be driven off, for as long as it takes to come back."""
        self._off_k, self._off_since_s = kelvins, now

    def go(self, target_c: float, now: float) -> None:
        """Move towards another target from now on."""
        self._from_c, self._since_s, self.target_c = self.celsius(now), now, target_c
        self._off_k = 0.0

    def near_since(self, window_k: float) -> float:
        """When it has come, or will come, within the window around its target."""
        there = self._back(abs(self._from_c - self.target_c), window_k, self._since_s)
        return max(there, self._back(abs(self._off_k), window_k, self._off_since_s))

    def _back(self, away_k: float, window_k: float, since_s: float) -> float:
        return since_s + self.time_constant_s * math.log(max(away_k / window_k, 1.0))
