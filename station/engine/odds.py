"""How likely counts are by chance alone: exact tails, in logarithms so that nothing over- or underflows."""

from collections.abc import Iterable
from math import ceil, exp, fsum, inf, lgamma, log, log1p


def at_most(count: int, of: int, share: float) -> float:
    """P(X <= count) of a binomial X: so few, if each has the chance `share`."""
    return _sum(_binomial(k, of, share) for k in range(count + 1))


def at_least(count: int, of: int, share: float) -> float:
    """P(X >= count) of a binomial X: so many, if each has the chance `share`."""
    return _sum(_binomial(k, of, share) for k in range(count, of + 1))


def share_at_least(count: int, of: int, all_count: int, all_of: int) -> float:
    """Hypergeometric: that `of` drawn from `all_of` hold `count` or more of the `all_count` marked ones."""
    return _sum(
        _chosen(k, all_count) + _chosen(of - k, all_of - all_count) - _chosen(of, all_of)
        for k in range(count, min(of, all_count) + 1)
        if of - k <= all_of - all_count
    )


def run_of_fails(good: float, tested: int, chance: float = 0.01) -> int:
    """The least run of fails that `tested` devices of yield `good` show with at most this chance."""
    return max(1, ceil(log(chance / (tested * good)) / log1p(-good)))


def _binomial(k: int, of: int, share: float) -> float:
    if share in (0.0, 1.0):
        return 0.0 if k == of * share else -inf
    return _chosen(k, of) + k * log(share) + (of - k) * log1p(-share)


def _chosen(k: int, of: int) -> float:
    return lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1)


def _sum(logarithms: Iterable[float]) -> float:
    return min(1.0, fsum(map(exp, logarithms)))
