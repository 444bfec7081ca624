"""A reading that never changes is that of a stuck instrument, not of devices (R12). Pure."""

from collections.abc import Iterable

from station.model import Measurement, TestDefinition, TouchdownResult

QUANTISED = frozenset({"", "bit", "%"})
"""Units of what is counted, in which equal values are nothing strange."""


class StuckWatch:
    """Counts, by site and test, how often the same value came in a row."""

    def __init__(self, most: int, tests: Iterable[TestDefinition]) -> None:
        """Let `most` equal readings in a row be too many."""
        self._most = most
        self._watched = frozenset(
            test.number
            for test in tests
            if test.kind == "P" and test.limit is not None and test.limit.unit not in QUANTISED
        )
        self._runs: dict[tuple[int, int], tuple[float, int]] = {}

    def repeated(self, site: int, measured: Measurement) -> str:
        """Say that this reading is one too many of its kind; empty if it is not."""
        value, times = self._runs.get((site, measured.test), (None, 0))
        if measured.value is None or measured.value != value or times + 1 < self._most:
            return ""
        return f"{measured.test} {measured.name}: {measured.value!r} came {times + 1} times in a row"

    def seen(self, landed: TouchdownResult) -> None:
        """Take a landing that is durable; a reading that was not judged changes nothing."""
        for device in landed.devices:
            for measured in device.measurements:
                if measured.value is not None and measured.test in self._watched:
                    self._count(device.site, measured.test, measured.value)

    def _count(self, site: int, test: int, value: float) -> None:
        before, times = self._runs.get((site, test), (value, 0))
        self._runs[site, test] = value, times + 1 if value == before else 1
