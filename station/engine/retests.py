"""Which devices are landed again, and when that stops being worth it. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping

from station.model import Bin, DeviceResult, Verdict
from station.sequence import Retest

TOO_GOOD, LEAST_TO_SAY = 0.30, 20
"""A bin of which so many recover is a problem of contact or test, not of devices."""


class RetestWatch:
    """Counts the retests of a wafer or lot."""

    def __init__(self, retest: Retest) -> None:
        self._retest = retest
        self._streaks: dict[int, tuple[Bin, int]] = {}
        self.restart()

    def restart(self) -> None:
        """Begin anew, at a new wafer."""
        self._tried, self._recovered = Counter[Bin](), Counter[Bin]()
        self._told = set[Bin]()
        self._in_a_row, self._confirmed = Counter[Bin](), set[Bin]()
        self.off = False
        """Whether automatic retest is off, for it has helped too few."""

    def first(self, results: Mapping[int, DeviceResult]) -> None:
        """Take first contacts: how often a site has had one bin in a row."""
        for site, result in results.items():
            before, times = self._streaks.get(site, (result.bin, 0))
            self._streaks[site] = result.bin, times + 1 if before == result.bin else 1

    def wants(self, result: DeviceResult) -> bool:
        """Tell whether a device is to be landed again."""
        retest = self._retest
        if result.contact <= retest.always:
            return True
        if result.bin not in retest.bins or not self.still_wants(result):
            return False
        bin_, times = self._streaks.get(result.site, (result.bin, 0))
        return bin_ != result.bin or times >= retest.turn_on

    def still_wants(self, result: DeviceResult) -> bool:
        """Tell whether nothing was seen meanwhile that makes another landing useless."""
        return not self.off and result.bin not in self._confirmed

    def again(self, before: DeviceResult, after: DeviceResult) -> Iterator[tuple[str, str]]:
        """Take a further contact of a device; yield rule and what was seen, if there is something to say."""
        if before.verdict is Verdict.PASSED:
            return  # a study lands all of them again
        bin_ = before.bin
        self._tried[bin_] += 1
        self._recovered[bin_] += after.verdict is Verdict.PASSED
        tried, recovered = self._tried.total(), self._recovered.total()
        limit = self._retest.useless_after
        if not self.off and limit and tried >= limit and recovered < self._retest.min_recovered * tried:
            self.off = True
            yield "retest off", f"{recovered} of {tried} retests have helped, retest stops"
        if self._confirms(before, after):
            self._confirmed.add(bin_)
            seen = f"{self._in_a_row[bin_]} in a row have failed at another site too"
            yield "retest off", f"bin {bin_.number} {bin_.name}: {seen}, its retest stops"
        if self._too_good(bin_):
            self._told.add(bin_)
            share = f"{self._recovered[bin_]} of {self._tried[bin_]} recovered"
            yield "retest helps", f"bin {bin_.number} {bin_.name}: {share}: a problem of contact or test"

    def _confirms(self, before: DeviceResult, after: DeviceResult) -> bool:
        """Count what other sites say of a bin; tell whether it is believed from now on."""
        bin_ = before.bin
        if after.site == before.site or after.verdict is Verdict.NOT_JUDGED:
            return False
        self._in_a_row[bin_] = 0 if after.verdict is Verdict.PASSED else self._in_a_row[bin_] + 1
        confirm = self._retest.confirm
        return bool(confirm) and self._in_a_row[bin_] >= confirm and bin_ not in self._confirmed

    def _too_good(self, bin_: Bin) -> bool:
        if bin_ in self._told or self._tried[bin_] < LEAST_TO_SAY:
            return False
        return self._recovered[bin_] > TOO_GOOD * self._tried[bin_]
