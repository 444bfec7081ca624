"""Lots as the engine would report them."""

from msgspec.structs import replace

from station.durations import kept
from station.model import (
    Bin,
    BinKind,
    DeviceResult,
    Ending,
    Limit,
    LotInfo,
    Measurement,
    TestDefinition,
    TouchdownResult,
    Verdict,
)
from station.set_up import Datalog, PinGroup, Section

GOOD = Bin(1, "good", 1, BinKind.PASS)
CONTACT = Bin(10, "contact", 2)
SUPPLY = Bin(300, "supply", 3)
ERROR = Bin(90, "error", 9, BinKind.OTHER)
PLAIN = Datalog()
SECTIONED = Datalog(
    sections=(Section("powered", 300, 500), Section("activated", 310, 500), Section("answering", 500, 500)),
    groups=(PinGroup("io", ("io0", "io1")), PinGroup("all", ("io0", "io1", "io2"))),
    card="PC-7",
    board="LB-2",
    contactor="C-31",
)
"""Marks of three conditions, one inside another, two groups of channels, and what touches the devices."""
BEGAN = 1_790_000_000.0

CONTINUITY = TestDefinition(100, "continuity", "M", Limit(-0.9, -0.3, "V"), ("io0", "io1", "io2"))
IDD = TestDefinition(300, "idd_idle", "P", Limit(2e-3, 9e-3, "A"))
LEAK = TestDefinition(310, "leakage", "P", Limit(None, 1e-6, "A"))
ANSWER = TestDefinition(500, "known_answer", "F", None)


def lot(
    sites: tuple[int, ...] = (1, 2), tests: tuple[TestDefinition, ...] = (CONTINUITY, IDD, LEAK, ANSWER)
) -> LotInfo:
    return LotInfo(
        lot="L1017",
        product="SE1",
        sequence="se1-final-test",
        sequence_version="3",
        fingerprint="5a" * 32,
        station="CELL7",
        sites=sites,
        quantity=100,
        tests=tests,
        bins=(GOOD, CONTACT, SUPPLY, ERROR),
        pins=("io0", "io1", "io2"),
        set_up=BEGAN,
        handler="binon",
        handler_id="H3",
        version="0.1.0",
    )


def passed() -> tuple[Measurement, ...]:
    return (
        Measurement(100, "continuity", "M", Verdict.PASSED, values=(-0.5, -0.625, -0.55)),
        Measurement(300, "idd_idle", "P", Verdict.PASSED, value=5e-3),
        Measurement(310, "leakage", "P", Verdict.PASSED, value=2e-9),
        Measurement(500, "known_answer", "F", Verdict.PASSED),
    )


def timed(device: DeviceResult) -> DeviceResult:
    """The device, of which it is known how long each test took."""
    spent = tuple(kept(0.0123 * (device.part + n)) for n in range(len(device.measurements)))
    return replace(device, times_s=spent)


def idd(value: float | None, verdict: Verdict = Verdict.FAILED, ending: Ending = Ending.VALUE) -> Measurement:
    return Measurement(300, "idd_idle", "P", verdict, ending, value)


def good(site: int, part: int, contact: int = 1) -> DeviceResult:
    return DeviceResult(site, part, contact, GOOD, Verdict.PASSED, passed(), BEGAN + part, 0.842)


def failed(site: int, part: int, contact: int = 1, value: float = 12.1e-3) -> DeviceResult:
    measured = (passed()[0], idd(value))
    return DeviceResult(site, part, contact, SUPPLY, Verdict.FAILED, measured, BEGAN + part, 0.4)


def unjudged(site: int, part: int, contact: int = 1) -> DeviceResult:
    measured = (passed()[0], idd(None, Verdict.NOT_JUDGED, Ending.EQUIPMENT))
    return DeviceResult(
        site, part, contact, ERROR, Verdict.NOT_JUDGED, measured, BEGAN + part, 0.2, reason="smu1: lost"
    )


def touchdown(seq: int, *devices: DeviceResult) -> TouchdownResult:
    return TouchdownResult(seq, BEGAN + 10 * seq, BEGAN + 10 * seq + 2, devices)


def touchdowns() -> tuple[TouchdownResult, ...]:
    """A good, a failing that passes when touched again, one that cannot be judged and fails in the end."""
    return (
        touchdown(1, timed(good(1, 1)), timed(failed(2, 2))),
        touchdown(2, unjudged(1, 3), good(2, 2, 2)),
        touchdown(3, failed(1, 3, 2), good(2, 4)),
    )
