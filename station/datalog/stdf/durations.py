"""GDR of a part whose tests were timed: a tag, its site, and each test with its seconds, all of it text."""

import struct
from collections.abc import Iterator, Mapping

from station.datalog.stdf.atdf_generic import items
from station.datalog.stdf.records import Record
from station.durations import kept
from station.model import DeviceResult

TAG = "test times"
TEXT = "\n"
"""The type code of a Cn, 10, as a character."""
GDR = struct.Struct("<HBBH").pack
MOST = 2000
"""Tests of one record: what is longest of them is far below the longest record."""


def of_tests(device: DeviceResult) -> dict[int, float]:
    """Return the seconds of each test of a part, by its number; nothing if they were not taken."""
    return {one.test: spent for one, spent in zip(device.measurements, device.times_s, strict=False)}


def records(device: DeviceResult) -> Iterator[bytes]:
    """Yield the records of a part. Text needs no pads, over which readers stumble."""
    said = [f"{test} {spent:.5g}" for test, spent in of_tests(device).items()]
    for start in range(0, len(said), MOST):
        texts = [TAG, f"site {device.site}", *said[start : start + MOST]]
        data = "".join([f"{TEXT}{chr(len(text))}{text}" for text in texts]).encode("ascii")
        yield GDR(2 + len(data), 50, 10, len(texts)) + data


def read(record: Record) -> tuple[int, Mapping[int, float]] | None:
    """Return site and seconds by test of a GDR; None if it is about something else."""
    texts = [item.value for item in items(record) if isinstance(item.value, str)]
    if record.name != "GDR" or texts[:1] != [TAG] or len(texts) < 2:
        return None
    try:
        site = int(texts[1].removeprefix("site "))
        pairs = (text.split(" ") for text in texts[2:])
        return site, {int(test): kept(float(spent)) for test, spent in pairs}
    except ValueError:
        return None
