"""The STDF file of a running lot: whole touchdowns, written as they end."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from operator import ge
from pathlib import Path
from types import MappingProxyType

from station.custody import durable_file
from station.datalog.stdf import durations, flags, notes
from station.datalog.stdf.header import START_T_AT, all_pins, file_name, header, pin_indexes
from station.datalog.stdf.lint import check
from station.datalog.stdf.records import encode
from station.datalog.stdf.sections import Sections
from station.datalog.stdf.summary import PartCounts
from station.datalog.stdf.trailer import trailer
from station.datalog.stdf.wafers import Wafers
from station.datalog.stdf.writer import (
    HEAD,
    NOWHERE,
    FunctionalRecords,
    Make,
    MultipleRecords,
    ParametricRecords,
    Profile,
    RowRecords,
    part_begins,
    part_result,
    plain,
)
from station.engine.averages import Averages, AverageWatch
from station.errors import StorageError
from station.model import DeviceResult, LotInfo, TestDefinition, TouchdownResult

NO_ALARMS: Mapping[int, str] = MappingProxyType({})
SETTLED_EACH = 64
"""Touchdowns; the numbers of a file depend on it in their last digits."""


def row_records(test: TestDefinition, info: LotInfo, profile: Profile) -> RowRecords:
    """Return what makes the records of one test."""
    match test.kind:
        case "P":
            rule = info.averaging
            averaged = rule is not None and (not rule.tests or test.number in rule.tests)
            return ParametricRecords(test, info.sites, profile, averaged=averaged)
        case "F":
            return FunctionalRecords(test, info.sites, profile)
    order = {pin: i for i, pin in enumerate(all_pins(info))}
    places = [order[pin] for pin in test.pins]
    indexes = pin_indexes(info).items()
    return MultipleRecords(test, {site: tuple(of_site[i] for i in places) for site, of_site in indexes})


class StdfFile:
    """One lot's datalog, a projection of the store: after a `StorageError` it is rebuilt from there.

    The file is `<name>.std.part` until `close` has read it back, found it clean and renamed it. Same
    inputs, same bytes: every time in it comes from the lot and its touchdowns.
    """

    def __init__(self, folder: Path, info: LotInfo, *, profile: Profile | None = None) -> None:
        """`profile`: that of the lot, if none is given."""
        self.path = folder / file_name(info)
        self.part = self.path.with_name(self.path.name + ".part")
        self._info = info
        wanted = profile or info.datalog.profile
        self._tests = {test.number: row_records(test, info, wanted) for test in info.tests}
        self._makers = {
            site: {number: records.at(site) for number, records in self._tests.items()} for site in info.sites
        }
        self._averages = None if info.averaging is None else AverageWatch(info.averaging, info.tests)
        self._counts = PartCounts(info.sites)
        self._sections = Sections(info.datalog.sections) if info.datalog.sections else None
        self._wafers = Wafers()
        self._bins = {bin_.number: bin_ for bin_ in info.bins}
        self._fd, self._size, self._started = -1, 0, False

    def open(self) -> None:
        """Create the file and write its header; a file of that name is never overwritten."""
        if self.path.exists():
            raise StorageError(f"{self.path}: the file exists, it is not overwritten")
        begin = self._encoded(header(self._info))
        try:
            self.part.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"{self.part}: {error.strerror}") from error
        self._append(begin)

    def touchdown(self, result: TouchdownResult) -> None:
        """Append one contact of all sites, PIRs to PRRs, with one write: all of it or nothing.

        The first one of a wafer has the end of the wafer before and the beginning of its own before it.
        """
        self._must_be_open()
        try:
            group = self._encoded(self._group(result))
        except StorageError:
            self._give_up()
            raise
        if not self._started:
            self._start(result.started)
        self._append(group)
        if self._averages is not None:
            self._averages.seen(result)
        if result.seq % SETTLED_EACH == 0:
            self._settle()

    def event_text(self, text: str) -> None:
        """Append a DTR: what happened between touchdowns, in at most 255 characters."""
        self._append(encode("DTR", {"TEXT_DAT": plain(text)}))

    def close(self, finished: float, disposition: str = " ") -> Path:
        """Write the summaries, make the file durable, check it, give it its name; `finished` is unix time."""
        executed = {number: records.statistics for number, records in self._tests.items()}
        end = trailer(self._info, executed, self._counts, finished=finished, disposition=disposition)
        self._append(self._wafers.end() + self._encoded(end))
        try:
            os.fsync(self._fd)
            self._release()
            self._verify()
            self.part.replace(self.path)
            durable_file.sync(self.path.parent)
        except OSError as error:
            raise StorageError(f"{self.part}: {error.strerror}") from error
        return self.path

    def abandon(self) -> None:
        """Let go of the file as it is: what was written stays, under its `.part` name."""
        self._release()

    def _verify(self) -> None:
        """Read the file back; with an error in it, it keeps its `.part` name."""
        errors = [str(finding) for finding in check(self.part).findings if finding.error]
        if errors:
            more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
            raise StorageError(f"{self.part}: not a sound file: {errors[0]}{more}")

    def _encoded(self, records: Iterable[bytes]) -> bytes:
        try:
            return b"".join(records)
        except ValueError as error:
            raise StorageError(f"{self.part}: {error}") from error

    def _group(self, result: TouchdownResult) -> Iterator[bytes]:
        yield self._wafers.before(result)
        for device in result.devices:
            yield part_begins(device.site)
        for device in result.devices:
            yield self._measured(device)
        for device in result.devices:
            yield self._part_result(device)

    def _measured(self, device: DeviceResult) -> bytes:
        site, measurements = device.site, device.measurements
        makers = self._makers.get(site)
        if makers is None:
            raise StorageError(f"{self.part}: site {site} is not one of the lot's")
        if device.bin != self._bins.get(device.bin.number):
            raise StorageError(f"{self.part}: bin {device.bin.number} is not one of the lot's")
        numbers = [measured.test for measured in measurements]
        unknown = set(numbers) - makers.keys()
        if unknown:
            raise StorageError(f"{self.part}: test {min(unknown)} is not one of the lot's")
        self._counts.add(device)
        for test, spent in durations.of_tests(device).items() if device.times_s else ():
            self._tests[test].statistics[site].took(spent)
        if any(map(ge, numbers, numbers[1:])):
            latest = dict(zip(numbers, measurements, strict=True))
            measurements = tuple(latest[number] for number in sorted(latest))
        alarms = notes.alarms(device) if device.notes else NO_ALARMS
        if alarms:
            makers = makers | {test: self._tests[test].alarmed(site, said) for test, said in alarms.items()}
        if self._averages is not None:
            makers = makers | self._judged_by(self._averages.judging(device), device, alarms)
        records = [makers[measured.test](measured) for measured in measurements]
        if self._sections is not None:
            tested = (measured.test for measured in measurements)
            records = [*self._sections.framed(zip(tested, records, strict=True))]
        if device.notes:
            records += notes.records(device)
        if device.times_s:
            records += durations.records(device)
        return b"".join(records)

    def _judged_by(
        self, averages: Averages, device: DeviceResult, alarms: Mapping[int, str]
    ) -> dict[int, Make]:
        """Return what makes the records of tests that were judged by limits of the lot itself."""
        found = dict[int, Make]()
        for measured in device.measurements:
            records, average = self._tests[measured.test], averages.get(measured.test)
            if average is not None and isinstance(records, ParametricRecords):
                one = average.agreeing(measured)
                said = alarms.get(measured.test, "")
                found[measured.test] = records.judged_by(one.low, one.high, device.site, said)
        return found

    def _part_result(self, device: DeviceResult) -> bytes:
        executed = len({measured.test for measured in device.measurements})
        test_ms = max(1, round(device.test_s * 1000)) if executed else 0
        return part_result(
            (HEAD, device.site, flags.part_flags(device), executed, device.bin.hard, device.bin.number),
            (NOWHERE, NOWHERE) if device.place is None else (device.place.x, device.place.y),
            test_ms,
            device.name,
        )

    def _start(self, started: float) -> None:
        """Put the time of the first touchdown into the MIR."""
        with self._writing():
            os.pwrite(self._fd, int(started).to_bytes(4, "little"), START_T_AT)
        self._started = True

    def _append(self, data: bytes) -> None:
        self._must_be_open()
        with self._writing():
            written = os.write(self._fd, data)
        if written != len(data):
            self._give_up()
            raise StorageError(f"{self.part}: no space left for {len(data)} bytes; rebuild it from the store")
        self._size += len(data)

    def _settle(self) -> None:
        """Join what the statistics have put by, so that it stays little."""
        for records in self._tests.values():
            for statistics in records.statistics.values():
                statistics.settle()

    def _must_be_open(self) -> None:
        if self._fd < 0:
            raise StorageError(f"{self.part}: the file is not open, or could not be written before")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._give_up()
            raise StorageError(f"{self.part}: {error.strerror}; rebuild it from the store") from error

    def _give_up(self) -> None:
        """Cut back to the last whole group, and write no more."""
        with suppress(OSError):
            os.ftruncate(self._fd, self._size)
        self._release()

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
