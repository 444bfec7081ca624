"""The STDF file of a running lot: whole touchdowns, written as they end."""

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from re import sub

from station.datalog.stdf import flags
from station.datalog.stdf.lint import check
from station.datalog.stdf.records import encode, whole
from station.datalog.stdf.summary import PartCounts, Parts, merged
from station.datalog.stdf.writer import (
    HEAD,
    FunctionalRecords,
    MultipleRecords,
    ParametricRecords,
    Profile,
    RowRecords,
    plain,
    summary_record,
)
from station.errors import StorageError
from station.model import DeviceResult, LotInfo, TestDefinition, TouchdownResult

TOTAL_HEAD, TOTAL_SITE = 255, 0
START_T_AT = 6 + 4 + 4
"""Where START_T of the MIR stands, behind FAR, header and SETUP_T."""


def file_name(info: LotInfo) -> str:
    """Return the name of a lot's file: lot, sublot, test code, node, UTC time, pass."""
    moment = datetime.fromtimestamp(info.set_up, UTC).strftime("%Y%m%d%H%M%S")
    name = "_".join([info.lot, info.sublot, info.flow, info.station, moment, "P"])
    plain_name = sub("[^A-Za-z0-9_]", "_", name)
    return (plain_name if plain_name[:1].isalpha() else f"L{plain_name}") + ".std"


def header(info: LotInfo) -> Iterator[bytes]:
    """Yield FAR, MIR, SDR, PMRs and the DTRs with the fingerprint, in order."""
    yield whole("FAR", CPU_TYPE=2, STDF_VER=4)
    yield _master(info)
    yield whole(
        "SDR",
        HEAD_NUM=HEAD,
        SITE_GRP=1,
        SITE_NUM=info.sites,
        HAND_TYP=plain(info.handler),
        HAND_ID=plain(info.handler_id),
    )
    for site, indexes in pin_indexes(info).items():
        for pin, index in zip(all_pins(info), indexes, strict=True):
            name = plain(pin)
            yield whole("PMR", PMR_INDX=index, CHAN_NAM=name, PHY_NAM=name, LOG_NAM=name, SITE_NUM=site)
    yield whole("DTR", TEXT_DAT=plain(f"fingerprint {info.fingerprint}"))


def _master(info: LotInfo) -> bytes:
    texts = {
        "LOT_ID": info.lot,
        "PART_TYP": info.product,
        "NODE_NAM": info.station,
        "TSTR_TYP": "HARDBIN",
        "JOB_NAM": info.sequence,
        "JOB_REV": info.sequence_version,
        "SBLOT_ID": info.sublot,
        "OPER_NAM": info.operator,
        "EXEC_TYP": "hardbin",
        "EXEC_VER": info.version,
        "TEST_COD": info.flow,
        "TST_TEMP": info.temperature,
        "USER_TXT": f"TZ=UTC;FP={info.fingerprint[:32]}",
        "FACIL_ID": info.plant,
        "FLOOR_ID": info.floor,
        "SPEC_NAM": info.limit_set,
        "FLOW_ID": info.flow,
    }
    return whole(
        "MIR",
        SETUP_T=int(info.set_up),
        START_T=int(info.set_up),
        STAT_NUM=info.station_number,
        MODE_COD=plain(info.mode)[:1] or " ",
        RTST_COD="N",
        **{name: plain(text) for name, text in texts.items()},
    )


def all_pins(info: LotInfo) -> tuple[str, ...]:
    """Return the channels of a site, those of the lot first, then what its tests name besides."""
    return tuple(dict.fromkeys([*info.pins, *(pin for test in info.tests for pin in test.pins)]))


def pin_indexes(info: LotInfo) -> dict[int, tuple[int, ...]]:
    """Return the PMR indexes of each site's channels: consecutive from 1."""
    count = len(all_pins(info))
    return {site: tuple(range(i * count + 1, (i + 1) * count + 1)) for i, site in enumerate(info.sites)}


def hard_bin_name(hard: int, info: LotInfo) -> str:
    """Return the name of a hard bin: those of the soft bins that end in it."""
    return "/".join(bin_.name for bin_ in info.bins if bin_.hard == hard)


def test_records(test: TestDefinition, info: LotInfo, profile: Profile) -> RowRecords:
    """Return what makes the records of one test."""
    match test.kind:
        case "P":
            return ParametricRecords(test, info.sites, profile)
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

    def __init__(self, folder: Path, info: LotInfo, *, profile: Profile = "compact") -> None:
        self.path = folder / file_name(info)
        self.part = self.path.with_name(self.path.name + ".part")
        self._info = info
        self._tests = {test.number: test_records(test, info, profile) for test in info.tests}
        self._counts = PartCounts(info.sites)
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
        """Append one contact of all sites, PIRs to PRRs, with one write: all of it or nothing."""
        self._must_be_open()
        try:
            group = self._encoded(self._group(result))
        except StorageError:
            self._give_up()
            raise
        if not self._started:
            self._start(result.started)
        self._append(group)

    def event_text(self, text: str) -> None:
        """Append a DTR: what happened between touchdowns, in at most 255 characters."""
        self._append(encode("DTR", {"TEXT_DAT": plain(text)}))

    def close(self, finished: float, disposition: str = " ") -> Path:
        """Write the summaries, make the file durable, check it, give it its name; `finished` is unix time."""
        self._append(self._encoded(self._end(finished, disposition)))
        try:
            os.fsync(self._fd)
            self._release()
            self._verify()
            self.part.replace(self.path)
            _sync_folder(self.path.parent)
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
        for device in result.devices:
            yield whole("PIR", HEAD_NUM=HEAD, SITE_NUM=device.site)
        for device in result.devices:
            yield from self._measured(device)
        for device in result.devices:
            yield self._part_result(device)

    def _measured(self, device: DeviceResult) -> Iterator[bytes]:
        site, latest = device.site, {measured.test: measured for measured in device.measurements}
        if site not in self._counts.sites:
            raise StorageError(f"{self.part}: site {site} is not one of the lot's")
        if device.bin != self._bins.get(device.bin.number):
            raise StorageError(f"{self.part}: bin {device.bin.number} is not one of the lot's")
        unknown = latest.keys() - self._tests.keys()
        if unknown:
            raise StorageError(f"{self.part}: test {min(unknown)} is not one of the lot's")
        for number, records in self._tests.items():
            if number in latest:
                yield records.record(latest[number], site)
        self._counts.add(device)

    def _part_result(self, device: DeviceResult) -> bytes:
        executed = len({measured.test for measured in device.measurements})
        return whole(
            "PRR",
            HEAD_NUM=HEAD,
            SITE_NUM=device.site,
            PART_FLG=flags.part_flags(device),
            NUM_TEST=executed,
            HARD_BIN=device.bin.hard,
            SOFT_BIN=device.bin.number,
            TEST_T=max(1, round(device.test_s * 1000)) if executed else 0,
            PART_ID=str(device.part),
        )

    def _start(self, started: float) -> None:
        """Put the time of the first touchdown into the MIR."""
        os.pwrite(self._fd, int(started).to_bytes(4, "little"), START_T_AT)
        self._started = True

    def _must_be_open(self) -> None:
        if self._fd < 0:
            raise StorageError(f"{self.part}: the file is not open, or could not be written before")

    def _append(self, data: bytes) -> None:
        self._must_be_open()
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._give_up()
            raise StorageError(f"{self.part}: {error.strerror}; rebuild it from the store") from error
        if written != len(data):
            self._give_up()
            raise StorageError(f"{self.part}: no space left for {len(data)} bytes; rebuild it from the store")
        self._size += len(data)

    def _give_up(self) -> None:
        """Cut back to the last whole group, and write no more."""
        os.ftruncate(self._fd, self._size)
        self._release()

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _end(self, finished: float, disposition: str) -> Iterator[bytes]:
        yield from self._test_summaries()
        yield from self._bin_summaries()
        for site, parts in self._counts.sites.items():
            yield _part_counts(HEAD, site, parts)
        yield _part_counts(TOTAL_HEAD, TOTAL_SITE, self._counts.total())
        yield whole("MRR", FINISH_T=int(finished), DISP_COD=plain(disposition)[:1] or " ")

    def _test_summaries(self) -> Iterator[bytes]:
        sequence = self._info.sequence
        for test in self._info.tests:
            statistics = self._tests[test.number].statistics
            for site, of_site in statistics.items():
                yield summary_record(test, of_site, head=HEAD, site=site, sequence=sequence)
            total = merged(statistics.values())
            yield summary_record(test, total, head=TOTAL_HEAD, site=TOTAL_SITE, sequence=sequence)

    def _bin_summaries(self) -> Iterator[bytes]:
        places = [(HEAD, site, parts) for site, parts in self._counts.sites.items()]
        places.append((TOTAL_HEAD, TOTAL_SITE, self._counts.total()))
        for place in places:
            yield from self._hard_bins(*place)
        for place in places:
            yield from self._soft_bins(*place)

    def _hard_bins(self, head: int, site: int, parts: Parts) -> Iterator[bytes]:
        for hard in sorted({bin_.hard for bin_ in self._info.bins}):
            sharing = [bin_ for bin_ in self._info.bins if bin_.hard == hard]
            yield whole(
                "HBR",
                HEAD_NUM=head,
                SITE_NUM=site,
                HBIN_NUM=hard,
                HBIN_CNT=sum(parts.bins[bin_.number] for bin_ in sharing),
                HBIN_PF=flags.PASS_FAIL[sharing[0].kind],
                HBIN_NAM=plain(hard_bin_name(hard, self._info)),
            )

    def _soft_bins(self, head: int, site: int, parts: Parts) -> Iterator[bytes]:
        for bin_ in sorted(self._info.bins, key=lambda b: b.number):
            yield whole(
                "SBR",
                HEAD_NUM=head,
                SITE_NUM=site,
                SBIN_NUM=bin_.number,
                SBIN_CNT=parts.bins[bin_.number],
                SBIN_PF=flags.PASS_FAIL[bin_.kind],
                SBIN_NAM=plain(bin_.name),
            )


def _part_counts(head: int, site: int, parts: Parts) -> bytes:
    return whole(
        "PCR",
        HEAD_NUM=head,
        SITE_NUM=site,
        PART_CNT=parts.parts,
        RTST_CNT=parts.retested,
        ABRT_CNT=parts.aborted,
        GOOD_CNT=parts.good,
    )


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
