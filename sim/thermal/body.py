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

    def celsius(self, now: float) -> float:
        """Where it is."""
        gone = math.exp(-(now - self._since_s) / self.time_constant_s)
        return self.target_c + (self._from_c - self.target_c) * gone

    def go(self, target_c: float, now: float) -> None:
        """Move towards another target from now on."""
        self._from_c, self._since_s, self.target_c = self.celsius(now), now, target_c

    def near_since(self, window_k: float) -> float:
        """When it has come, or will come, within the window around its target."""
        away = abs(self._from_c - self.target_c)
        if away <= window_k:
            return self._since_s
        return self._since_s + self.time_constant_s * math.log(away / window_k)
