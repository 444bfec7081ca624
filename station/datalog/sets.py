"""What is fixed of a lot and shared by many: its tests in order, and their limits."""

import struct
from hashlib import sha256

import msgspec

from station.datalog.rows import NAN
from station.datalog.stdf import flags
from station.model import LotInfo, TestDefinition


def test_set(tests: tuple[TestDefinition, ...]) -> dict[str, object]:
    """Return the row of a set of tests, known by its digest."""
    defs = [
        {
            "number": test.number,
            "name": test.name,
            "kind": test.kind,
            "unit": test.limit.unit if test.limit else "",
            "scal": flags.scale(test.limit),
            "pins": list(test.pins),
        }
        for test in tests
    ]
    return {"sha256": sha256(msgspec.json.encode(defs)).hexdigest(), "n": len(tests), "defs": defs}


def limit_set(info: LotInfo) -> dict[str, object]:
    """Return the row of the limits of a lot, known by its digest."""
    limits = [test.limit for test in info.tests]
    low = [NAN if limit is None or limit.low is None else limit.low for limit in limits]
    high = [NAN if limit is None or limit.high is None else limit.high for limit in limits]
    lows, highs = struct.pack(f"<{len(low)}d", *low), struct.pack(f"<{len(high)}d", *high)
    source = info.limit_set or "sequence"
    digest = sha256(str(test_set(info.tests)["sha256"]).encode() + lows + highs + source.encode())
    inclusive = b"\x03" * len(limits)
    return {"lo": lows, "hi": highs, "incl": inclusive, "source": source, "sha256": digest.hexdigest()}
