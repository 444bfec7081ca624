"""Estimates of min-entropy from raw noise, NIST SP 800-90B."""

from collections import Counter
from math import log2, sqrt

Z_99 = 2.5758293035489
"""Standard normal quantile at 99.5 %: the two-sided 99 % bound."""


def most_common_value(samples: bytes) -> float:
    """Min-entropy in bits per byte by the most common value, at 99 % confidence (section 6.3.1)."""
    size = len(samples)
    if size < 2:
        raise ValueError(f"{size} samples: at least 2 are needed")
    share = max(Counter(samples).values()) / size
    bound = min(1.0, share + Z_99 * sqrt(share * (1.0 - share) / (size - 1)))
    return max(0.0, -log2(bound))
