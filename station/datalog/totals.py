"""What the tests of a run came to at each site, from the rows of its contacts."""

from collections.abc import Iterator

from station.datalog.rows import DeviceRow, DeviceRows, sparse_flags
from station.datalog.stdf import flags
from station.datalog.stdf.summary import Statistics
from station.model import LotInfo

SETTLED_EACH = 256
"""Contacts whose results wait in memory."""


def statistics(rows: Iterator[DeviceRow], info: LotInfo) -> dict[tuple[int, int], Statistics]:
    """Count the valid results of each test at each site: (site, test number) to statistics."""
    found = {(site, test.number): Statistics() for site in info.sites for test in info.tests}
    packer = DeviceRows(info)
    for seen, row in enumerate(rows, 1):
        sparse = sparse_flags(row)
        for place, (test, value) in enumerate(zip(info.tests, packer.values(row), strict=True)):
            flag = sparse.get(place, 0)
            of_test = found[row.site, test.number]
            of_test.failed += flag & (flags.FAILED | flags.NOT_JUDGED) == flags.FAILED
            if test.kind == "P" and value == value and not flag & flags.UNUSABLE_TEST:
                of_test.add(value)
        if seen % SETTLED_EACH == 0:
            _settle(found)
    return found


def _settle(found: dict[tuple[int, int], Statistics]) -> None:
    for of_test in found.values():
        of_test.settle()
