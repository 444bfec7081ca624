"""What TSR, HBR, SBR and PCR are made of: counted per site while the lot runs."""

from array import array
from collections import Counter
from collections.abc import Iterable
from math import fsum
from operator import mul

from station.errors import StorageError
from station.model import DeviceResult, Verdict

MAX_PART = 0x00FF_FFFF
"""Running numbers are kept in four bytes each, by number."""


class Statistics:
    """Executions of one test at one site, with mean and squares over valid results only.

    Results wait until `settle` joins them with those before, in one step. Sums are exactly rounded, so the
    same results settled at the same moments give the same numbers on every machine.
    """

    __slots__ = (
        "_count",
        "_high",
        "_low",
        "_m2",
        "_mean",
        "_waiting",
        "add",
        "alarms",
        "failed",
        "spent_s",
        "timed",
        "valueless",
    )

    def __init__(self) -> None:
        self.failed = self.valueless = self.alarms = self.timed = 0
        self.spent_s = 0.0
        self._waiting = list[float]()
        self.add = self._waiting.append
        """Take one valid result in."""
        self._count, self._mean, self._m2 = 0, 0.0, 0.0
        self._low, self._high = float("inf"), float("-inf")

    def settle(self) -> None:
        """Take in what waits."""
        waiting = self._waiting
        if waiting:
            count = len(waiting)
            mean = fsum(waiting) / count
            away = [value - mean for value in waiting]
            m2 = fsum(map(mul, away, away))
            self._join(count, mean, m2, min(waiting), max(waiting))
            waiting.clear()

    def join(self, other: "Statistics") -> None:
        """Take in the statistics of another site."""
        self.failed += other.failed
        self.valueless += other.valueless
        self.alarms += other.alarms
        self.timed += other.timed
        self.spent_s += other.spent_s
        if other.count:
            self.settle()
            self._join(other.count, other.mean, other.m2, other.low, other.high)

    def _join(self, count: int, mean: float, m2: float, low: float, high: float) -> None:
        both, away = self._count + count, mean - self._mean
        self._mean += away * count / both
        self._m2 += m2 + away * away * self._count * count / both
        self._count = both
        self._low, self._high = min(self._low, low), max(self._high, high)

    def took(self, seconds: float) -> None:
        """Take in how long one execution was."""
        self.timed += 1
        self.spent_s += seconds

    @property
    def executed(self) -> int:
        """Executions, those without a valid result too."""
        return self.count + self.valueless

    @property
    def count(self) -> int:
        """Valid results."""
        self.settle()
        return self._count

    @property
    def mean(self) -> float:
        """Their mean."""
        self.settle()
        return self._mean

    @property
    def m2(self) -> float:
        """Sum of their squared distances from the mean."""
        self.settle()
        return self._m2

    @property
    def low(self) -> float:
        """The least one; infinite without any."""
        self.settle()
        return self._low

    @property
    def high(self) -> float:
        """The greatest one; minus infinite without any."""
        self.settle()
        return self._high

    @property
    def total(self) -> float:
        """Their sum."""
        return self.mean * self.count

    @property
    def squares(self) -> float:
        """Sum of their squares."""
        return self.m2 + self.mean * self.mean * self.count


def merged(parts: Iterable[Statistics]) -> Statistics:
    """Join the statistics of several sites."""
    joined = Statistics()
    for part in parts:
        joined.join(part)
    return joined


class Parts:
    """Parts of one site, or of all: each counts where and as it was contacted last."""

    __slots__ = ("aborted", "bins", "good", "parts", "retested")

    def __init__(self) -> None:
        self.parts = self.retested = self.aborted = self.good = 0
        self.bins = Counter[int]()
        """By soft bin."""

    def count(self, bin_number: int, verdict: Verdict, *, times: int) -> None:
        """Count a part in, or out again with `times` = -1."""
        self.parts += times
        self.bins[bin_number] += times
        self.good += times if verdict is Verdict.PASSED else 0
        self.aborted += times if verdict is Verdict.NOT_JUDGED else 0


_VERDICTS = tuple(Verdict)


class PartCounts:
    """The parts of a lot by last result, per site; four bytes a part."""

    def __init__(self, sites: Iterable[int]) -> None:
        self.sites = {site: Parts() for site in sites}
        self._last = array("I", [0])

    def add(self, device: DeviceResult) -> None:
        """Count one contact; it supersedes an earlier one of the same part."""
        earlier = self._earlier(device.part)
        if earlier and device.contact == 1:
            raise StorageError(
                f"part {device.part} at site {device.site}: contacted before, yet contact is 1"
            )
        if earlier:
            self.sites[earlier >> 18].count(earlier >> 3 & 0x7FFF, _VERDICTS[earlier >> 1 & 3], times=-1)
        site = self.sites[device.site]
        site.count(device.bin.number, device.verdict, times=1)
        site.retested += device.contact > 1
        verdict = _VERDICTS.index(device.verdict)
        self._last[device.part] = device.site << 18 | device.bin.number << 3 | verdict << 1 | 1

    def _earlier(self, part: int) -> int:
        if not 1 <= part <= MAX_PART:
            raise StorageError(f"part number {part} is outside 1..{MAX_PART}")
        missing = part + 1 - len(self._last)
        if missing > 0:
            self._last.frombytes(bytes(missing * self._last.itemsize))
        return self._last[part]

    def total(self) -> Parts:
        """Return the sum over the sites."""
        total = Parts()
        for site in self.sites.values():
            total.parts += site.parts
            total.retested += site.retested
            total.aborted += site.aborted
            total.good += site.good
            total.bins.update(site.bins)
        return total
