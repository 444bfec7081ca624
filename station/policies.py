"""What a sequence asks for beside its rows: retest, outliers among good devices, a second look, offsets."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from station.model import Bin, BinKind
from station.model import Offset as Offset
from station.set_up import StaticLimit

MOST_SIGMAS = 20.0


@dataclass(frozen=True)
class Retest:
    """Which bins are lifted and landed again at once, and how often."""

    bins: frozenset[Bin] = frozenset()
    times: int = 1
    at_end: bool = False
    """Not at once: they keep their bin until all others of the wafer or lot have theirs, then come again."""
    other_site: bool = False
    """They are landed again by a site that has not met them yet; only where the station picks the die."""
    confirm: int = 0
    """So many times in a row has another site confirmed a bin: that bin is landed again no more; 0: never."""
    turn_on: int = 0
    """A device is landed again only if its site has had this bin so often in a row; 0: always."""
    useless_after: int = 0
    """After so many retests of a wafer or lot it is asked whether they help; 0: never."""
    min_recovered: float = 0.1
    """If a smaller share has passed then, nothing is landed again until the wafer or lot is over."""
    always: int = 0
    """So often each device is landed again whatever its bin is, for a study of the measurement."""

    @property
    def late(self) -> bool:
        """Whether a device gets a bin first, and is brought again later."""
        return self.at_end or self.other_site

    def wrong(self) -> Iterator[str]:
        """Name what cannot be meant."""
        for name in ("times", "turn_on", "useless_after", "always", "confirm"):
            if getattr(self, name) < 0:
                yield f"retest: {name} must not be negative"
        if self.late and self.always:
            yield "retest: always is at once, without at_end and other_site"
        if self.confirm and not self.other_site:
            yield "retest: confirm needs other_site: the same site confirms nothing"
        if not 0 <= self.min_recovered <= 1:
            yield f"retest.min_recovered = {self.min_recovered:g} must lie between 0 and 1"


@dataclass(frozen=True)
class Outliers:
    """Part average testing while the lot runs: limits made of the good devices before, at the same site."""

    bin: Bin
    tests: tuple[int, ...] = ()
    """Numbers; all single numbers if none is named."""
    sigmas: float = 6.0
    least: int = 30
    """Good devices at a site before it has limits."""
    window: int = 200
    """How many of the latest are looked at."""
    static: tuple[StaticLimit, ...] = ()
    """Limits that earlier lots have given: they hold from the first device on, and nothing is wider."""

    def asked(self) -> dict[str, object]:
        """Return it as a fingerprint rests on it: what came later only if it is asked for."""
        told: dict[str, object] = msgspec.to_builtins(self)
        return {name: value for name, value in told.items() if name != "static" or self.static}

    def wrong(self) -> Iterator[str]:
        """Name what cannot be meant."""
        named = [one.test for one in self.static]
        for test in sorted({test for test in named if named.count(test) > 1}):
            yield f"outliers.static: test {test} is there twice"
        for one in self.static:
            if one.low is not None and one.high is not None and not one.low <= one.high:
                yield f"outliers.static: test {one.test}: {one.low:g} is above {one.high:g}, or is no number"
            if self.tests and one.test not in self.tests:
                yield f"outliers.static: test {one.test} is none of outliers.tests"
        if self.bin.kind is not BinKind.FAIL:
            yield f"outliers: bin {self.bin.name!r} is of kind {self.bin.kind.value}, it must be fail"
        if not 0 < self.sigmas <= MOST_SIGMAS:
            yield f"outliers: sigmas = {self.sigmas:g} must lie above 0 and up to {MOST_SIGMAS:g}"
        if not 4 <= self.least <= self.window:
            yield f"outliers: least = {self.least} must be 4 or more and no more than window = {self.window}"


@dataclass(frozen=True)
class Quality:
    """Chosen good devices are tested a second time in the same contact, before they are sorted."""

    bin: Bin
    first: int = 0
    """So many devices at the begin of the lot."""
    every: int = 0
    """One in so many after them, drawn by lot and number; 0: none."""

    def wrong(self, *, personalises: bool) -> Iterator[str]:
        """Name what cannot be meant."""
        if self.bin.kind is not BinKind.FAIL:
            yield f"quality: bin {self.bin.name!r} is of kind {self.bin.kind.value}, it must be fail"
        if self.first < 0 or self.every < 0:
            yield "quality: first and every must not be negative"
        if personalises:
            yield "quality: a device is not tested again behind its personalisation"


def misplaced(offsets: Collection[Offset], parametric: Collection[int]) -> Iterator[str]:
    """Name offsets that belong to no parametric test, or are there twice."""
    seen = set[tuple[int, int]]()
    for offset in offsets:
        if offset.test not in parametric:
            yield f"offsets: there is no parametric test {offset.test}"
        if (offset.test, offset.site) in seen:
            yield f"offsets: test {offset.test} at site {offset.site} is there twice"
        seen.add((offset.test, offset.site))
