"""What TSR, HBR, SBR and PCR are made of: counted per site while the lot runs."""

from array import array
from collections import Counter
from collections.abc import Iterable

from station.errors import StorageError
from station.model import DeviceResult, Verdict

MAX_PART = 0x00FF_FFFF
"""Running numbers are kept in four bytes each, by number."""


class Statistics:
    """Executions of one test at one site; mean and squares after Welford, over valid results only."""

    __slots__ = ("count", "executed", "failed", "high", "low", "m2", "mean")

    def __init__(self) -> None:
        self.executed = self.failed = self.count = 0
        self.mean = self.m2 = 0.0
        self.low, self.high = float("inf"), float("-inf")

    def add(self, value: float) -> None:
        """Take one valid result in."""
        self.count += 1
        away = value - self.mean
        self.mean += away / self.count
        self.m2 += away * (value - self.mean)
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value

    @property
    def total(self) -> float:
        """Sum of the valid results."""
        return self.mean * self.count

    @property
    def squares(self) -> float:
        """Sum of their squares."""
        return self.m2 + self.mean * self.mean * self.count


def merged(parts: Iterable[Statistics]) -> Statistics:
    """Join the statistics of several sites."""
    joined = Statistics()
    for part in parts:
        joined.executed += part.executed
        joined.failed += part.failed
        if part.count:
            _join(joined, part)
    return joined


def _join(joined: Statistics, part: Statistics) -> None:
    count = joined.count + part.count
    away = part.mean - joined.mean
    joined.mean += away * part.count / count
    joined.m2 += part.m2 + away * away * joined.count * part.count / count
    joined.count = count
    joined.low, joined.high = min(joined.low, part.low), max(joined.high, part.high)


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
