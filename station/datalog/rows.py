"""One device as a row of the store, and back: values as float64, flags sparse, the rest as MessagePack."""

import math
import struct
import zlib
from collections.abc import Container
from typing import NamedTuple

import msgspec
from msgspec import Struct

from station.datalog.stdf import flags
from station.datalog.stdf.notes import alarms as alarms_of
from station.errors import StorageError
from station.model import (
    DeviceResult,
    Ending,
    LotInfo,
    Measurement,
    Note,
    Personalisation,
    Place,
    TestDefinition,
    Verdict,
)

NAN = float("nan")
FLAG = struct.Struct("<HBB")
COMPRESSED = 0x78
"""First byte of what zlib made; a MessagePack map never begins with it."""
LONG = 1024


class DeviceRow(NamedTuple):
    """The columns of `device` that the device itself decides."""

    site: int
    part_id: int
    exec_no: int
    part_flg: int
    hbin: int
    sbin: int
    t0: float
    test_ms: int
    n_exec: int
    vals: bytes
    """Little-endian float64 by test; NaN = no value; a functional test is 1.0 or 0.0."""
    flags: bytes | None
    """(u16 place of the test, u8 TEST_FLG, u8 PARM_FLG)*; None = all that ran passed."""
    extra: bytes | None


class Extra(Struct, omit_defaults=True):
    """What is not one number a test. Keys are places in the test set."""

    multiple: dict[int, tuple[float, ...]] = {}
    endings: dict[int, Ending] = {}
    texts: dict[int, str] = {}
    cut_short: bool = False
    reason: str = ""
    personalisation: Personalisation | None = None
    place: Place | None = None
    notes: tuple[Note, ...] = ()
    code: str = ""
    times: bytes = b""
    """Little-endian float16 by test, seconds; NaN = not run. Empty if its tests were not timed."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Extra)
_NOTHING = Extra()


class DeviceRows:
    """Packs and unpacks the devices of one lot."""

    def __init__(self, info: LotInfo) -> None:
        self._tests = info.tests
        self._bins = {bin_.number: bin_ for bin_ in info.bins}
        self._places = {test.number: place for place, test in enumerate(info.tests)}
        self._vals = struct.Struct(f"<{len(info.tests)}d")
        self._times = struct.Struct(f"<{len(info.tests)}e")
        self._empty = [NAN] * len(info.tests)
        self._numbers = [test.number for test in info.tests]

    def pack(self, device: DeviceResult) -> DeviceRow:
        """Return the row of a device; of several executions of a test the last one stands."""
        if self._bins.get(device.bin.number) != device.bin:
            raise StorageError(f"bin {device.bin.number} at site {device.site} is not one of the lot's")
        executed, vals, sparse, extra = self._packed(device)
        extra.cut_short, extra.reason = device.cut_short, device.reason
        extra.personalisation, extra.place, extra.code = device.personalisation, device.place, device.code
        extra.notes = device.notes
        if device.times_s:
            extra.times = self._packed_times(device)
        return DeviceRow(
            device.site,
            device.part,
            device.contact,
            flags.part_flags(device),
            device.bin.hard,
            device.bin.number,
            device.started,
            round(device.test_s * 1000),
            executed,
            vals,
            sparse,
            _packed(extra),
        )

    def _packed_times(self, device: DeviceResult) -> bytes:
        times = self._empty.copy()
        for measured, spent in zip(device.measurements, device.times_s, strict=True):
            times[self._places[measured.test]] = spent
        return self._times.pack(*times)

    def _packed(self, device: DeviceResult) -> tuple[int, bytes, bytes | None, Extra]:
        """Return how many tests ran, their values, their flags, and what else is to be kept."""
        measurements, passed, plain = device.measurements, Verdict.PASSED, Ending.VALUE
        values = [
            m.value
            for m in measurements
            if m.verdict is passed and m.ending is plain and m.kind == "P" and not m.text
        ]
        whole = [m.test for m in measurements] == self._numbers and len(values) == len(measurements)
        if whole and None not in values and not device.notes:
            return len(values), self._vals.pack(*values), None, Extra()
        alarms = alarms_of(device) if device.notes else {}
        latest = {measured.test: measured for measured in measurements}
        unknown = latest.keys() - self._places.keys()
        if unknown:
            raise StorageError(f"test {min(unknown)} at site {device.site} is not one of the lot's")
        return (len(latest), *self._measured(latest, alarms))

    def _measured(
        self, latest: dict[int, Measurement], alarms: Container[int]
    ) -> tuple[bytes, bytes | None, Extra]:
        values, places = self._empty.copy(), self._places
        sparse, extra = list[bytes](), Extra()
        passed, plain = Verdict.PASSED, Ending.VALUE
        for number, measured in latest.items():
            value = measured.value
            if (
                measured.verdict is passed
                and measured.ending is plain
                and value is not None
                and not measured.text
                and number not in alarms
            ):
                values[places[number]] = value
            else:
                alarm = flags.ALARM if number in alarms else 0
                values[places[number]] = self._unusual(places[number], measured, sparse, extra, alarm)
        return self._vals.pack(*values), b"".join(sparse) or None, extra

    def _unusual(
        self, place: int, measured: Measurement, sparse: list[bytes], extra: Extra, alarm: int
    ) -> float:
        test = flags.test_flags(measured) | alarm
        parm = flags.parm_flags(measured, self._tests[place].limit)
        if test or parm != flags.INCLUSIVE:
            sparse.append(FLAG.pack(place, test, parm))
        if measured.ending is not Ending.VALUE:
            extra.endings[place] = measured.ending
        if measured.text:
            extra.texts[place] = measured.text
        if measured.kind == "M":
            extra.multiple[place] = measured.values
            return NAN
        if measured.kind == "F":
            return float(test == alarm)
        return NAN if measured.value is None else measured.value

    def unpack(self, row: DeviceRow) -> DeviceResult:
        """Return the device of a row."""
        extra = _unpacked(row.extra)
        return DeviceResult(
            row.site,
            row.part_id,
            row.exec_no,
            self._bins[row.sbin],
            _verdict(row.part_flg >> 3 & 1, row.part_flg >> 4 & 1),
            tuple(self._measurements(row, extra)),
            row.t0,
            row.test_ms / 1000,
            extra.cut_short,
            extra.personalisation,
            extra.reason,
            extra.place,
            extra.notes,
            extra.code,
            self._unpacked_times(extra),
        )

    def _unpacked_times(self, extra: Extra) -> tuple[float, ...]:
        times = self._times.unpack(extra.times) if extra.times else ()
        return tuple(spent for spent in times if spent == spent)

    def times(self, row: DeviceRow) -> bytes:
        """Return how long each test took, as `Extra.times`; empty if nobody took it."""
        return b"" if row.extra is None else _unpacked(row.extra).times

    def place(self, row: DeviceRow) -> Place | None:
        """Return which die of which wafer a device is."""
        return None if row.extra is None else _unpacked(row.extra).place

    def identity(self, row: DeviceRow) -> tuple[str, Place | None]:
        """Return the code of a device, and which die of which wafer it is."""
        extra = _unpacked(row.extra)
        return extra.code, extra.place

    def measured(self, row: DeviceRow) -> list[Measurement]:
        """Return what was measured in a contact, in datalog order."""
        return self._measurements(row, _unpacked(row.extra))

    def values(self, row: DeviceRow) -> tuple[float, ...]:
        """Return the value of each test, NaN where there is none."""
        return self._vals.unpack(row.vals)

    def _measurements(self, row: DeviceRow, extra: Extra) -> list[Measurement]:
        sparse = sparse_flags(row)
        found = list[Measurement]()
        for place, (test, value) in enumerate(zip(self._tests, self.values(row), strict=True)):
            if value == value or place in sparse or place in extra.multiple:
                found.append(_measurement(test, value, sparse.get(place, 0), extra, place))
        return found


def sparse_flags(row: DeviceRow) -> dict[int, int]:
    """Return TEST_FLG by place of the test, for those that did not simply pass."""
    return {place: test for place, test, _ in FLAG.iter_unpack(row.flags or b"")}


def _measurement(
    test: TestDefinition, value: float, test_flags: int, extra: Extra, place: int
) -> Measurement:
    return Measurement(
        test.number,
        test.name,
        test.kind,
        _verdict(test_flags >> 7 & 1, test_flags >> 6 & 1),
        extra.endings.get(place, Ending.VALUE),
        value if test.kind == "P" and not math.isnan(value) else None,
        extra.multiple.get(place, ()),
        extra.texts.get(place, ""),
    )


def _verdict(failed: int, not_judged: int) -> Verdict:
    return Verdict.NOT_JUDGED if not_judged else Verdict.FAILED if failed else Verdict.PASSED


def _packed(extra: Extra) -> bytes | None:
    if extra == _NOTHING:
        return None
    data = _ENCODER.encode(extra)
    return zlib.compress(data, 1) if len(data) > LONG else data


def _unpacked(data: bytes | None) -> Extra:
    if data is None:
        return Extra()
    return _DECODER.decode(zlib.decompress(data) if data[0] == COMPRESSED else data)
