"""What three readers and the store count in the datalog of one lot, and that it is the same."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from station.datalog.rows import DeviceRow, DeviceRows
from station.datalog.stdf import flags
from station.datalog.stdf.lint import check
from station.datalog.stdf.reader import read as stdf
from station.datalog.stdf.trailer import TOTAL_HEAD
from station.datalog.store import Store
from station.datalog.totals import statistics
from station.model import DeviceResult, LotInfo

COUNTED = {
    "PRR": ("HEAD_NUM", "SITE_NUM", "PART_ID", "HARD_BIN", "SOFT_BIN", "X_COORD", "Y_COORD", "NUM_TEST"),
    "HBR": ("HEAD_NUM", "SITE_NUM", "HBIN_NUM", "HBIN_CNT", "HBIN_PF"),
    "SBR": ("HEAD_NUM", "SITE_NUM", "SBIN_NUM", "SBIN_CNT", "SBIN_PF"),
    "PCR": ("HEAD_NUM", "SITE_NUM", "PART_CNT", "RTST_CNT", "ABRT_CNT", "GOOD_CNT"),
    "TSR": ("HEAD_NUM", "SITE_NUM", "TEST_NUM", "EXEC_CNT", "FAIL_CNT"),
    "WRR": ("WAFER_ID", "PART_CNT", "RTST_CNT", "ABRT_CNT", "GOOD_CNT"),
}
"""What is compared of each record; the last fields are the counts."""
PYSTDF = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pystdf.IO import Parser

counted = json.loads(sys.argv[2])

class Sink:
    def after_send(self, source, data):
        kind, values = data
        name = type(kind).__name__.upper()
        if name in counted:
            named = dict(zip([field for field, _ in kind.fieldMap], values))
            print(json.dumps([name, [named[field] for field in counted[name]]]))

parser = Parser(inp=open(sys.argv[1], "rb"))
parser.addSink(Sink())
parser.parse()
"""
SEMI_ATE = """
import json, sys
from Semi_ATE.STDF.utils import records_from_file

counted = json.loads(sys.argv[2])
for record in records_from_file(sys.argv[1]):
    if record.id in counted:
        named = record.to_dict()
        print(json.dumps([record.id, [named[field] for field in counted[record.id]]]))
"""

Found = list[tuple[str, tuple[Any, ...]]]


def judged(path: Path, script: str) -> Found:
    """What another reader finds, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", script, str(path), json.dumps(COUNTED)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [(name, tuple(fields)) for name, fields in map(json.loads, done.stdout.splitlines())]


def ours(path: Path) -> Found:
    return [
        (record.name, tuple(record.values[field] for field in COUNTED[record.name]))
        for record in stdf(path)
        if record.name in COUNTED
    ]


def of_store(path: Path) -> Found:
    """The same records once more, counted from the rows of the store without the datalog's own counters."""
    store = Store(path)
    info, rows = store.info(1), list(store.devices(1))
    unpacked = [DeviceRows(info).unpack(row) for row in rows]
    last = {device.part: device for device in unpacked}
    found: Found = [("PRR", _part(row, device)) for row, device in zip(rows, unpacked, strict=True)]
    for head, sites in [*((1, (site,)) for site in info.sites), (TOTAL_HEAD, info.sites)]:
        here = [device for device in last.values() if device.site in sites]
        site = 0 if head == TOTAL_HEAD else sites[0]
        again = sum(device.contact > 1 for device in unpacked if device.site in sites)
        found += _bins(info, here, head, site)
        found.append(("PCR", (head, site, len(here), again, *_aborted_and_good(here))))
    found += list(_tests(rows, info))
    found += list(_wafers(unpacked))
    store.close()
    return found


def _part(row: DeviceRow, device: DeviceResult) -> tuple[Any, ...]:
    x, y = (-32768, -32768) if device.place is None else (device.place.x, device.place.y)
    return 1, row.site, device.name, row.hbin, row.sbin, x, y, row.n_exec


def _bins(info: LotInfo, here: list[DeviceResult], head: int, site: int) -> Found:
    found: Found = []
    hard, soft = Counter(d.bin.hard for d in here), Counter(d.bin.number for d in here)
    for number, kind in {bin_.hard: bin_.kind for bin_ in info.bins}.items():
        found.append(("HBR", (head, site, number, hard[number], flags.PASS_FAIL[kind])))
    for bin_ in info.bins:
        found.append(("SBR", (head, site, bin_.number, soft[bin_.number], flags.PASS_FAIL[bin_.kind])))
    return found


def _aborted_and_good(here: list[DeviceResult]) -> tuple[int, int]:
    verdicts = Counter(device.verdict.value for device in here)
    return verdicts["not judged"], verdicts["passed"]


def _tests(rows: list[DeviceRow], info: LotInfo) -> Iterator[tuple[str, tuple[Any, ...]]]:
    devices = [DeviceRows(info).unpack(row) for row in rows]
    ran = Counter((d.site, m.test) for d in devices for m in d.measurements)
    failing = {key: found.failed for key, found in statistics(iter(rows), info).items()}
    for test in info.tests:
        for site in info.sites:
            key = site, test.number
            yield "TSR", (1, site, test.number, ran[key], failing[key])
        both = [sum(of[site, test.number] for site in info.sites) for of in (ran, failing)]
        yield "TSR", (TOTAL_HEAD, 0, test.number, *both)


def _wafers(devices: list[DeviceResult]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    wafers = dict.fromkeys(device.place.wafer for device in devices if device.place)
    for wafer in wafers:
        contacts = [device for device in devices if device.place and device.place.wafer == wafer]
        here = list({device.part: device for device in contacts}.values())
        again = sum(device.contact > 1 for device in contacts)
        yield "WRR", (wafer, len(here), again, *_aborted_and_good(here))


def assert_all_agree(folder: Path, result: dict[str, Any]) -> Counter[str]:
    path = Path(result["stdf"])
    assert check(path).findings == ()
    here = ours(path)
    assert judged(path, PYSTDF) == here
    assert judged(path, SEMI_ATE) == here
    assert sorted(of_store(folder / "results.db"), key=repr) == sorted(here, key=repr)
    return Counter(name for name, _ in here)
