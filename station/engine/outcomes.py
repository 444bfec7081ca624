"""What a contact came to, as the journal has it; and who each device is."""

from collections.abc import Iterable, Mapping

import msgspec

from drivers.roles import Touchdown
from station import events
from station.engine.contact import Contact
from station.model import Bin, DeviceResult, Outcome, Place, Verdict

STOPPED = "the station stopped"
"""Why a contact was closed that the station did not close itself before it stopped."""


def outcome(device: DeviceResult) -> Outcome:
    """Return what the journal keeps of a result."""
    return Outcome(
        site=device.site,
        part=device.part,
        contact=device.contact,
        soft=device.bin.number,
        hard=device.bin.hard,
        kind=device.bin.kind,
        verdict=device.verdict,
        test_s=device.test_s,
        cut_short=device.cut_short,
        reason=device.reason,
        notes=device.notes,
    )


def result_of(said: Outcome, bin_: Bin) -> DeviceResult:
    """Return what the journal still knows of a contact: its bin and verdict, and nothing measured."""
    return DeviceResult(said.site, said.part, said.contact, bin_, said.verdict, (), 0.0, said.test_s)


def unfinished(closed: Outcome) -> bool:
    """Tell whether a contact was closed without a result that stands."""
    return closed.reason == STOPPED or (closed.cut_short and closed.verdict is Verdict.NOT_JUDGED)


def opened(
    seq: int,
    parts: Mapping[int, int],
    tested: Mapping[int, Contact],
    numbers: Mapping[int, int],
    arrived: Touchdown,
    *,
    now: float,
) -> events.TouchdownOpened:
    """Return what the journal keeps before anything is powered: `numbers` are those of the contacts."""
    return events.TouchdownOpened(
        at=now,
        seq=seq,
        parts=dict(parts),
        contacts=dict(numbers),
        untested=tuple(sorted(parts.keys() - tested.keys())),
        recovered=tuple(sorted(site for site, contact in tested.items() if contact.recovers)),
        wafer=arrived.wafer,
        positions=dict(arrived.positions),
        ids=dict(arrived.ids),
    )


def untested(site: int, part: int, number: int, reason: str, *, bin_: Bin, now: float) -> DeviceResult:
    """Return the result of a contact in which nothing was powered."""
    return DeviceResult(
        site=site,
        part=part,
        contact=number,
        bin=bin_,
        verdict=Verdict.NOT_JUDGED,
        measurements=(),
        started=now,
        test_s=0.0,
        reason=reason,
    )


def placed(devices: Iterable[DeviceResult], arrived: Touchdown) -> list[DeviceResult]:
    """Return the results by site, each with the die and the code that the machine or a reader named."""
    ordered = sorted(devices, key=lambda device: device.site)
    if arrived.positions:
        ordered = [
            msgspec.structs.replace(device, place=Place(arrived.wafer, *arrived.positions[device.site]))
            for device in ordered
        ]
    if arrived.ids:
        ordered = [msgspec.structs.replace(one, code=arrived.ids.get(one.site, "")) for one in ordered]
    return ordered
