"""How likely counts are by chance alone: exact tails, in logarithms so that nothing over- or underflows."""

from collections.abc import Callable, Iterable
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


def interval(count: int, of: int, chance: float = 0.05) -> tuple[float, float]:
    """Clopper-Pearson: the shares between which the true one lies but for `chance`; 0 to 1 of nothing."""
    if not of:
        return 0.0, 1.0
    if 2 * count > of:  # the shorter tail is summed
        low, high = interval(of - count, of, chance)
        return 1 - high, 1 - low
    low = _crossing(lambda share: 1 - at_most(count - 1, of, share) >= chance / 2) if count else 0.0
    return low, _crossing(lambda share: at_most(count, of, share) <= chance / 2)


def _crossing(beyond: Callable[[float], bool]) -> float:
    """Return the least share that is beyond, by bisection."""
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return (low + high) / 2


def _binomial(k: int, of: int, share: float) -> float:
    if share in (0.0, 1.0):
        return 0.0 if k == of * share else -inf
    return _chosen(k, of) + k * log(share) + (of - k) * log1p(-share)


def _chosen(k: int, of: int) -> float:
    return lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1)


def _sum(logarithms: Iterable[float]) -> float:
    return min(1.0, fsum(map(exp, logarithms)))
