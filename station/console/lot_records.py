"""What a lot's files say beyond its events: the summary, one device's history, the latest values of a test.

Every call reads files and blocks. A lot that runs is read as far as it has come.
"""

import re
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID
from msgspec import Struct

from station import events
from station.custody.journal import read
from station.datalog import schema
from station.datalog.rows import DeviceRow, DeviceRows
from station.datalog.store import Store
from station.datalog.summary import LotSummary, summarise
from station.datalog.totals import statistics
from station.errors import AnalysisError, EvidenceError, StorageError
from station.evidence.bundle import BUNDLE
from station.evidence.device_file import extracted
from station.evidence.manifest import DeviceFile
from station.model import LotInfo, Measurement

STORE = "results.db"
DIE = re.compile(r"(-?\d{1,6}),(-?\d{1,6})")
LATEST = 400
"""So many values has a trace at most."""


class TestCount(Struct, frozen=True):
    """One test at one site: how often it gave a result, and how often that failed."""

    __test__ = False  # not a test class of pytest's

    site: int
    number: int
    name: str
    executed: int
    failed: int


class Summary(Struct, frozen=True):
    """A lot on one sheet."""

    info: LotInfo
    ended: float | None
    """When, in seconds since 1970; None: it is not over."""
    outcome: str
    counts: LotSummary
    hard: dict[int, int]
    """Devices in each hard bin of their last contact."""
    tests: tuple[TestCount, ...]
    """Those that failed anywhere."""
    notes: tuple[str, ...]
    """What stands between the touchdowns of the datalog."""
    datalog: str
    sha256: str


class Certificate(Struct, frozen=True):
    """What a person looks for in one."""

    subject: str
    issuer: str
    serial: str
    algorithm: str
    begins: str
    ends: str


class Step(Struct, frozen=True):
    """Something that happened to a device."""

    at: float
    what: str
    site: int = 0
    detail: str = ""


class Contact(Struct, frozen=True):
    """One contact of a device and all that was measured in it."""

    number: int
    site: int
    soft: int
    hard: int
    verdict: str
    reason: str
    started: float
    test_s: float
    measurements: tuple[Measurement, ...]


class Device(Struct, frozen=True):
    """All that the lot knows of one device."""

    part: int
    place: str
    serial: str
    uid: str
    steps: tuple[Step, ...]
    contacts: tuple[Contact, ...]
    certificates: tuple[Certificate, ...]


class Trace(Struct, frozen=True):
    """The latest values of a test, oldest first: place in the lot's contacts, site, value."""

    test: int
    name: str
    unit: str
    low: float | None
    high: float | None
    points: tuple[tuple[int, int, float], ...]


class LotRecords:
    """The files of one lot."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._folder

    def _store(self) -> tuple[Store, int]:
        path = self._folder / STORE
        if not path.exists():
            raise StorageError(f"{path}: there are no results yet")
        store = Store(path)
        runs = store.runs()
        if not runs:
            raise StorageError(f"{path}: there are no results yet")
        return store, runs[-1].run

    # -- the lot
    def report(self) -> bytes:
        """Return what `hardbin report lot --html` writes; StorageError if nothing was contacted yet."""
        from station.analysis.findings import findings
        from station.analysis.lot import lot_of, stacked_of
        from station.analysis.page import page

        store, run = self._store()
        path = store.path
        store.close()
        try:
            return page(findings(lot_of(path, run)), stacked_of(path, run))
        except AnalysisError as error:
            raise StorageError(str(error)) from error

    def summary(self) -> Summary:
        """Count the lot; StorageError if nothing was kept of it."""
        store, run = self._store()
        info, state = store.info(run), store.state(run)
        counts = summarise(store, run)
        names = {test.number: test.name for test in info.tests}
        tests = (
            TestCount(site, number, names[number], found.executed, found.failed)
            for (site, number), found in sorted(statistics(store.devices(run), info).items())
        )
        hard = Counter[int]()
        for bin_ in counts.bins:
            hard[bin_.hard] += bin_.count
        datalog, digest, outcome = self._closed()
        return Summary(
            info,
            state.finished,
            outcome,
            counts,
            {number: count for number, count in sorted(hard.items()) if count},
            tuple(test for test in tests if test.failed),
            tuple(event.text for event in store.events(run)),
            datalog,
            digest,
        )

    def _closed(self) -> tuple[str, str, str]:
        """Name, hash and outcome of a lot that is closed; empty while it is open."""
        for event in self._journal():
            if isinstance(event, events.LotClosed):
                found = next(iter(sorted(self._folder.glob("*.std"))), None)
                return "" if found is None else found.name, event.stdf_sha256, event.outcome
        return "", "", ""

    def _journal(self) -> Iterator[events.Any]:
        try:
            yield from read(self._folder / "journal")
        except OSError as error:
            raise StorageError(f"{self._folder}: {error.strerror}") from error

    # -- one device
    def device(self, wanted: str) -> Device | None:
        """Look a device up by running number, serial number, UID, or x,y of its die; None if none is it."""
        steps = list(self._journal())
        part = _named(steps, wanted)
        if part is None:
            return None
        ended = [e for e in steps if isinstance(e, events.PersonalisationEnded) and e.part == part]
        serial, uid = (ended[-1].serial, ended[-1].uid) if ended else ("", "")
        unit = next((e.unit for e in ended), "")
        return Device(
            part,
            _place(steps, part),
            serial,
            uid,
            tuple(_life(steps, part)),
            tuple(self._contacts(part)),
            tuple(self._certificates(unit)) if serial else (),
        )

    def _contacts(self, part: int) -> Iterator[Contact]:
        try:
            store, run = self._store()
        except StorageError:
            return
        unpack = DeviceRows(store.info(run)).unpack
        for row in store.rows(schema.DEVICE, run_id=run, part_id=part):
            device = unpack(DeviceRow(*(row[name] for name in DeviceRow._fields)))  # type: ignore[arg-type]
            yield Contact(
                device.contact,
                device.site,
                device.bin.number,
                device.bin.hard,
                device.verdict.value,
                device.reason,
                device.started,
                device.test_s,
                device.measurements,
            )

    def _certificates(self, unit: str) -> Iterator[Certificate]:
        """From the lot's evidence, which the vault leaves when the lot is closed."""
        bundle = self._folder / BUNDLE
        if not bundle.exists():
            return
        try:
            found = msgspec.json.decode(extracted(bundle, unit), type=DeviceFile)
        except (EvidenceError, msgspec.DecodeError):
            return
        for der in found.device.certs:
            yield _told(x509.load_der_x509_certificate(b64decode(der)))

    # -- one test
    def trace(self, number: int) -> Trace | None:
        """Return the latest values of a test; None if the lot has no such test."""
        store, run = self._store()
        info = store.info(run)
        test = next((one for one in info.tests if one.number == number), None)
        if test is None:
            return None
        values = store.column(run, number).tolist()
        first = max(0, len(values) - LATEST)
        sites = (contact.site for contact in islice(store.contacts(run), first, None))
        points = zip(range(first + 1, len(values) + 1), sites, values[first:], strict=False)
        limit = test.limit
        return Trace(
            number,
            test.name,
            "" if limit is None else limit.unit,
            None if limit is None else limit.low,
            None if limit is None else limit.high,
            tuple((place, site, value) for place, site, value in points if value == value),
        )


def _named(steps: list[events.Any], wanted: str) -> int | None:
    ended = (e for e in steps if isinstance(e, events.PersonalisationEnded))
    for event in ended:
        if wanted and wanted in (event.serial, event.uid, event.unit):
            return event.part
    opened = [e for e in steps if isinstance(e, events.TouchdownOpened)]
    if die := DIE.fullmatch(wanted):
        return _at(opened, (int(die[1]), int(die[2])))
    if not wanted.isdecimal():
        return None
    return int(wanted) if any(int(wanted) in event.parts.values() for event in opened) else None


def _at(opened: list[events.TouchdownOpened], die: tuple[int, int]) -> int | None:
    """The device of a die, of the wafer that was last on the chuck."""
    for event in reversed(opened):
        for site, place in event.positions.items():
            if place == die:
                return event.parts[site]
    return None


def _place(steps: list[events.Any], part: int) -> str:
    """Where a die lies on its wafer; empty for a handler's device."""
    for event in steps:
        if isinstance(event, events.TouchdownOpened):
            for site, number in event.parts.items():
                if number == part and site in event.positions:
                    x, y = event.positions[site]
                    return f"{event.wafer} x {x}, y {y}"
    return ""


def _life(steps: list[events.Any], part: int) -> Iterator[Step]:
    at: dict[int, int] = {}
    for event in steps:
        match event:
            case events.TouchdownOpened():
                at |= event.parts
                for site in (site for site, number in event.parts.items() if number == part):
                    yield Step(event.at, "contact", site, str(event.contacts[site]))
            case events.ContactsClosed():
                for one in (one for one in event.outcomes if one.part == part):
                    yield Step(event.at, "result", one.site, str(one.soft))
            case events.Sorted():
                for site in (site for site in event.bins if at.get(site) == part):
                    yield Step(event.at, "sorted", site, str(event.bins[site]))
            case _ if (step := _said_of(event, part)) is not None:
                yield step
            case _:
                pass


def _said_of(event: events.Any, part: int) -> Step | None:
    """What happened to this device alone."""
    match event:
        case events.Intended() if event.part == part:
            return Step(event.at, "intended", event.site)
        case events.PersonalisationEnded() if event.part == part:
            verdict = "" if event.disposition is None else event.disposition.value
            return Step(event.at, "personalised", 0, f"{verdict} {event.detail}".strip())
        case events.Found() if part in event.places:
            return Step(event.at, "found", 0, event.places[part].value)
        case _:
            return None


def _told(certificate: x509.Certificate) -> Certificate:
    return Certificate(
        _name(certificate.subject),
        _name(certificate.issuer),
        f"{certificate.serial_number:x}",
        _algorithm(certificate),
        certificate.not_valid_before_utc.strftime("%Y-%m-%d"),
        certificate.not_valid_after_utc.strftime("%Y-%m-%d"),
    )


def _algorithm(certificate: x509.Certificate) -> str:
    hash_ = certificate.signature_hash_algorithm
    key = type(certificate.public_key()).__name__.removesuffix("PublicKey")
    return key if hash_ is None else f"{key} {hash_.name}"


def _name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()
