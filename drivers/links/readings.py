"""How long a reading may last."""

SLOWEST_LINE_HZ = 50.0
AUTORANGE_S = 0.05
"""What an automatic range may add to one reading."""


def longest_reading(nplc: float) -> float:
    """Return seconds that a reading of so many power-line cycles does not exceed."""
    return 2 * nplc / SLOWEST_LINE_HZ + AUTORANGE_S
