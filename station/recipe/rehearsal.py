"""What other limits would have made of lots that are in a store: which devices would have got another bin."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from station.engine.judge import first_failing
from station.model import Bin, DeviceResult, Measurement, TouchdownResult, Verdict, usable
from station.sequence import Parametric, S, Sequence


@dataclass(frozen=True)
class Changed:
    """One device: its bin, and the one it would have got, by which test."""

    part: int
    was: Bin
    becomes: Bin
    test: str


@dataclass(frozen=True)
class Rehearsal:
    """What a recipe would have changed in a run."""

    devices: int
    changed: tuple[Changed, ...]

    def moves(self) -> Mapping[tuple[int, int], int]:
        """How many devices from which soft bin into which."""
        return Counter((one.was.number, one.becomes.number) for one in self.changed)


def rehearsed(landings: Iterable[TouchdownResult], sequence: Sequence[S]) -> Rehearsal:
    """Judge the last contact of each device by the limits of `sequence`, which are within those of the run.

    So a device that failed still fails, at the latest where it did; one that passed may fail earlier.
    """
    last = {device.part: device for landing in landings for device in landing.devices}
    tests = {test.number: test for test in sequence.tests() if isinstance(test, Parametric)}
    changed = (_judged(device, tests) for _, device in sorted(last.items()))
    return Rehearsal(len(last), tuple(change for change in changed if change is not None))


def _judged(device: DeviceResult, tests: Mapping[int, Parametric[S]]) -> Changed | None:
    for measured in _until_failed(device):
        test = tests.get(measured.test)
        if test is None or test.bin is None or _holds(measured, test):
            continue
        if test.bin == device.bin:
            return None
        return Changed(device.part, device.bin, test.bin, f"{test.number} {test.name}")
    return None


def _until_failed(device: DeviceResult) -> Iterator[Measurement]:
    """The passing measurements before the first that failed: where other limits can change the bin."""
    for measured in device.measurements:
        if measured.verdict is not Verdict.PASSED:
            return
        yield measured


def _holds(measured: Measurement, test: Parametric[S]) -> bool:
    if test.pins:
        return not first_failing(test.limit, test.pins, measured.values)
    return measured.value is not None and usable(measured.value) and test.limit.holds(measured.value)
