"""Health of a noise source, judged on the host: the tests and cut-offs of NIST SP 800-90B, section 4.4.

A cut-off is the smallest count that a source with min-entropy H a sample reaches with a probability of at
most alpha, which is a power of two: `alpha_exponent` 40 is alpha = 2^-40. Binomials are summed, to 60 digits,
not approximated. Samples are the bytes of a string; `bits` makes each bit a sample.
"""

from collections.abc import Iterator
from decimal import Context, Decimal, localcontext
from functools import cache
from math import ceil

SCREEN = 40
"""What production screens at: on 2 KiB a test of bits fails 1.5 good dies of 10^8, at most."""
BIT_WINDOW = 1024
DIGITS = 60
TWO = Decimal(2)
BITS_OF = [bytes(byte >> place & 1 for place in reversed(range(8))) for byte in range(256)]


def repetition_cutoff(entropy: float, alpha_exponent: int = SCREEN) -> int:
    """Repetition count test (4.4.1): this many equal samples in a row are an alarm."""
    return 1 + ceil(alpha_exponent / entropy)


@cache
def proportion_cutoff(entropy: float, window: int, alpha_exponent: int = SCREEN) -> int:
    """Adaptive proportion test (4.4.2): a window that holds its first sample this often is an alarm."""
    with localcontext(Context(prec=DIGITS)):
        return _critical(window, TWO ** -Decimal(entropy), alpha_exponent)


@cache
def share_limit(samples: int, alpha_exponent: int = SCREEN) -> float:
    """How far from one half the share of ones among so many fair bits may be, to either side."""
    with localcontext(Context(prec=DIGITS)):
        most = _critical(samples, 1 / TWO, alpha_exponent + 1) - 1
    return most / samples - 0.5


def overkill(samples: int, alpha_exponent: int = SCREEN) -> float:
    """Bound on the share of good dies that one test fails on so many samples: n alpha."""
    return samples * 2.0**-alpha_exponent


def bits(noise: bytes) -> bytes:
    """Each bit as a sample of its own, the first one first."""
    return b"".join(map(BITS_OF.__getitem__, noise))


def longest_run(samples: bytes) -> int:
    """Length of the longest run of equal samples."""
    number = int.from_bytes(samples)
    steps = (number ^ number >> 8).to_bytes(len(samples))[1:]  # 0 where a sample equals the one before it
    longest, too_long = 0, len(samples)
    while too_long - longest > 1:
        length = (longest + too_long) // 2
        longest, too_long = (length, too_long) if bytes(length) in steps else (longest, length)
    return longest + bool(samples)


def worst_proportion(samples: bytes, window: int) -> int:
    """The most that a window holds its first sample; windows follow each other, the last may be short."""
    return max((part.count(part[:1]) for part in _windows(samples, window)), default=0)


def shares_of_ones(noise: bytes) -> tuple[float, ...]:
    """The share of ones at each of the eight places of a byte, bit 7 first."""
    samples = bits(noise)
    return tuple(samples[place::8].count(1) / len(noise) for place in range(8))


def share_of_ones(noise: bytes) -> float:
    """The share of ones among all bits."""
    return int.from_bytes(noise).bit_count() / (8 * len(noise))


def repeats(noise: bytes, length: int = 8) -> bool:
    """Whether any `length` bytes occur twice; in n good bytes with probability n^2 2^-(8 length + 1)."""
    seen = {noise[at : at + length] for at in range(len(noise) - length + 1)}
    return len(seen) < len(noise) - length + 1


def _windows(samples: bytes, window: int) -> Iterator[bytes]:
    return (samples[at : at + window] for at in range(0, len(samples), window))


def _critical(n: int, p: Decimal, alpha_exponent: int) -> int:
    """The smallest count that n trials of probability p reach with at most alpha; ValueError if none does."""
    alpha, odds = TWO**-alpha_exponent, (1 - p) / p
    term = tail = p**n
    if tail > alpha:
        raise ValueError(f"{n} samples are too few to judge at alpha = 2^-{alpha_exponent}")
    count = n
    while tail <= alpha:
        term *= odds * count / (n - count + 1)
        count -= 1
        tail += term
    return count + 1
